//! Waiting, reserving, and asking many times.

use std::thread;
use std::time::Duration;

use tollgate::{CancelToken, Clock, RateLimiter, Timestamp};

use super::answer::Answer;
use super::session::{Session, nanos_of};
use super::vector::Step;

impl Session<'_> {
    pub(super) fn reserve(&mut self, step: &Step, n: u64) -> Answer {
        let promised = match step.int("max_wait") {
            Some(max) => self.limiter.reserve_within(n, self.duration(max)),
            None => self.limiter.reserve(n),
        };
        let Ok(held) = promised else {
            return Answer::Fields(vec![
                ("ok", Answer::Bool(false)),
                ("act_at", Answer::Nanos(None)),
            ]);
        };
        let act_at =
            self.vector.times.of_clock(self.limiter.now() + held.delay().expect("it comes"));
        let name = step.arg("name").as_str().map(str::to_owned);
        self.reservations.push((name, held));
        Answer::Fields(vec![("ok", Answer::Bool(true)), ("act_at", Answer::At(act_at))])
    }

    /// Cancelling a reservation that was refused has no effect.
    pub(super) fn cancel(&mut self, step: &Step) -> Answer {
        let name = step.arg("of").as_str();
        let held = self.reservations.iter().position(|(held, _)| held.as_deref() == name);
        if let Some(index) = held {
            self.reservations.remove(index).1.cancel();
        }
        Answer::Done
    }

    pub(super) fn duration(&self, time: i128) -> Duration {
        let nanos = time.saturating_mul(self.vector.times.unit).max(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Blocks a thread; the clock goes to the moment it should wake, and not a nanosecond further.
    pub(super) fn wait(&self, step: &Step, n: u64) -> Answer {
        let start = self.clock.now();
        let cancel = CancelToken::new();
        if step.flag("cancelled") {
            cancel.cancel();
        }
        let on_clock = |name| step.int(name).map(|t| self.vector.times.on_clock(t));
        let (deadline, cancel_at) = (on_clock("deadline"), on_clock("cancel_at"));
        let due = self.limiter.delay_for(n).map_or(Timestamp::MAX, |delay| start + delay);
        let mut early = false;
        let granted = thread::scope(|scope| {
            let waiter = scope.spawn(|| match deadline {
                Some(deadline) => self.limiter.wait_deadline(n, deadline),
                None => self.limiter.wait_cancellable(n, &cancel),
            });
            while !waiter.is_finished() && self.clock.sleepers() == 0 {
                thread::yield_now();
            }
            if self.clock.sleepers() > 0 {
                if let Some(at) = cancel_at.filter(|at| *at < due) {
                    self.clock.set(at);
                    cancel.cancel();
                } else {
                    self.clock.set(Timestamp::from_nanos(due.as_nanos() - 1));
                    early = self.clock.sleepers() != 1;
                    self.clock.set(due);
                }
            }
            waiter.join().expect("no panic").is_ok()
        });
        assert!(!early, "woken before it was due");
        Answer::Fields(vec![
            ("ok", Answer::Bool(granted)),
            ("elapsed", nanos_of(self.clock.now() - start)),
        ])
    }

    pub(super) fn wait_max(&self, step: &Step, n: u64) -> Answer {
        let max = self.duration(step.int("max_wait").unwrap_or(i128::from(i64::MAX)));
        let Ok(held) = self.limiter.reserve_within(n, max) else {
            return Answer::Fields(vec![("ok", Answer::Bool(false)), ("slept", Answer::Int(0))]);
        };
        let slept = held.delay().expect("it comes");
        self.clock.advance(slept);
        let granted = held.wait().is_ok();
        Answer::Fields(vec![("ok", Answer::Bool(granted)), ("slept", nanos_of(slept))])
    }

    /// Asks every so often and counts the grants.
    pub(super) fn poll_allow(&self, step: &Step) -> Answer {
        let n = u64::try_from(step.int("n").unwrap_or(1)).unwrap_or(0);
        let start = step.t.unwrap_or(self.vector.start);
        let every = step.int("every").expect("an interval").max(1);
        let until = step.int("until").expect("an end");
        let mut granted = 0;
        let mut t = start;
        while t < until {
            self.clock.set(self.vector.times.on_clock(t));
            granted += i128::from(self.limiter.allow_n(n));
            t += every;
        }
        Answer::Int(granted)
    }

    pub(super) fn concurrent_allow(&self, step: &Step) -> Answer {
        let named = ["calls", "callers", "threads", "requests", "count", "times"];
        let (calls, n) = match step.int_of(&named) {
            Some(calls) => (calls, step.int("n").unwrap_or(1)),
            None => (step.int("n").unwrap_or(15), 1),
        };
        let n = u64::try_from(n).unwrap_or(0);
        let granted = thread::scope(|scope| {
            let callers: Vec<_> =
                (0..calls).map(|_| scope.spawn(|| self.limiter.allow_n(n))).collect();
            let answers = callers.into_iter().map(|caller| caller.join().expect("no panic"));
            answers.filter(|granted| *granted).count()
        });
        Answer::Int(i128::try_from(granted).expect("a count fits"))
    }
}
