//! One limit under one rule: a keyed limiter, and the quotas under which a policy asks it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tollgate::algorithm::Algorithm;
use tollgate::keyed::{self, KeyCharge, Tier};
use tollgate::{Answer as CoreAnswer, ConsumeError, Grant, Keyed, Quota, QuotaError, Rejection};

use super::EngineClock;
use crate::engine::key::{Key, KeyParts};
use crate::engine::store::{Answer, Charge, LimitSpec, Verb, Verdict};
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
pub(super) type KeyChargeBy<'a, A> = KeyCharge<'a, Key, KeyParts, A, EngineClock>;

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
        let tier =
            |quota: &Quota| (!quota.is_unlimited()).then(|| shared.keyed.tier(*quota)).transpose();
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

/// The quota of the bucket that keys without room share: the limit's own. If that is unlimited, the
/// smallest of the others, so that a flood of new keys does not lift the limits of tiers.
fn own_quota(spec: &LimitSpec) -> Quota {
    let own = spec.quotas.first().copied().unwrap_or(Quota::unlimited());
    let limited = spec.quotas.iter().copied().filter(|quota| !quota.is_unlimited());
    if own.is_unlimited() { limited.max_by_key(Quota::interval).unwrap_or(own) } else { own }
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

    /// The quota of a charge; `None` if it is unlimited.
    pub(super) fn tier(&self, charge: &Charge) -> Option<&Tier<A>> {
        self.tiers.get(charge.quota)?.as_ref()
    }

    /// The charge for the core; `None` under an unlimited quota.
    pub(super) fn charge<'a>(&'a self, charge: &'a Charge) -> Option<KeyChargeBy<'a, A>> {
        self.charge_of(charge, charge.cost)
    }

    /// The same charge with another cost.
    fn charge_of<'a>(&'a self, charge: &'a Charge, cost: u64) -> Option<KeyChargeBy<'a, A>> {
        let tier = self.tier(charge)?;
        Some(self.keyed().charge(&charge.key).cost(cost).under(tier))
    }

    /// Decides a charge alone.
    pub(super) fn alone(&self, charge: &Charge) -> Answer {
        match self.charge(charge) {
            Some(asked) => self.decided(asked.try_acquire(), charge),
            None => Answer::UNLIMITED,
        }
    }

    /// The answer of a charge that the core has decided together with others.
    pub(super) fn answer(&self, decided: &CoreAnswer, charge: &Charge) -> Answer {
        match decided {
            CoreAnswer::Taken(grant) => self.granted(grant, charge),
            CoreAnswer::Refused(rejection) => self.refused(rejection, charge),
            CoreAnswer::Untouched(usage) => Answer {
                remaining: usage.remaining,
                full_after: usage.reset_after,
                ..Answer::UNLIMITED
            },
            // All charges were decided.
            _ => Answer::UNLIMITED,
        }
    }

    /// Looks, gives back, or takes as debt; answers what is then left.
    pub(super) fn act(&self, verb: Verb, charge: &Charge) -> Answer {
        if self.tier(charge).is_none() {
            return Answer::UNLIMITED;
        }
        match verb {
            Verb::Look if charge.cost > 0 => return self.look(charge, charge.cost),
            Verb::Credit => {
                self.move_to_quota(charge);
                self.keyed().credit(&charge.key, charge.cost);
            }
            Verb::Consume => {
                let there = self.move_to_quota(charge);
                self.consume(charge, there);
            }
            Verb::Look | Verb::Take => {}
        }
        // Nobody has asked for anything, so nothing is refused, even if there is debt.
        let left = self.look(charge, 0);
        if left.refuses() {
            let next = self.look(charge, 1);
            return Answer { verdict: Verdict::Granted, ..next };
        }
        left
    }

    /// What a request of this cost would be answered. Nothing changes.
    fn look(&self, charge: &Charge, cost: u64) -> Answer {
        let look = |cost| self.charge_of(charge, cost).map(|charge| charge.look());
        let Some(answer) = look(cost) else { return Answer::UNLIMITED };
        let remaining = answer.remaining();
        let full_after = answer.reset_after();
        let (verdict, wait) = match answer.rejection() {
            Some(rejection) => (verdict(&rejection), rejection.retry_after().unwrap_or_default()),
            None if remaining == Some(0) => {
                let next = look(1).and_then(|next| next.rejection()?.retry_after());
                (Verdict::Granted, next.unwrap_or_default())
            }
            None => (Verdict::Granted, Duration::ZERO),
        };
        if let (Some(remaining), Some(full_after)) = (remaining, full_after) {
            return Answer { verdict, remaining, full_after, wait };
        }
        // More than the burst: to ask for nothing tells what is left under the same quota.
        let left = look(0);
        let remaining = left.and_then(|left| left.remaining()).unwrap_or(0);
        let full_after = left.and_then(|left| left.reset_after()).unwrap_or_default();
        Answer { verdict, remaining, full_after, wait }
    }

    /// Moves the key to the quota of the charge, unless its bucket is full; returns how many
    /// permits are there.
    fn move_to_quota(&self, charge: &Charge) -> u64 {
        let nothing = self.charge_of(charge, 0).map(|nothing| nothing.try_acquire());
        nothing.map_or(0, |answer| answer.map_or(0, |grant| grant.remaining))
    }

    /// Takes permits as debt if they are not there. The core notes debt under the quota of the key's
    /// last request, and a full bucket has none. So first what is there is taken under the quota of
    /// the charge.
    fn consume(&self, charge: &Charge, there: u64) {
        let part = charge.cost.min(there);
        let is_taken = self.charge_of(charge, part).is_some_and(|part| part.allow());
        let mut debt = if is_taken { charge.cost - part } else { charge.cost };
        // A debt that could not be repaid within centuries is not recorded, but a part of it is.
        while debt > 0
            && let Err(ConsumeError::DebtTooLarge { .. }) = self.keyed().consume(&charge.key, debt)
        {
            debt /= 2;
        }
    }

    /// The time until the next permit, if none is left.
    fn next_after(&self, charge: &Charge, remaining: u64, full_after: Duration) -> Duration {
        match remaining {
            0 => self.keyed().delay_for(&charge.key, 1).unwrap_or(full_after),
            _ => Duration::ZERO,
        }
    }

    fn decided(&self, decided: Result<Grant, Rejection>, charge: &Charge) -> Answer {
        match decided {
            Ok(grant) => self.granted(&grant, charge),
            Err(rejection) => self.refused(&rejection, charge),
        }
    }

    fn granted(&self, grant: &Grant, charge: &Charge) -> Answer {
        let (remaining, full_after) = (grant.remaining, grant.reset_after);
        let wait = self.next_after(charge, remaining, full_after);
        Answer { verdict: Verdict::Granted, remaining, full_after, wait }
    }

    #[cold]
    fn refused(&self, rejection: &Rejection, charge: &Charge) -> Answer {
        let (remaining, full_after) = self.left_after(rejection, charge);
        let wait = rejection.retry_after().unwrap_or_default();
        Answer { verdict: verdict(rejection), remaining, full_after, wait }
    }

    /// What is left, and the time until all is there.
    fn left_after(&self, rejection: &Rejection, charge: &Charge) -> (u64, Duration) {
        match rejection {
            Rejection::Denied { available, reset_after, .. } => (*available, *reset_after),
            // Nothing is known of a key for which there is no room.
            Rejection::TooManyKeys { .. } => (0, Duration::ZERO),
            _ => {
                let left = self.look(charge, 0);
                (left.remaining, left.full_after)
            }
        }
    }

    pub(super) fn keys(&self) -> usize {
        self.keyed().len()
    }

    pub(super) fn most_limited(&self, n: usize) -> Vec<(Key, u64)> {
        let worst = self.keyed().most_limited(n).into_iter();
        worst.map(|offender| (offender.key, offender.denied)).collect()
    }
}

fn verdict(rejection: &Rejection) -> Verdict {
    match rejection {
        Rejection::TooManyKeys { .. } => Verdict::Full,
        rejection if rejection.retry_after().is_some() => Verdict::Refused,
        _ => Verdict::Never,
    }
}
