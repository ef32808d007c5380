//! A token bucket: the time at which it will be full.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};
use tollgate::Quota;

use super::{Mark, Range};

#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(super) quota: Quota,
    /// When it will be full, for both sides.
    full_at: [BigRational; 2],
    /// When it would be full if nothing had ever been given back.
    charged_until: [BigRational; 2],
    /// Until when somebody may wait for permits that were taken for later.
    promised_until: [BigRational; 2],
    /// What a store may take for `charged_until` at most: after a change of the quota, it need not
    /// know better, since receipts from before are void.
    charged_at_most: BigRational,
    pub(super) changes: u32,
    tick: BigRational,
}

fn whole(value: u64) -> BigRational {
    BigRational::from_integer(BigInt::from(value))
}

/// The first nanosecond at or after this.
fn ceil(time: &BigRational) -> u64 {
    time.ceil().to_integer().to_u64().expect("a time of this test")
}

/// How long so many permits take to arrive.
fn time_for(quota: Quota, permits: u64) -> BigRational {
    let period = BigInt::from(quota.period().as_nanos());
    BigRational::new(BigInt::from(permits) * period, quota.permits().into())
}

impl Bucket {
    pub(super) fn full(quota: Quota, tick: u64) -> Self {
        let never = || [BigRational::zero(), BigRational::zero()];
        Self {
            quota,
            full_at: never(),
            charged_until: never(),
            promised_until: never(),
            charged_at_most: BigRational::zero(),
            changes: 0,
            tick: whole(tick),
        }
    }

    /// Does the same to both sides.
    fn both<T>(&self, act: impl Fn(&BigRational) -> T) -> [T; 2] {
        self.full_at.each_ref().map(act)
    }

    pub(super) fn used(&self, now: u64) -> Range {
        let now = whole(now);
        let [least, most] = self.both(|full_at| {
            let missing = (full_at - &now).max(BigRational::zero());
            (missing / time_for(self.quota, 1)).ceil().to_integer().to_u64().expect("few permits")
        });
        least..=most
    }

    pub(super) fn ready(&self, now: u64, permits: u64) -> Range {
        let capacity = time_for(self.quota, self.quota.burst_size());
        let [least, most] = self.both(|full_at| {
            let full_at = full_at.max(&whole(now)) + time_for(self.quota, permits);
            ceil(&(full_at - &capacity).max(whole(now)))
        });
        least..=most
    }

    pub(super) fn full_at(&self, now: u64) -> Range {
        let [least, most] = self.both(|full_at| ceil(full_at.max(&whole(now))));
        least..=most
    }

    /// Takes permits, now or for later.
    pub(super) fn take(&mut self, now: u64, permits: u64) -> [BigRational; 2] {
        let charged_until = self.consume(now, permits);
        // Who has taken permits for later waits until the level falls to the burst.
        if permits > 0 {
            let within_burst_at = self.within_burst_at();
            for (promised, within) in self.promised_until.iter_mut().zip(within_burst_at) {
                *promised = within.max(promised.clone());
            }
        }
        charged_until
    }

    /// Takes permits that are in use already, so nobody waits for them.
    pub(super) fn consume(&mut self, now: u64, permits: u64) -> [BigRational; 2] {
        let cost = time_for(self.quota, permits);
        self.charged_at_most = self.charged_at_most(now) + &cost;
        self.charged_until = self.charged_until(now).map(|until| until + &cost);
        self.full_at = self.both(|full_at| full_at.max(&whole(now)) + &cost);
        self.charged_until.clone()
    }

    /// When the level falls to the burst.
    fn within_burst_at(&self) -> [BigRational; 2] {
        let capacity = time_for(self.quota, self.quota.burst_size());
        self.both(|full_at| full_at - &capacity)
    }

    fn charged_at_most(&self, now: u64) -> BigRational {
        let [_, most] = self.charged_until(now);
        most.max(self.charged_at_most.clone())
    }

    /// At `now`, both sides.
    fn charged_until(&self, now: u64) -> [BigRational; 2] {
        [0, 1].map(|side| {
            let until = (&self.charged_until[side]).max(&self.full_at[side]);
            until.max(&whole(now)).clone()
        })
    }

    pub(super) fn raise(&mut self, now: u64, permits: u64) {
        let raised = whole(now) + time_for(self.quota, permits);
        let full_at = self.both(|full_at| full_at.max(&whole(now)).max(&raised).clone());
        let taken = [0, 1].map(|side| &full_at[side] - (&self.full_at[side]).max(&whole(now)));
        // The side of which less is in use is raised by more.
        self.charged_at_most = self.charged_at_most(now) + &taken[0];
        let [least, most] = self.charged_until(now);
        self.charged_until = [least + &taken[1], most + &taken[0]];
        self.full_at = full_at;
    }

    pub(super) fn credit(&mut self, now: u64, permits: u64) {
        let cost = time_for(self.quota, permits);
        self.charged_at_most = self.charged_at_most(now) + &self.tick;
        self.charged_until = self.charged_until(now);
        self.full_at = self.both(|full_at| full_at - &cost);
        self.charged_until[1] += &self.tick;
    }

    /// Gives back what is in use, less what was taken since.
    pub(super) fn hand_back(&mut self, now: u64, permits: u64, mark: &mut Mark, unfollowed: bool) {
        let Some(charged) = &mut mark.charged_until else { return };
        if permits > 0 {
            self.give(now, permits, charged, unfollowed);
        }
        // A receipt from before a reset becomes one of now.
        for (receipt, until) in charged.iter_mut().zip(self.charged_until(now)) {
            *receipt = (&*receipt).min(&until).clone();
        }
    }

    fn give(
        &mut self,
        now: u64,
        permits: u64,
        charged: &mut [BigRational; 2],
        only_unfollowed: bool,
    ) {
        let (cost, zero) = (time_for(self.quota, permits), BigRational::zero());
        let (until, at_most) = (self.charged_until(now), self.charged_at_most(now));
        let positive = |value: BigRational| value.max(zero.clone());
        let used = self.both(|full_at| positive(full_at - whole(now)));
        // The receipt is rounded down.
        let most_behind = positive(&until[1] - &charged[0] + &self.tick);
        let least_behind = positive(&until[0] - &charged[1]);
        let mut least = positive(&used[0] - &most_behind).min(cost.clone());
        let mut most = positive(&used[1] - &least_behind).min(cost.clone());
        let [surely, perhaps] = self.promised_until.each_ref();
        if only_unfollowed || perhaps + &self.tick > whole(now) {
            least = least.min(positive(&cost - most_behind));
        }
        if only_unfollowed || *surely > whole(now) {
            most = most.min(positive(&cost - least_behind));
        }
        let (before, told) = (self.full_at.clone(), self.within_burst_at());
        self.full_at = [&self.full_at[0] - &most, &self.full_at[1] - &least];
        self.charged_until = until;
        // If nobody took permits since, it is as if less had been charged; but a store may round so
        // that it can't tell.
        if self.charged_until[0] == charged[0] {
            let is_certain = self.charged_until[1] == charged[1];
            // Then who waited last does not wait any more. But once something was given back, a
            // store does not know until when the others wait.
            let cancelled = self.within_burst_at();
            if is_certain && at_most == before[1] && self.promised_until == told {
                self.promised_until = cancelled;
            } else if self.charged_until[0] <= before[1] {
                let [surely, _] = &mut self.promised_until;
                *surely = (&*surely).min(&cancelled[0]).clone();
            }
            self.charged_until[0] -= &most;
            self.charged_at_most = at_most;
            if is_certain {
                self.charged_until[1] -= &least;
                self.charged_at_most -= &least;
                charged[1] -= least;
            }
            charged[0] -= most;
        } else {
            self.charged_until[1] += &self.tick;
            self.charged_at_most = at_most + &self.tick;
        }
    }

    pub(super) fn change(&mut self, now: u64, quota: Quota) {
        if quota == self.quota {
            return;
        }
        let charged_for = self.charged_at_most(now) - whole(now);
        let old_within = self.within_burst_at();
        self.charged_until = self.charged_until(now);
        self.changes += 1;
        let capacity = |quota: Quota| time_for(quota, quota.burst_size());
        let (factor, now) = (capacity(quota) / capacity(self.quota), whole(now));
        let carried = |full_at: &BigRational| {
            let missing = full_at - &now;
            // A bucket that is full is full.
            if missing > BigRational::zero() { &now + missing * &factor } else { now.clone() }
        };
        let [least, most] = self.both(carried);
        // The store may round both capacities and the level before it calculates, and the result.
        let slack = &self.tick * (&factor + whole(1)) * whole(4);
        let most = if most > now { most + slack } else { most };
        (self.full_at, self.quota) = ([least, most], quota);
        self.charged_at_most = &self.full_at[1] + charged_for + &self.tick * whole(2);
        // Who waits was told a time, and that stands. A store may round so that it thinks that
        // somebody waits if about the burst is in use.
        let soon = &now + &self.tick;
        if old_within[0] <= soon && &old_within[1] + &self.tick > now {
            let [_, perhaps] = &mut self.promised_until;
            *perhaps = (&*perhaps).max(&soon).clone();
        }
    }
}
