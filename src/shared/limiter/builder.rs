//! Building a shared limiter.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::Notify;

use super::{Inner, Leases, Limiter};
use crate::Quota;
use crate::shared::store::{LimitSpec, Memory, Namespace, OpenError, Rule, Store};
use crate::shared::{Client, ClientBuilder, Outage};

/// Builds a [`Limiter`]. Returned by [`Limiter::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<K: ?Sized> {
    namespace: Namespace,
    client: ClientBuilder,
    lease: Option<Duration>,
    key: PhantomData<fn(&K)>,
}

impl<K: ?Sized> Builder<K> {
    pub(super) fn new(name: Arc<str>, quota: Quota) -> Self {
        let limit = LimitSpec::new("requests", Rule::default(), quota);
        Self {
            namespace: Namespace::new(name, vec![limit]),
            client: Client::builder(Memory::new()),
            lease: None,
            key: PhantomData,
        }
    }

    /// The store of the levels, such as Redis. Without it, the levels are in the memory of this
    /// process, and shared with nobody.
    pub fn store(mut self, store: impl Store) -> Self {
        self.client = self.client.store(store);
        self
    }

    /// Another limit for each subject. A request is granted by all limits, or by none. At most
    /// eight limits are possible. The first limit has the name `requests`.
    ///
    /// ```
    /// use tollgate::Quota;
    /// use tollgate::shared::Limiter;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let model: Limiter = Limiter::builder("model", Quota::per_minute(500))
    ///     .limit("tokens", Quota::per_minute(100_000))
    ///     .build()?;
    /// let grant = model.try_acquire("alice", [1, 60_000]).await?;
    /// assert_eq!((grant.remaining, grant.limit), (40_000, 100_000));
    /// assert!(!model.allow_n("alice", [1, 60_000]).await?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn limit(self, name: impl Into<Arc<str>>, quota: Quota) -> Self {
        self.limit_with(name, Rule::default(), quota)
    }

    /// As [`limit`](Self::limit), with a rule other than that of a token bucket.
    pub fn limit_with(mut self, name: impl Into<Arc<str>>, rule: Rule, quota: Quota) -> Self {
        self.namespace.limits.push(LimitSpec::new(name, rule, quota));
        self
    }

    /// The rule of the first limit. The default is a token bucket.
    pub fn rule(mut self, rule: Rule) -> Self {
        if let Some(first) = self.namespace.limits.first_mut() {
            first.rule = rule;
        }
        self
    }

    /// How requests are decided while the store does not answer. The default is
    /// [`Outage::Closed`].
    pub fn on_outage(mut self, outage: Outage) -> Self {
        self.client = self.client.on_outage(outage);
        self
    }

    /// The longest time that a decision takes; see [`ClientBuilder::deadline`].
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.client = self.client.deadline(deadline);
        self
    }

    /// How often the store is asked again during an outage; see [`ClientBuilder::probe_every`].
    pub fn probe_every(mut self, pause: Duration) -> Self {
        self.client = self.client.probe_every(pause);
        self
    }

    /// The longest time for which a refusal of the store answers further requests; see
    /// [`ClientBuilder::trust_refusals_for`].
    pub fn trust_refusals_for(mut self, longest: Duration) -> Self {
        self.client = self.client.trust_refusals_for(longest);
        self
    }

    /// Lets the process draw permits ahead for subjects that it sees often, and use them within
    /// `length`, so that most requests of such a subject need no call. All processes must use the
    /// same length. 100 ms is a good choice; the page `docs/shared-limits.md` of the repository says
    /// what other lengths save and cost.
    ///
    /// The refill of `length` is held back from the burst, so that all processes together never
    /// exceed the quota. Only [`allow`](Limiter::allow) and
    /// [`try_acquire`](Limiter::try_acquire) use leases, and only of a limiter with one limit,
    /// which is a token bucket. What was drawn and not used is handed back after `length`, when the
    /// quota is changed, and when the limiter is closed or dropped. What a lease granted and
    /// [`settle`](Limiter::settle) gives back later than `length` is lost, until refill brings it
    /// back.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::Quota;
    /// use tollgate::shared::Limiter;
    /// let limiter: Limiter = Limiter::builder("api", Quota::per_second(1_000))
    ///     .lease(Duration::from_millis(100))
    ///     .build()?;
    /// // 100 permits arrive in 100 ms.
    /// let too_small = Limiter::<str>::builder("api", Quota::per_second(1_000).burst(100))
    ///     .lease(Duration::from_millis(100))
    ///     .build();
    /// assert!(too_small.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lease(mut self, length: Duration) -> Self {
        self.lease = Some(length);
        self
    }

    /// Builds the limiter.
    ///
    /// # Errors
    ///
    /// If a quota is not valid, if the store can't keep it exactly, if there are more than eight
    /// limits or two of the same name, or if the limiter can't have [leases](Self::lease).
    pub fn build(mut self) -> Result<Limiter<K>, OpenError> {
        if let Some(length) = self.lease {
            reduce(&mut self.namespace, length)?;
        }
        let client = self.client.open(std::slice::from_ref(&self.namespace))?;
        Ok(Limiter {
            inner: Arc::new(Inner {
                client,
                limits: RwLock::new(self.namespace.limits.into()),
                name: self.namespace.name,
                leases: self.lease.map(Leases::new),
                is_closed: AtomicBool::new(false),
                closing: Notify::new(),
            }),
            key: PhantomData,
        })
    }
}

/// Holds back what leases of this length can use late.
pub(super) fn reduce(namespace: &mut Namespace, length: Duration) -> Result<(), OpenError> {
    let name = namespace.name.to_string();
    let [LimitSpec { rule: Rule::TokenBucket, name: limit, quotas, .. }] =
        &mut namespace.limits[..]
    else {
        let why = "leases are possible only with one limit, which must be a token bucket";
        return Err(OpenError::Namespace { namespace: name, why });
    };
    for quota in quotas {
        *quota = Leases::reduced(*quota, length).map_err(|error| OpenError::Quota {
            namespace: name.clone(),
            limit: limit.to_string(),
            error,
        })?;
    }
    Ok(())
}
