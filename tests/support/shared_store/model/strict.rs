//! A strict window: a log of all charges. A charge counts for a period, and the store may count it
//! for 1/64 of the period longer.

use tollgate::Quota;

use super::{Mark, Range};

/// How long after a period a charge may still count.
const PARTS: u64 = 64;

#[derive(Clone, Debug)]
pub(crate) struct Strict {
    pub(super) quota: Quota,
    /// The charges of both sides, oldest first: when, and how much of it is left.
    logs: [Vec<(u64, u64)>; 2],
}

impl Strict {
    pub(super) fn full(quota: Quota) -> Self {
        Self { quota, logs: [Vec::new(), Vec::new()] }
    }

    fn period(&self) -> u64 {
        u64::try_from(self.quota.period().as_nanos()).expect("a period of this test")
    }

    fn grain(&self) -> u64 {
        self.period().div_ceil(PARTS)
    }

    /// How long a charge counts, for both sides.
    fn lifetimes(&self) -> [u64; 2] {
        [self.period(), self.period() + self.grain()]
    }

    /// When at most `wanted` permits count, for both sides.
    fn down_to(&self, now: u64, wanted: u64) -> Range {
        let [least, most] = [0, 1].map(|side| {
            let (log, life) = (&self.logs[side], self.lifetimes()[side]);
            let counts = log.iter().filter(|(at, _)| at + life > now);
            let mut rest: u64 = counts.clone().map(|(_, permits)| permits).sum();
            let mut ready = now;
            for (at, permits) in counts {
                if rest <= wanted {
                    break;
                }
                rest -= permits;
                ready = at + life;
            }
            ready
        });
        least..=most
    }

    pub(super) fn used(&self, now: u64) -> Range {
        let [least, most] = [0, 1].map(|side| {
            let life = self.lifetimes()[side];
            let counts = self.logs[side].iter().filter(|(at, _)| at + life > now);
            counts.map(|(_, permits)| permits).sum()
        });
        least..=most
    }

    pub(super) fn ready(&self, now: u64, permits: u64) -> Range {
        self.down_to(now, self.quota.permits() - permits)
    }

    pub(super) fn full_at(&self, now: u64) -> Range {
        self.down_to(now, 0)
    }

    pub(super) fn take(&mut self, now: u64, permits: u64) {
        self.forget(now);
        if permits > 0 {
            self.logs.iter_mut().for_each(|log| log.push((now, permits)));
        }
    }

    /// The more is in use, the less is taken.
    pub(super) fn raise(&mut self, now: u64, permits: u64) {
        self.forget(now);
        let (least, most) = self.used(now).into_inner();
        for (log, used) in self.logs.iter_mut().zip([most, least]) {
            if permits > used {
                log.push((now, permits - used));
            }
        }
    }

    /// The oldest charges are lowered first.
    pub(super) fn credit(&mut self, now: u64, permits: u64) {
        self.forget(now);
        for log in &mut self.logs {
            lower(log.iter_mut(), permits);
            log.retain(|(_, permits)| *permits > 0);
        }
    }

    /// The store may count a charge together with its neighbours, of which credits may have left
    /// more than of the charge itself. As little as can be in use is what is left if the newest of
    /// them gave back; of a neighbour that did so for another charge, an older one is left.
    pub(super) fn hand_back(&mut self, now: u64, permits: u64, mark: &mut Mark, _: bool) {
        self.forget(now);
        let (at, grain) = (mark.at, self.grain());
        let [least, most] = &mut self.logs;
        let near = least.iter_mut().rev().filter(|(other, _)| *other <= at + grain);
        lower(near, permits);
        lower(most.iter_mut().filter(|(other, _)| *other == at), permits);
    }

    fn forget(&mut self, now: u64) {
        let lifetimes = self.lifetimes();
        for (log, life) in self.logs.iter_mut().zip(lifetimes) {
            log.retain(|(at, _)| at + life > now);
        }
    }
}

/// Lowers the charges in turn, by so many permits together.
fn lower<'a>(charges: impl Iterator<Item = &'a mut (u64, u64)>, permits: u64) {
    let mut rest = permits;
    for (_, left) in charges {
        let given = rest.min(*left);
        (*left, rest) = (*left - given, rest - given);
    }
}
