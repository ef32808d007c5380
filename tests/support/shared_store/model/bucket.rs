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
    /// Once something was given back: until when somebody may wait for permits that were taken for
    /// later.
    promised_until: [BigRational; 2],
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
        let (full_at, charged_until, promised_until) = (never(), never(), never());
        Self { quota, full_at, charged_until, promised_until, changes: 0, tick: whole(tick) }
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

    pub(super) fn take(&mut self, now: u64, permits: u64) -> [BigRational; 2] {
        let cost = time_for(self.quota, permits);
        let charged_until = self.charged_until(now).map(|until| until + &cost);
        self.promised_until = self.promised_until(now);
        self.full_at = self.both(|full_at| full_at.max(&whole(now)) + &cost);
        let capacity = time_for(self.quota, self.quota.burst_size());
        for (promised, full_at) in self.promised_until.iter_mut().zip(&self.full_at) {
            *promised = (full_at - &capacity).max(promised.clone());
        }
        self.charged_until.clone_from(&charged_until);
        charged_until
    }

    /// Until when somebody may wait: as long as nothing was given back, the level tells.
    fn promised_until(&self, now: u64) -> [BigRational; 2] {
        let capacity = time_for(self.quota, self.quota.burst_size());
        let full_at = self.both(|full_at| full_at.max(&whole(now)).clone());
        let is_as_charged = full_at == self.charged_until(now);
        let of_level = full_at.each_ref().map(|full_at| full_at - &capacity);
        if is_as_charged {
            return of_level;
        }
        let [surely, perhaps] = self.promised_until.clone();
        let (least, most) = if surely <= perhaps { (surely, perhaps) } else { (perhaps, surely) };
        if self.charged_until(now)[0] > full_at[1] {
            return [least, most];
        }
        // Perhaps something was given back, and perhaps nothing.
        let [surely, perhaps] = of_level;
        [least.min(surely), most.max(perhaps)]
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
        let [least, most] = self.charged_until(now);
        self.charged_until = [least + &taken[1], most + &taken[0]];
        self.full_at = full_at;
    }

    pub(super) fn credit(&mut self, now: u64, permits: u64) {
        let cost = time_for(self.quota, permits);
        self.promised_until = self.promised_until(now);
        self.charged_until = self.charged_until(now);
        self.full_at = self.both(|full_at| full_at - &cost);
        self.charged_until[1] += &self.tick;
    }

    /// Gives back what is in use, less what was taken since.
    pub(super) fn hand_back(&mut self, now: u64, permits: u64, mark: &mut Mark, unfollowed: bool) {
        let Some(charged) = &mut mark.charged_until else { return };
        let (cost, zero) = (time_for(self.quota, permits), BigRational::zero());
        let until = self.charged_until(now);
        let positive = |value: BigRational| value.max(zero.clone());
        let used = self.both(|full_at| positive(full_at - whole(now)));
        // The receipt is rounded down.
        let most_behind = positive(&until[1] - &charged[0] + &self.tick);
        let least_behind = positive(&until[0] - &charged[1]);
        let mut least = positive(&used[0] - &most_behind).min(cost.clone());
        let mut most = positive(&used[1] - &least_behind).min(cost.clone());
        self.promised_until = self.promised_until(now);
        let [surely, perhaps] = self.promised_until.each_ref();
        // After a change of the quota, a store may think that others wait.
        if unfollowed || perhaps + &self.tick > whole(now) || self.changes > 0 {
            least = least.min(positive(&cost - most_behind));
        }
        if unfollowed || *surely > whole(now) {
            most = most.min(positive(&cost - least_behind));
        }
        self.full_at = [&self.full_at[0] - &most, &self.full_at[1] - &least];
        self.charged_until = until;
        // If nobody took permits since, it is as if less had been charged; but a store may round so
        // that it can't tell.
        if self.charged_until[0] == charged[0] {
            let is_certain = self.charged_until[1] == charged[1];
            self.charged_until[0] -= &most;
            if is_certain {
                self.charged_until[1] -= &least;
                charged[1] -= least;
            }
            charged[0] -= most;
        } else {
            self.charged_until[1] += &self.tick;
        }
        // A receipt from before a reset becomes one of now.
        for (receipt, until) in charged.iter_mut().zip(&self.charged_until) {
            *receipt = (&*receipt).min(until).clone();
        }
    }

    pub(super) fn change(&mut self, now: u64, quota: Quota) {
        if quota == self.quota {
            return;
        }
        self.promised_until = self.promised_until(now);
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
    }
}
