//! The rule of one host: a token bucket that can be paused.
//!
//! A pause is not a sleep of somebody: it is part of the bucket's state, so the limiter's queue
//! knows of it. Waiters stay in their order, a waiter that can no longer meet its deadline fails at
//! once, and nobody has to be woken when the pause ends. At its end the bucket holds one permit,
//! whatever it held before: the first request goes out at that moment, and the others follow at the
//! quota's pace.

use std::time::Duration;

use tollgate::algorithm::{Algorithm, GreedyRefill, Receipt, Whole};
use tollgate::{CarryOver, Quota, QuotaError, Timestamp};

type Bucket = <GreedyRefill as Algorithm>::State;

/// A number of permits from this one on is not a request but a pause.
const PAUSE: u64 = 1 << 63;

/// How a pause of `duration`, from now on, is told to a limiter of this rule: as permits that are
/// consumed. So a pause is one step under the bucket's lock, and two pauses at the same time are
/// as long as the longer of them.
pub(super) fn pause_as_permits(duration: Duration) -> u64 {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    PAUSE | nanos.min(PAUSE - 1)
}

/// A token bucket that can be paused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace(GreedyRefill);

/// The state of one host.
#[derive(Clone, Debug)]
pub(super) struct PaceState {
    bucket: Bucket,
    /// No request goes out before this time, whatever the bucket holds.
    resume_at: Timestamp,
}

impl Pace {
    fn pause(self, state: &mut PaceState, until: Timestamp) {
        state.resume_at = state.resume_at.max(until);
        self.hold_back(state);
    }

    /// Lowers the bucket so that it holds at most one permit at the end of the pause, and more only
    /// at the quota's pace.
    fn hold_back(self, state: &mut PaceState) {
        let used = u128::from(self.0.limit()).saturating_sub(1);
        let paused = self.0.start(state.resume_at, used);
        let full_at = |bucket| self.0.full_at(bucket, state.resume_at);
        if full_at(&paused) >= full_at(&state.bucket) {
            state.bucket = paused;
        }
    }

    /// Permits may have been given back to the bucket. In a pause, they do not add up.
    fn given_back(self, state: &mut PaceState, now: Timestamp) {
        if now < state.resume_at {
            self.hold_back(state);
        }
    }
}

impl TryFrom<Quota> for Pace {
    type Error = QuotaError;

    fn try_from(quota: Quota) -> Result<Self, QuotaError> {
        GreedyRefill::try_from(quota).map(Self)
    }
}

impl Algorithm for Pace {
    type State = PaceState;
    type Packed = Whole<PaceState>;

    fn is_cumulative(&self) -> bool {
        self.0.is_cumulative()
    }

    fn catches_up(&self) -> bool {
        self.0.catches_up()
    }

    fn quota(&self) -> Quota {
        self.0.quota()
    }

    fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError> {
        quota.try_into()
    }

    fn start(&self, now: Timestamp, used: u128) -> PaceState {
        PaceState { bucket: self.0.start(now, used), resume_at: Timestamp::ZERO }
    }

    fn ready_at(&self, state: &PaceState, now: Timestamp, permits: u64) -> Timestamp {
        self.0.ready_at(&state.bucket, now.max(state.resume_at), permits)
    }

    fn take(&self, state: &mut PaceState, now: Timestamp, permits: u64) {
        match permits.checked_sub(PAUSE) {
            Some(nanos) => self.pause(state, now + Duration::from_nanos(nanos)),
            None => self.0.take(&mut state.bucket, now, permits),
        }
    }

    fn hold(&self, state: &mut PaceState, now: Timestamp, permits: u64, receipt: Receipt) {
        self.0.hold(&mut state.bucket, now, permits, receipt);
    }

    fn release(&self, state: &mut PaceState, permits: u64, receipt: Receipt) {
        self.0.release(&mut state.bucket, permits, receipt);
    }

    fn undo(&self, state: &mut PaceState, now: Timestamp, permits: u64, receipt: Receipt) {
        self.0.undo(&mut state.bucket, now, permits, receipt);
        self.given_back(state, now);
    }

    fn give_back(&self, state: &mut PaceState, now: Timestamp, permits: u64) {
        self.0.give_back(&mut state.bucket, now, permits);
        self.given_back(state, now);
    }

    /// More than the limit during a pause, and never otherwise: this is how a pause can be seen
    /// from outside.
    fn used(&self, state: &PaceState, now: Timestamp) -> u128 {
        let (used, limit) = (self.0.used(&state.bucket, now), u128::from(self.limit()));
        if now < state.resume_at { used.max(limit + 1) } else { used.min(limit) }
    }

    fn full_at(&self, state: &PaceState, now: Timestamp) -> Timestamp {
        self.0.full_at(&state.bucket, now).max(state.resume_at)
    }

    fn carry_over(
        &self,
        previous: &Self,
        state: &PaceState,
        now: Timestamp,
        how: CarryOver,
    ) -> PaceState {
        let bucket = self.0.carry_over(&previous.0, &state.bucket, now, how);
        PaceState { bucket, resume_at: state.resume_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(millis)
    }

    fn rule(quota: &str) -> Pace {
        quota.parse::<Quota>().ok().and_then(|quota| quota.try_into().ok()).expect("a valid quota")
    }

    fn pause(rule: Pace, state: &mut PaceState, now: Timestamp, millis: u64) {
        rule.take(state, now, pause_as_permits(Duration::from_millis(millis)));
    }

    #[test]
    fn after_a_pause_requests_follow_at_the_pace_of_the_quota() {
        let rule = rule("10/s burst 5");
        let mut state = rule.start(at(0), 0);
        pause(rule, &mut state, at(0), 2_000);
        for n in 0..7 {
            let due = rule.ready_at(&state, at(0), 1);
            assert_eq!(due, at(2_000 + n * 100), "request {n}");
            rule.take(&mut state, due, 1);
        }
    }

    #[test]
    fn the_longer_of_two_pauses_counts() {
        let rule = rule("1/s");
        for (first, second) in [(5_000, 700), (700, 5_000)] {
            let mut state = rule.start(at(0), 0);
            pause(rule, &mut state, at(100), first);
            pause(rule, &mut state, at(100), second);
            assert_eq!(rule.ready_at(&state, at(200), 1), at(5_100));
        }
    }

    #[test]
    fn a_cancelled_grant_does_not_shorten_a_pause() {
        let rule = rule("1/10s");
        let mut state = rule.start(at(0), 0);
        let receipt = Receipt::new(1, at(0));
        rule.hold(&mut state, at(0), 1, receipt);
        // The next permit comes in ten seconds anyway, so the bucket stays as it is.
        pause(rule, &mut state, at(0), 8_000);
        assert_eq!(rule.ready_at(&state, at(0), 1), at(10_000));
        rule.undo(&mut state, at(0), 1, receipt);
        assert_eq!(rule.ready_at(&state, at(0), 1), at(8_000));
    }

    #[test]
    fn what_is_given_back_in_a_pause_does_not_add_up() {
        let rule = rule("1/120ms burst 3");
        let mut state = rule.start(at(0), 3);
        let receipts = [1, 2].map(|seq| Receipt::new(seq, at(240)));
        // At 240 ms, the bucket has two permits.
        for receipt in receipts {
            rule.hold(&mut state, at(240), 1, receipt);
        }
        pause(rule, &mut state, at(240), 50);
        rule.undo(&mut state, at(240), 1, receipts[0]);
        rule.undo(&mut state, at(250), 1, receipts[1]);
        rule.give_back(&mut state, at(260), 1);
        assert_eq!(rule.ready_at(&state, at(260), 1), at(290));
        rule.take(&mut state, at(290), 1);
        assert_eq!(rule.ready_at(&state, at(290), 1), at(410));
    }

    #[test]
    fn debt_in_a_pause_counts_from_its_end() {
        for quota in ["1/s", "1/s burst 7"] {
            let rule = rule(quota);
            let mut state = rule.start(at(0), 0);
            pause(rule, &mut state, at(0), 5_000);
            rule.take(&mut state, at(1_000), 1);
            let due = |permits| rule.ready_at(&state, at(1_000), permits);
            assert_eq!((due(0), due(1)), (at(5_000), at(6_000)), "{quota}");
        }
    }

    #[test]
    fn a_host_without_a_limit_can_be_paused() {
        let rule = rule("unlimited");
        let mut state = rule.start(at(0), 0);
        assert_eq!(rule.used(&state, at(0)), 0);
        pause(rule, &mut state, at(0), 300);
        assert_eq!(rule.ready_at(&state, at(299), 9), at(300));
        assert!(rule.used(&state, at(299)) > 0);
        assert_eq!((rule.used(&state, at(300)), rule.full_at(&state, at(0))), (0, at(300)));
    }

    proptest! {
        /// Whatever was taken before and during it, no request passes before the end of a pause,
        /// and from then on at most one and what the pace gives.
        #[test]
        fn a_pause_holds(
            permits in 1..50_u64, period in 1..5_000_u64, burst in 1..30_u64,
            steps in prop::collection::vec((0..3_000_u64, 0..4_000_u64, any::<bool>()), 1..40),
        ) {
            let quota = Quota::per(permits, Duration::from_millis(period)).burst(burst);
            let rule = Pace::try_from(quota).expect("a valid quota");
            let mut state = rule.start(at(0), 0);
            let (mut now, mut resume, mut since) = (0, 0, 0_u64);
            for (later, span, pauses) in steps {
                now += later;
                if pauses {
                    pause(rule, &mut state, at(now), span);
                    if now + span >= resume {
                        (resume, since) = (now + span, 0);
                    }
                } else if rule.try_take(&mut state, at(now), 1) {
                    prop_assert!(now >= resume);
                    if resume > 0 {
                        since += 1;
                        let pace = (now - resume) * permits / period;
                        prop_assert!(since <= 1 + pace, "{since} at {now} after {resume}");
                    }
                }
            }
        }
    }
}
