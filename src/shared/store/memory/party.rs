//! One subject's part in an ask, and each verb on the subject's buckets.

use std::time::Duration;

use smallvec::SmallVec;

use super::bucket::{Bucket, Demand};
use super::spaces::Space;
use crate::Timestamp;
use crate::shared::store::{Answer, Charge, Level, Outcome, Receipt, StoreError, Verb, Verdict};

/// The buckets of one subject, one for each limit of its namespace.
pub(super) type BucketsOfOne = SmallVec<[Bucket; 1]>;

/// The levels that an answer has.
pub(super) type Levels = SmallVec<[Level; 2]>;

/// What an ask says apart from its parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) verb: Verb,
    pub(super) count: u64,
    pub(super) patience: Duration,
}

/// One subject, and charges that fit its namespace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Party<'a> {
    pub(super) space: &'a Space,
    pub(super) subject: &'a str,
    pub(super) charges: &'a [Charge],
    pub(super) shadow: bool,
}

impl<'a> Party<'a> {
    /// # Errors
    ///
    /// If the namespace is not among `spaces`, or the charges do not fit it.
    #[inline]
    pub(super) fn new(
        spaces: &'a [Space],
        namespace: usize,
        subject: &'a str,
        charges: &'a [Charge],
        shadow: bool,
    ) -> Result<Self, StoreError> {
        let Some(space) = spaces.get(namespace) else {
            return Err(StoreError::Misfit("a part names a namespace that was not opened"));
        };
        space.check(charges)?;
        Ok(Self { space, subject, charges, shadow })
    }

    /// Buckets for a subject of which nothing is known.
    pub(super) fn full(&self, now: Timestamp) -> BucketsOfOne {
        self.space.terms(self.charges).map(|(terms, _)| Bucket::full(terms, now)).collect()
    }

    /// The demand of each limit, for `count` times the charges.
    #[inline]
    fn demands(&self, count: u64) -> impl Iterator<Item = Demand<'a>> {
        self.space.terms(self.charges).map(move |(terms, charge)| Demand {
            terms,
            permits: charge.cost.checked_mul(count),
            is_free: charge.cost == 0,
            receipt: charge.receipt,
        })
    }

    #[inline]
    pub(super) fn is_same_subject(&self, other: &Party<'_>) -> bool {
        self.space.number == other.space.number && self.subject == other.subject
    }

    /// What the limits say to `count` times the charges: whether all of them let the charges pass,
    /// and the time until the permits are there. Adds the levels, of each the verdict and the wait.
    #[inline]
    pub(super) fn judge(
        &self,
        buckets: &[Bucket],
        count: u64,
        patience: Duration,
        now: Timestamp,
        levels: &mut Levels,
    ) -> (bool, Duration) {
        let (mut passes, mut after) = (true, Duration::ZERO);
        for (bucket, demand) in buckets.iter().zip(self.demands(count)) {
            let (verdict, wait) = bucket.judge(&demand, now, patience);
            passes &= verdict == Verdict::Granted;
            after = after.max(wait);
            levels.push(Level { verdict, wait, ..Level::new(0) });
        }
        (passes, after)
    }

    /// Takes `count` times the charges, and writes the receipts.
    #[inline]
    pub(super) fn take(
        &self,
        buckets: &mut [Bucket],
        count: u64,
        now: Timestamp,
        levels: &mut [Level],
    ) {
        for ((bucket, demand), level) in buckets.iter_mut().zip(self.demands(count)).zip(levels) {
            level.receipt = bucket.take(&demand, now, false);
        }
    }

    /// Writes how the levels are, apart from verdict, wait and receipt, which are written already.
    #[inline]
    pub(super) fn show(&self, buckets: &[Bucket], now: Timestamp, levels: &mut [Level]) {
        for ((bucket, demand), level) in buckets.iter().zip(self.demands(0)).zip(levels) {
            bucket.show(&demand, now, level);
        }
    }

    /// How many times the charges can be taken now, at most `count`, if no other part charges the
    /// same subject.
    pub(super) fn times(&self, buckets: &[Bucket], count: u64, now: Timestamp) -> u64 {
        let all = buckets.iter().zip(self.demands(1)).zip(self.charges);
        all.fold(count, |least, ((bucket, demand), charge)| {
            least.min(bucket.times(&demand, now, charge.cost))
        })
    }

    /// Does what a verb says that asks no limit. Returns the levels, of each only the receipt.
    ///
    /// # Errors
    ///
    /// If a debt could not be repaid within the range of a clock. Nothing has changed then.
    pub(super) fn impose(
        &self,
        buckets: &mut [Bucket],
        call: Call,
        now: Timestamp,
    ) -> Result<Levels, StoreError> {
        let count = call.count;
        let mut demands = buckets.iter().zip(self.demands(count));
        let is_raise = call.verb == Verb::Raise;
        if (call.verb == Verb::Consume || is_raise)
            && !demands.all(|(bucket, it)| bucket.can_owe(&it, now, is_raise))
        {
            return Err(StoreError::Misfit("the debt could not be repaid within 584 years"));
        }
        let each = buckets.iter_mut().zip(self.demands(count));
        let levels = each
            .map(|(bucket, demand)| {
                let receipt = match call.verb {
                    Verb::Consume => bucket.take(&demand, now, true),
                    Verb::HandBack => bucket.hand_back(&demand, now, false),
                    Verb::Cancel => bucket.hand_back(&demand, now, true),
                    Verb::Raise => {
                        bucket.raise(&demand, now);
                        Receipt::default()
                    }
                    Verb::Credit => {
                        bucket.credit(&demand, now);
                        Receipt::default()
                    }
                    Verb::Reset => {
                        *bucket = Bucket::full(demand.terms, now);
                        Receipt::default()
                    }
                    // These ask the limits.
                    Verb::Take | Verb::TakeUpTo | Verb::Look => Receipt::default(),
                };
                Level { receipt, ..Level::new(0) }
            })
            .collect();
        Ok(levels)
    }

    /// Does all of a call on the only subject of an ask. The answer is written in place, since it
    /// is large.
    #[inline]
    pub(super) fn execute(
        &self,
        buckets: &mut [Bucket],
        call: Call,
        now: Timestamp,
        answer: &mut Answer,
    ) -> Result<(), StoreError> {
        match call.verb {
            Verb::Take => self.execute_take(buckets, call.count, call.patience, now, answer),
            Verb::Look => {
                let mut copy = BucketsOfOne::from(&*buckets);
                self.execute_take(&mut copy, call.count, call.patience, now, answer);
            }
            Verb::TakeUpTo => {
                let count = self.times(buckets, call.count, now);
                // If not even one is there, the answer says when it will be.
                let count = count.max(call.count.min(1));
                self.execute_take(buckets, count, Duration::ZERO, now, answer);
            }
            _ => {
                answer.levels = self.impose(buckets, call, now)?;
                self.show(buckets, now, &mut answer.levels);
                (answer.outcome, answer.count) = (DONE, call.count);
            }
        }
        Ok(())
    }

    #[inline]
    fn execute_take(
        &self,
        buckets: &mut [Bucket],
        count: u64,
        patience: Duration,
        now: Timestamp,
        answer: &mut Answer,
    ) {
        let levels = &mut answer.levels;
        if let ([bucket], Some(demand)) = (&mut *buckets, self.demands(count).next()) {
            if let Some(level) = bucket.take_at_once(&demand, now) {
                levels.push(level);
                (answer.outcome, answer.count) = (DONE, count);
                return;
            }
        }
        let (passes, after) = self.judge(buckets, count, patience, now, levels);
        if passes {
            self.take(buckets, count, now, levels);
            (answer.outcome, answer.count) = (Outcome::Done { after }, count);
        }
        self.show(buckets, now, levels);
    }
}

/// An answer that was not filled in.
#[inline]
pub(super) fn no_answer() -> Answer {
    Answer { outcome: Outcome::Refused, count: 0, levels: Levels::new() }
}

/// Done at once.
pub(super) const DONE: Outcome = Outcome::Done { after: Duration::ZERO };
