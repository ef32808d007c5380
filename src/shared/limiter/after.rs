//! What is done besides asking for permits: counting after the fact, looking, and changing.

use std::fmt::Display;
use std::sync::atomic::Ordering;

use super::builder::reduce;
use super::{Cost, Grant, Leases, LimitUsage, Limiter, Refused, Usage};
use crate::Quota;
use crate::shared::Stats;
use crate::shared::store::{Level, LimitSpec, Namespace, OpenError, Verb};

impl<K: Display + ?Sized> Limiter<K> {
    /// Charges permits that were used already, also if they are not there: the shortfall is debt.
    ///
    /// # Errors
    ///
    /// If the limiter is closed, or if the store does not answer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the permits are charged or not.
    pub async fn consume(&self, subject: &K, cost: impl Into<Cost>) -> Result<(), Refused> {
        self.tell(Verb::Consume, subject, &cost.into()).await
    }

    /// Gives permits back, for whatever reason. A full bucket stays full.
    ///
    /// # Errors
    ///
    /// If the limiter is closed, or if the store does not answer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the permits are given back or not.
    pub async fn credit(&self, subject: &K, cost: impl Into<Cost>) -> Result<(), Refused> {
        self.tell(Verb::Credit, subject, &cost.into()).await
    }

    /// Corrects a grant to what was used in the end: charges what is missing, or gives back what
    /// was not used and refill has not brought back since.
    ///
    /// ```
    /// use tollgate::Quota;
    /// use tollgate::shared::Limiter;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let tokens: Limiter = Limiter::builder("tokens", Quota::per_day(1_000)).build()?;
    /// let grant = tokens.try_acquire("alice", 600).await?;
    /// tokens.settle("alice", grant, 100).await?;
    /// assert_eq!(tokens.usage("alice").await?.limits[0].remaining, 900);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// If the limiter is closed, or if the store does not answer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the difference is settled or not.
    pub async fn settle(
        &self,
        subject: &K,
        grant: Grant,
        actual: impl Into<Cost>,
    ) -> Result<(), Refused> {
        let actual = actual.into();
        let limits = self.inner.limits.read().len();
        let of_each = |permits: &dyn Fn(u64, u64) -> u64| -> Vec<u64> {
            (0..limits).map(|limit| permits(grant.taken.of(limit), actual.of(limit))).collect()
        };
        let unused = of_each(&|taken, actual| taken.saturating_sub(actual));
        let missing = of_each(&|taken, actual| actual.saturating_sub(taken));
        let leases = self.inner.leases.as_ref().zip(grant.lease);
        if let (Some((leases, expires)), [unused]) = (leases, &unused[..]) {
            let ask = self.asked(Verb::HandBack, subject, &0.into())?;
            ask.parts.iter().for_each(|part| leases.put_back(part, *unused, expires));
        } else if unused.iter().any(|permits| *permits > 0) {
            let mut ask = self.asked(Verb::HandBack, subject, &unused[..].into())?;
            let charges = ask.parts.iter_mut().flat_map(|part| &mut part.charges);
            for (charge, receipt) in charges.zip(&grant.receipts) {
                charge.receipt = *receipt;
            }
            self.decide(&ask).await?;
        }
        if missing.iter().any(|permits| *permits > 0) {
            self.consume(subject, &missing[..]).await?;
        }
        Ok(())
    }

    /// Makes all limits of a subject full.
    ///
    /// # Errors
    ///
    /// If the limiter is closed, or if the store does not answer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the limits are made full or not.
    pub async fn reset(&self, subject: &K) -> Result<(), Refused> {
        self.tell(Verb::Reset, subject, &0.into()).await
    }

    /// The present state of a subject. Takes nothing.
    ///
    /// # Errors
    ///
    /// If the limiter is closed, or if the store does not answer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has changed.
    pub async fn usage(&self, subject: &K) -> Result<Usage, Refused> {
        let decision = self.decide(&self.asked(Verb::Look, subject, &0.into())?).await?;
        let limits = self.inner.limits.read().clone();
        let usage_of = |(limit, level): (&LimitSpec, &Level)| {
            let Level { used, remaining, full_after, .. } = *level;
            let name = limit.name.clone();
            let quota = self.quota(limit, decision.source);
            LimitUsage { name, quota, used, remaining, reset_after: full_after }
        };
        let limits = limits.iter().zip(&decision.answer.levels).map(usage_of).collect();
        Ok(Usage { limits, source: decision.source })
    }

    /// Changes the quotas of the limits, in the order in which the limits were added. Each subject
    /// keeps its used share, rounded up, whichever process changes its quotas first. Permits that
    /// this process has [drawn ahead](super::Builder::lease) are handed back.
    ///
    /// # Errors
    ///
    /// If a quota is not valid, if the store can't keep it exactly, or if there are not as many
    /// quotas as limits. Then nothing has changed.
    pub fn set_quotas(&self, quotas: &[Quota]) -> Result<(), OpenError> {
        let mut current = self.inner.limits.write();
        let name = &self.inner.name;
        if quotas.len() != current.len() {
            let why = "`set_quotas` needs one quota for each limit, in the order in which they were added";
            return Err(OpenError::Namespace { namespace: name.to_string(), why });
        }
        let mut limits = current.to_vec();
        for (limit, quota) in limits.iter_mut().zip(quotas) {
            limit.quotas = vec![*quota];
        }
        let mut namespace = Namespace::new(name.clone(), limits);
        if let Some(leases) = &self.inner.leases {
            reduce(&mut namespace, leases.length())?;
        }
        // What was drawn under the old quotas goes back under them.
        self.end_leases();
        self.inner.client.set_namespaces(std::slice::from_ref(&namespace))?;
        // What was drawn meanwhile is not used any more, either.
        self.end_leases();
        *current = namespace.limits.into();
        Ok(())
    }

    /// Changes the quota of a limiter with one limit; see [`set_quotas`](Self::set_quotas).
    ///
    /// # Errors
    ///
    /// See [`set_quotas`](Self::set_quotas).
    pub fn set_quota(&self, quota: Quota) -> Result<(), OpenError> {
        self.set_quotas(&[quota])
    }

    /// What this limiter has done so far, for metrics.
    ///
    /// ```
    /// use tollgate::Quota;
    /// use tollgate::shared::Limiter;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let limiter: Limiter = Limiter::builder("api", Quota::per_hour(5)).build()?;
    /// limiter.allow("alice").await?;
    /// let stats = limiter.stats();
    /// assert_eq!((stats.shared, stats.calls), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.client.stats()
    }

    /// Closes the limiter in this process: whoever waits or asks is refused from now on. Others are
    /// not affected. Closing twice does nothing.
    pub fn close(&self) {
        self.inner.is_closed.store(true, Ordering::Relaxed);
        self.inner.closing.notify_waiters();
        self.end_leases();
    }

    /// Whether the limiter is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed.load(Ordering::Relaxed)
    }

    fn end_leases(&self) {
        self.inner.leases.iter().for_each(Leases::end);
    }

    async fn tell(&self, verb: Verb, subject: &K, cost: &Cost) -> Result<(), Refused> {
        let ask = self.asked(verb, subject, cost)?;
        self.decide(&ask).await.map(|_| ())
    }
}
