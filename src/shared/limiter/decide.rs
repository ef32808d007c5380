//! From a request to an ask, and from a decision to an answer.

use std::fmt::{Display, Write as _};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{Cost, Grant, Limiter, Name, Refused};
use crate::shared::store::{Ask, Level, LimitSpec, Outcome, Part, Verb, Verdict};
use crate::shared::{AskError, Decision, Source};
use crate::{Quota, Rejection, WhichLimit};

impl<K: Display + ?Sized> Limiter<K> {
    /// The ask for a request.
    pub(super) fn asked(&self, verb: Verb, subject: &K, cost: &Cost) -> Result<Ask, Refused> {
        if self.inner.is_closed.load(Ordering::Relaxed) {
            return Err(closed());
        }
        let limits = self.inner.limits.read().len();
        if let Some((limit, requested)) = cost.beyond(limits) {
            let limit = WhichLimit::Nth(limit);
            let rejection = Rejection::ExceedsBurst { requested, burst: 0, limit };
            return Err(Refused { rejection, source: Source::Local });
        }
        let mut name = Name::default();
        // A subject that can't be displayed has the name that it has written so far.
        let _ = write!(name, "{subject}");
        let (count, charges) = cost.charges(limits);
        let part = Part { namespace: 0, subject: name.as_str().into(), charges, shadow: false };
        Ok(Ask::of(verb, count, part))
    }

    /// Decides a request for permits, with a lease if there is one. Returns when that expires, too.
    pub(super) async fn take(
        &self,
        ask: &Ask,
        cost: &Cost,
    ) -> Result<(Decision, Option<Instant>), Refused> {
        match &self.inner.leases {
            // A request for nothing, or for more than one limit, is not leased.
            Some(leases) if ask.count > 0 && cost.is_the_same_for_all() => {
                leases.decide(&self.inner.client, ask, self.burst()).await.map_err(unavailable)
            }
            _ => Ok((self.decide(ask).await?, None)),
        }
    }

    pub(super) async fn decide(&self, ask: &Ask) -> Result<Decision, Refused> {
        let client = &self.inner.client;
        client.ask_within(client.deadline(), ask).await.map_err(unavailable)
    }

    /// The burst of the first limit.
    pub(super) fn burst(&self) -> u64 {
        self.inner.limits.read().first().map_or(0, |it| self.quota(it, Source::Shared).burst_size())
    }

    /// The answer to a request for permits.
    pub(super) fn grant(&self, cost: &Cost, decision: &Decision) -> Result<Grant, Refused> {
        let limits = self.inner.limits.read().clone();
        let levels = || limits.iter().zip(&decision.answer.levels).enumerate();
        let source = decision.source;
        if !matches!(decision.answer.outcome, Outcome::Done { .. }) {
            let refusing = levels().filter(|(_, (_, level))| level.verdict != Verdict::Granted);
            let strictest = refusing
                .max_by_key(|(_, (_, level))| (level.verdict == Verdict::Never, level.wait));
            let which = |index| match limits.len() {
                1 => WhichLimit::Only,
                _ => WhichLimit::Nth(index),
            };
            let rejection = strictest.map_or(Rejection::denied(Duration::ZERO), |(index, it)| {
                let burst = self.quota(it.0, source).burst_size();
                rejection(burst, it.1, cost.of(index), which(index))
            });
            return Err(Refused { rejection, source });
        }
        // The limit with the smallest share left.
        let burst = |limit: &LimitSpec| self.quota(limit, source).burst_size();
        let scarcest = levels().min_by(|(_, (a, a_level)), (_, (b, b_level))| {
            let share = |level: &Level, other: &LimitSpec| {
                u128::from(level.remaining) * u128::from(burst(other))
            };
            share(a_level, b).cmp(&share(b_level, a))
        });
        let (index, (limit, level)) = scarcest.map_or_else(
            || (0, (None, Level::new(u64::MAX))),
            |(index, (limit, level))| (index, (Some(limit), *level)),
        );
        Ok(Grant {
            permits: cost.of(index),
            remaining: level.remaining,
            limit: limit.map_or(u64::MAX, burst),
            reset_after: level.full_after,
            source,
            taken: cost.clone(),
            receipts: decision.answer.levels.iter().map(|level| level.receipt).collect(),
            lease: None,
        })
    }

    /// The quota that an answer of this source is about: of the local share, its part.
    pub(super) fn quota(&self, limit: &LimitSpec, source: Source) -> Quota {
        let quota = limit.quotas.first().copied().unwrap_or(Quota::unlimited());
        match source {
            Source::LocalShare => self.inner.client.outage().share_of(quota, limit.rule),
            _ => quota,
        }
    }
}

fn rejection(burst: u64, level: &Level, requested: u64, which: WhichLimit) -> Rejection {
    match level.verdict {
        Verdict::Never => Rejection::ExceedsBurst { requested, burst, limit: which },
        Verdict::Granted | Verdict::Refused => Rejection::Denied {
            retry_after: level.wait,
            available: level.remaining,
            reset_after: level.full_after,
            burst,
            limit: which,
        },
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
pub(super) fn unavailable(error: AskError) -> Refused {
    let retry_after = match error {
        AskError::Unavailable { retry_after } => retry_after,
        // A limiter asks for no limits but its own.
        AskError::Misfit(_) => Duration::ZERO,
    };
    Refused { rejection: Rejection::Unavailable { retry_after }, source: Source::Closed }
}

pub(super) fn closed() -> Refused {
    Refused { rejection: Rejection::Closed, source: Source::Local }
}
