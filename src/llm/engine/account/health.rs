//! When an account may be used, after what its last responses said of it.

use std::time::Duration;

use crate::Timestamp;

/// A refusal that arrives later than this after the previous pause has ended starts a new overload:
/// the count of consecutive refusals starts over, even if no request succeeded in between.
pub(super) const OVERLOAD_MEMORY: Duration = Duration::from_secs(60);

/// The pause after the first 429 whose response does not ask for one; it doubles with each further
/// 429 in a row.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// The rest after the second failure in a row; it doubles with each further one.
const FIRST_REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The rest after the first response that says that the account is spent.
const FIRST_SPENT_REST: Duration = Duration::from_secs(120);

/// How long an account on trial waits for the answer to its request before it sends another one.
pub(super) const TRIAL: Duration = Duration::from_secs(10);

/// The health of an account: whether it may be used, and whether others are preferred.
///
/// An account *on trial* sends one request at a time until one is answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Health {
    /// No request may be sent before: the latest of the three times below.
    closed_until: Timestamp,
    /// The end of a pause or a rest.
    pub(super) paused_until: Timestamp,
    /// While on trial: when the next request may be sent, unless an answer arrives earlier.
    pub(super) trial_until: Timestamp,
    /// Until when other accounts are taken, because other processes have used this one up.
    held_back_until: Timestamp,
    pub(super) on_trial: bool,
    /// Whether there is anything that a good answer would change.
    pub(super) troubled: bool,
    /// Consecutive 429s, failures, and responses that say that the account is spent. Those of
    /// requests that were in flight together count once.
    pub(super) refusals: u32,
    pub(super) failures: u32,
    pub(super) spent: u32,
    /// The end of the last rest of a spent account.
    pub(super) spent_until: Timestamp,
    /// When the last trouble was noted, and the number of the last request that was sent before.
    /// Requests up to that one met the same trouble.
    noted_at: Option<Timestamp>,
    noted_after: u64,
}

/// A request whose response is noted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    pub(crate) now: Timestamp,
    /// The number of the request, if it had a permit.
    pub(crate) request: Option<u64>,
    /// The number of the last request that was sent.
    pub(crate) newest: u64,
}

impl Health {
    /// An account about which nothing is known: it sends one request first.
    pub(crate) fn on_trial() -> Self {
        Self { on_trial: true, troubled: true, ..Self::default() }
    }

    /// Whether a request may be sent.
    #[inline]
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        self.closed_until <= now
    }

    /// When a request may be sent.
    #[inline]
    pub(crate) fn open_at(&self) -> Timestamp {
        self.closed_until
    }

    /// Whether the account is closed until a request on trial is answered.
    pub(crate) fn waits_for_answer(&self) -> bool {
        self.on_trial && self.trial_until > self.paused_until
    }

    /// When a request may be sent at the soonest: as soon as that on trial is answered, if there is
    /// one.
    pub(crate) fn soonest(&self) -> Timestamp {
        self.paused_until
    }

    /// The end of the pause that a response has caused.
    pub(crate) fn paused_until(&self) -> Timestamp {
        self.paused_until
    }

    /// Whether other accounts are preferred, because requests have failed.
    #[inline]
    pub(crate) fn is_failing(&self) -> bool {
        self.troubled && self.failures + self.spent > 0
    }

    /// Notes that a request is sent.
    #[inline]
    pub(crate) fn sent(&mut self, now: Timestamp) {
        if self.on_trial {
            self.trial_until = now + TRIAL;
            self.close();
        }
    }

    /// Notes that a request ended in an unknown way, or was not sent: another one can be tried.
    #[inline]
    pub(crate) fn ended(&mut self, request: u64) {
        if self.on_trial && !self.is_from_before(request) {
            self.trial_until = Timestamp::ZERO;
            self.close();
        }
    }

    /// Whether a request was sent before the last trouble was noted. Such a request is not the one on
    /// trial, and says nothing about it.
    fn is_from_before(&self, request: u64) -> bool {
        self.noted_at.is_some() && request <= self.noted_after
    }

    /// Notes that the server accepted a request. Returns whether that changes anything.
    #[inline]
    pub(crate) fn succeeded(&mut self, request: Option<u64>) -> bool {
        if !self.troubled {
            return false;
        }
        if self.on_trial && request.is_some_and(|request| self.is_from_before(request)) {
            return false;
        }
        let Self { paused_until, noted_at, noted_after, .. } = *self;
        *self = Self { paused_until, noted_at, noted_after, ..Self::default() };
        self.close();
        true
    }

    /// Notes that the server accepted a request whose response is still to come. That ends the first
    /// trial of an account, and no other trouble. Returns whether that changes anything.
    pub(crate) fn accepted(&mut self) -> bool {
        if !self.on_trial || self.failures + self.spent > 0 {
            return false;
        }
        (self.on_trial, self.trial_until) = (false, Timestamp::ZERO);
        self.close();
        true
    }

    /// Notes that a request was answered with 429. Returns the pause to make if the response does not
    /// ask for one.
    pub(crate) fn refused(&mut self, noted: Noted) -> Duration {
        if self.is_new(noted) {
            if noted.now - self.paused_until > OVERLOAD_MEMORY {
                self.refusals = 0;
            }
            self.refusals = self.refusals.saturating_add(1);
        }
        self.answered();
        doubled(FIRST_BACKOFF, self.refusals.max(1), LONGEST_BACKOFF)
    }

    /// Notes that the server failed to answer a request: others are preferred until a request
    /// succeeds. From the second failure in a row on, the account rests.
    pub(crate) fn failed(&mut self, noted: Noted, longest: Duration) {
        if self.is_new(noted) {
            self.failures = self.failures.saturating_add(1);
        }
        self.answered();
        if self.failures > 1 {
            self.on_trial = true;
            let longest = LONGEST_REST.min(longest);
            self.pause(noted.now + doubled(FIRST_REST, self.failures - 1, longest));
        }
    }

    /// Notes that a response says that the account is spent. It rests for a time that doubles with
    /// each such response, and then sends one request.
    pub(crate) fn is_spent(&mut self, noted: Noted, longest: Duration) {
        if self.is_new(noted) {
            self.spent = self.spent.saturating_add(1);
        }
        self.answered();
        self.on_trial = true;
        self.spent_until = noted.now + doubled(FIRST_SPENT_REST, self.spent.max(1), longest);
        self.pause(self.spent_until);
    }

    /// Sends no request before `until`, nor before the end of an earlier pause.
    pub(crate) fn pause(&mut self, until: Timestamp) {
        self.paused_until = self.paused_until.max(until);
        self.close();
    }

    /// Sends no request before `until`, because other processes have used the account up.
    #[cfg(feature = "shared")]
    pub(crate) fn hold_back(&mut self, until: Timestamp) {
        self.held_back_until = until;
        self.close();
    }

    /// Whether the account is closed for no other reason than that other processes use it.
    pub(super) fn is_held_back(&self) -> bool {
        self.held_back_until > self.paused_until.max(self.trial_until)
    }

    /// Forgets all trouble: the account may be used as if nothing had happened.
    pub(crate) fn restore(&mut self) {
        *self = Self::default();
    }

    /// Whether this trouble is new. Requests that were in flight together met the same one.
    fn is_new(&mut self, noted: Noted) -> bool {
        let is_new = match (noted.request, self.noted_at) {
            (Some(request), Some(_)) => request > self.noted_after,
            (None, Some(at)) => noted.now > at,
            (_, None) => true,
        };
        if is_new {
            (self.noted_at, self.noted_after) = (Some(noted.now), noted.newest);
        }
        is_new
    }

    /// The request on trial was answered, and there is trouble.
    fn answered(&mut self) {
        (self.troubled, self.trial_until) = (true, Timestamp::ZERO);
        self.close();
    }

    pub(super) fn close(&mut self) {
        self.closed_until = self.paused_until.max(self.trial_until).max(self.held_back_until);
    }
}

/// `first` for the first time, and twice as long for each further one, up to `longest`.
fn doubled(first: Duration, nth: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << nth.saturating_sub(1).min(20)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(secs)
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    /// The response to request number `request`, when `newest` was the last one that was sent.
    fn noted(now: Timestamp, request: u64, newest: u64) -> Noted {
        Noted { now, request: Some(request), newest }
    }

    #[test]
    fn a_spent_account_is_tried_at_most_30_times_a_day() {
        let mut health = Health::default();
        let (mut now, mut tries) = (at(1), 0);
        while now < at(24 * 3_600) {
            health.sent(now);
            tries += 1;
            health.is_spent(noted(now + Duration::from_millis(100), tries, tries), HOUR);
            now = health.open_at();
        }
        assert!((20..=30).contains(&tries), "{tries}");
        assert!(health.is_failing());
        health.succeeded(None);
        assert!(health.is_open(now) && !health.is_failing());
    }

    #[test]
    fn one_failure_is_no_reason_to_rest_and_the_second_is() {
        let mut health = Health::default();
        health.failed(noted(at(2), 1, 2), HOUR);
        // In flight together with the first one.
        health.failed(noted(at(3), 2, 2), HOUR);
        assert!(health.is_failing() && health.is_open(at(3)));
        health.failed(noted(at(5), 3, 3), HOUR);
        assert_eq!(health.open_at(), at(5) + FIRST_REST);
        // One request at a time from then on.
        health.sent(at(6));
        assert!(!health.is_open(at(7)));
        health.succeeded(None);
        assert!(health.is_open(at(7)) && !health.is_failing());
    }

    #[test]
    fn a_success_in_between_does_not_make_an_old_failure_new() {
        let mut health = Health::default();
        health.failed(noted(at(2), 1, 5), HOUR);
        health.succeeded(None);
        for request in 2..=5 {
            health.failed(noted(at(3), request, 5), HOUR);
        }
        assert!(health.is_open(at(3)));
    }

    #[test]
    fn rests_have_a_longest() {
        let mut health = Health::default();
        for n in 0..200 {
            health.failed(noted(at(100 * n + 2), n, n), HOUR);
        }
        assert_eq!(health.open_at(), at(100 * 199 + 2) + LONGEST_REST);
    }

    #[test]
    fn who_is_on_trial_sends_one_request_until_it_is_answered() {
        let mut health = Health::on_trial();
        assert!(health.is_open(at(0)) && !health.is_failing());
        health.sent(at(0));
        assert!(!health.is_open(at(9)));
        assert!(health.is_open(at(10)));
        health.ended(1);
        assert!(health.is_open(at(1)));
        health.sent(at(1));
        assert!(health.succeeded(None));
        assert!(health.is_open(at(1)));
        health.sent(at(1));
        assert!(health.is_open(at(1)));
    }

    #[test]
    fn who_accepts_a_request_has_not_answered_it() {
        let mut health = Health::on_trial();
        health.sent(at(0));
        assert!(health.accepted() && health.is_open(at(1)));
        assert!(!health.accepted());
        // Streams that fail, one after the other.
        health.failed(noted(at(3), 1, 1), HOUR);
        health.failed(noted(at(5), 2, 2), HOUR);
        health.sent(at(6));
        assert!(!health.accepted() && !health.is_open(at(7)));
        health.failed(noted(at(8), 3, 3), HOUR);
        assert_eq!(health.open_at(), at(8) + 2 * FIRST_REST);
    }

    #[test]
    fn a_success_ends_no_pause() {
        let mut health = Health::default();
        health.refused(noted(at(2), 1, 1));
        health.pause(at(60));
        health.succeeded(None);
        assert_eq!(
            (health.open_at(), health.refused(noted(at(71), 2, 2))),
            (at(60), FIRST_BACKOFF)
        );
    }
}
