//! One limit under one rule: a keyed limiter, and the quotas under which a policy asks it.

use std::any::Any;
use std::sync::Arc;

use tollgate::algorithm::Algorithm;
use tollgate::keyed::{self, KeyCharge, Tier};
use tollgate::{Answer as CoreAnswer, Grant, Keyed, Quota, QuotaError, Rejection};

use super::EngineClock;
use crate::engine::key::{Key, KeyView};
use crate::engine::store::{Answer, Charge, LimitSpec, Refused, Verb};
use crate::policy::WhenFull;

/// A limiter that several policies, one after another, use for the same limit.
pub(super) struct SharedKeyed<A: Algorithm> {
    keyed: Keyed<Key, A, EngineClock>,
    /// What the limiter does with keys for which it has no room, which can't be changed.
    when_full: WhenFull,
}

/// One limit of one policy.
pub(super) struct Limit<A: Algorithm> {
    shared: Arc<SharedKeyed<A>>,
    /// One for each quota of the policy; `None` for an unlimited one.
    tiers: Box<[Option<Tier<A>>]>,
}

/// A part of a decision by the core.
pub(super) type KeyChargeBy<'a, 'b, A> = KeyCharge<'a, Key, KeyView<'b>, A, EngineClock>;

impl<A: Algorithm + TryFrom<Quota, Error = QuotaError>> Limit<A> {
    /// The limit of `spec`, with the levels of `before` if that is the same limit.
    pub(super) fn open(
        spec: &LimitSpec,
        clock: &EngineClock,
        before: Option<Arc<dyn Any + Send + Sync>>,
    ) -> Result<Self, QuotaError> {
        let before = before.and_then(|before| before.downcast::<SharedKeyed<A>>().ok());
        let shared = match before.filter(|before| before.when_full == spec.when_full) {
            Some(before) => before,
            None => Arc::new(SharedKeyed::new(spec, clock)?),
        };
        let tier = |quota: &Quota| match quota.is_unlimited() {
            true => Ok(None),
            false => shared.keyed.tier(*quota).map(Some),
        };
        let tiers = spec.quotas.iter().map(tier).collect::<Result<_, _>>()?;
        Ok(Self { shared, tiers })
    }
}

impl<A: Algorithm + TryFrom<Quota, Error = QuotaError>> SharedKeyed<A> {
    fn new(spec: &LimitSpec, clock: &EngineClock) -> Result<Self, QuotaError> {
        let when_full = match spec.when_full {
            WhenFull::Share => keyed::WhenFull::Share,
            WhenFull::Deny => keyed::WhenFull::Deny,
        };
        let keyed = Keyed::builder(own_quota(spec))
            .name(&*spec.identity.name)
            .clock(clock.clone())
            .max_keys(spec.max_keys.max(1))
            .when_full(when_full)
            .build()?;
        Ok(Self { keyed, when_full: spec.when_full })
    }
}

/// The limit's own quota. It applies to the bucket that keys without room share.
fn own_quota(spec: &LimitSpec) -> Quota {
    spec.quotas.first().copied().unwrap_or(Quota::unlimited())
}

impl<A: Algorithm> Limit<A> {
    fn keyed(&self) -> &Keyed<Key, A, EngineClock> {
        &self.shared.keyed
    }

    /// The limiter, for the next policy.
    pub(super) fn shared(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(&self.shared) as _
    }

    /// Changes what a reload can change: the room for keys, and the quota of the bucket that keys
    /// without room share. Everything else is a quota of the request, which carries the used share
    /// over.
    pub(super) fn adapt(&self, spec: &LimitSpec) {
        // The limiter was built with a maximum, and the policy's is at least 1.
        let _ = self.keyed().set_max_keys(spec.max_keys.max(1));
        if self.keyed().quota() != own_quota(spec) {
            // The rule has accepted the quota when its tier was made.
            let _ = self.keyed().set_quota(own_quota(spec));
        }
    }

    /// The charge for the core; `None` under an unlimited quota.
    pub(super) fn charge<'a, 'b>(
        &'a self,
        charge: &'a Charge<'b>,
    ) -> Option<KeyChargeBy<'a, 'b, A>> {
        let tier = self.tiers.get(charge.quota)?.as_ref()?;
        Some(self.keyed().charge(&charge.key).cost(charge.cost).under(tier))
    }

    /// Looks, gives back, or takes as debt; answers what is then left.
    pub(super) fn act(&self, verb: Verb, charge: &Charge<'_>) -> Answer {
        let Some(tier) = self.tiers.get(charge.quota).and_then(Option::as_ref) else {
            return UNLIMITED;
        };
        match verb {
            Verb::Credit => self.keyed().credit(&charge.key, charge.cost),
            // A debt that could not be repaid within centuries is not recorded.
            Verb::Consume => drop(self.keyed().consume(&charge.key, charge.cost)),
            Verb::Take | Verb::Look => {}
        }
        // To ask for nothing moves the key to the quota, and tells what is left under it.
        let look = self.keyed().charge(&charge.key).cost(0).under(tier);
        let answer = match look.try_acquire() {
            Ok(grant) => self.granted(&grant, &charge.key),
            Err(rejection) => self.refused(&rejection, &charge.key, tier),
        };
        match verb {
            Verb::Look if answer.refused.is_none() => {
                let wait = self.keyed().delay_for(&charge.key, charge.cost);
                let refused = match wait {
                    Ok(wait) if wait.is_zero() => None,
                    Ok(wait) => Some(Refused::For(wait)),
                    Err(rejection) => Some(why(&rejection)),
                };
                Answer { refused, ..answer }
            }
            Verb::Credit | Verb::Consume => Answer { refused: None, ..answer },
            Verb::Take | Verb::Look => answer,
        }
    }

    /// The answer of a charge that the core has decided.
    pub(super) fn answer(&self, decided: &CoreAnswer, charge: &Charge<'_>) -> Answer {
        match decided {
            CoreAnswer::Taken(grant) => self.granted(grant, &charge.key),
            CoreAnswer::Untouched(usage) => Answer {
                remaining: usage.remaining,
                full_after: usage.reset_after,
                ..Answer::default()
            },
            CoreAnswer::Refused(rejection) => {
                match self.tiers.get(charge.quota).and_then(Option::as_ref) {
                    Some(tier) => self.refused(rejection, &charge.key, tier),
                    None => UNLIMITED,
                }
            }
            _ => UNLIMITED,
        }
    }

    /// The answer of a charge that is decided alone.
    pub(super) fn alone(&self, charge: &Charge<'_>) -> Answer {
        let Some(asked) = self.charge(charge) else { return UNLIMITED };
        match asked.try_acquire() {
            Ok(grant) => self.granted(&grant, &charge.key),
            Err(rejection) => match self.tiers.get(charge.quota).and_then(Option::as_ref) {
                Some(tier) => self.refused(&rejection, &charge.key, tier),
                None => UNLIMITED,
            },
        }
    }

    fn granted(&self, grant: &Grant, key: &KeyView<'_>) -> Answer {
        let next_after = match grant.remaining {
            0 => self.keyed().delay_for(key, 1).unwrap_or(grant.reset_after),
            _ => Default::default(),
        };
        let (remaining, full_after) = (grant.remaining, grant.reset_after);
        Answer { refused: None, remaining, full_after, next_after }
    }

    fn refused(&self, rejection: &Rejection, key: &KeyView<'_>, tier: &Tier<A>) -> Answer {
        let (remaining, full_after) = match rejection {
            Rejection::Denied { available, reset_after, .. } => (*available, *reset_after),
            // Nothing is known of a key for which there is no room.
            Rejection::TooManyKeys { .. } => (tier.quota().burst_size(), Default::default()),
            _ => {
                let usage = self.keyed().usage(key);
                (usage.remaining, usage.reset_after)
            }
        };
        Answer { refused: Some(why(rejection)), remaining, full_after, ..Answer::default() }
    }

    pub(super) fn reset(&self, key: &KeyView<'_>) {
        self.keyed().reset(key);
    }

    pub(super) fn keys(&self) -> usize {
        self.keyed().len()
    }

    pub(super) fn most_limited(&self, n: usize) -> Vec<(Key, u64)> {
        let worst = self.keyed().most_limited(n).into_iter();
        worst.map(|offender| (offender.key, offender.denied)).collect()
    }
}

/// The answer under an unlimited quota.
pub(super) const UNLIMITED: Answer = Answer {
    refused: None,
    remaining: u64::MAX,
    full_after: std::time::Duration::ZERO,
    next_after: std::time::Duration::ZERO,
};

fn why(rejection: &Rejection) -> Refused {
    match rejection {
        Rejection::TooManyKeys { .. } => Refused::Full,
        rejection => rejection.retry_after().map_or(Refused::Never, Refused::For),
    }
}
