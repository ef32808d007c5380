//! A limiter in the middle of a vector: what each operation asks of it.

use std::time::Duration;

use num_rational::BigRational;
use num_traits::ToPrimitive;
use tollgate::algorithm::Algorithm;
use tollgate::{ManualClock, RateLimiter, Rejection, Reservation, Timestamp};

use super::answer::Answer;
use super::any_rule::{AnyRule, AnyState, VectorLimiter};
use super::build::Refusal;
use super::exact::{rate, time_for, whole};
use super::vector::{Limit, Step, Vector, integer};

/// A limiter, and what a vector holds of it.
pub(super) struct Session<'a> {
    pub(super) vector: &'a Vector,
    pub(super) clock: &'a ManualClock,
    pub(super) limiter: &'a VectorLimiter,
    pub(super) rules: Vec<AnyRule>,
    pub(super) limits: Vec<Limit>,
    pub(super) reservations: Vec<(Option<String>, Reservation<'a>)>,
    pub(super) replacements: usize,
}

impl Session<'_> {
    pub(super) fn step(&mut self, step: &Step) -> Result<Answer, Refusal> {
        Ok(match step.op.as_str() {
            "set_rate" => return self.set_rate(step),
            "set_burst" => return self.set_burst(step),
            "replace" => return self.replace(step),
            "cancel" => self.cancel(step),
            "reset" => {
                self.limiter.reset();
                Answer::Done
            }
            "tokens" => Answer::Real(self.least_left()),
            "available" => Answer::Int(self.available()),
            "available_each" => {
                Answer::List((0..self.rules.len()).map(|i| self.floor(i)).collect())
            }
            "fraction" => self.fraction(step),
            "time_to_full" => self.time_to_full(),
            "metrics" => self.metrics(),
            "consume_max" => self.consume_max(step),
            "poll_allow" => self.poll_allow(step),
            "concurrent_allow" => self.concurrent_allow(step),
            _ => {
                let permits = u64::try_from(step.int("n").unwrap_or(1));
                return permits.map_err(|_| Refusal::Unsayable).map(|n| self.verb(step, n));
            }
        })
    }

    /// The operations on a number of permits.
    fn verb(&mut self, step: &Step, n: u64) -> Answer {
        match step.op.as_str() {
            "allow" => Answer::Bool(self.limiter.allow_n(n)),
            "reserve" => self.reserve(step, n),
            "wait" => self.wait(step, n),
            "wait_max" => self.wait_max(step, n),
            "probe" => self.probe(n),
            "estimate" => self.estimate(n),
            "check" => self.check(n),
            "delay_for" => self.primitive_delay(n),
            "retry_in" => self.limiter.delay_for(n).map_or(Answer::Nanos(None), nanos_of),
            "consume_debt" => self.limiter.consume(n).map_or(Answer::Error, nanos_of),
            "take" => self.limiter.consume(n).map_or(Answer::Error, |_| Answer::Done),
            "force_add" if !self.has_room_for(n) => Answer::Missing,
            "add" | "force_add" => {
                self.limiter.credit(n);
                Answer::Done
            }
            other => panic!("unknown operation {other}"),
        }
    }

    /// What is left of a limit, exactly, after all that was promised.
    fn left(&self, index: usize) -> BigRational {
        let (_, state, now) = self.limiter.snapshot();
        let rule = &self.rules[index];
        let used = match (rule, &state[index]) {
            (AnyRule::Greedy(rule), AnyState::Greedy(state)) => {
                let level = rule.level(state, now);
                whole(level.used_units) / whole(level.units_per_permit.max(1))
            }
            (rule, state) => whole(rule.used(state, now)),
        };
        let promised = self.reservations.iter().map(|(_, held)| held);
        let promised: u64 = promised
            .filter(|held| held.delay() != Some(Duration::ZERO))
            .map(Reservation::permits)
            .sum();
        whole(rule.limit()) - used - whole(promised)
    }

    fn floor(&self, index: usize) -> i128 {
        self.left(index).floor().to_integer().to_i128().expect("a level fits")
    }

    fn least_left(&self) -> BigRational {
        (0..self.rules.len()).map(|i| self.left(i)).min().expect("a limit")
    }

    /// Whole permits; the public view must agree, as far as it goes.
    fn available(&self) -> i128 {
        let available = (0..self.rules.len()).map(|i| self.floor(i)).min().expect("a limit");
        if self.reservations.is_empty() {
            let remaining = self.limiter.usage().remaining;
            assert_eq!(i128::from(remaining), available.max(0), "usage() disagrees");
        }
        available
    }

    fn fraction(&self, step: &Step) -> Answer {
        let left = self.left(0);
        let part = &left - left.floor();
        // Upstream's denominator is its own business; the ratio is not.
        let named = step.expect.as_ref().and_then(|expect| {
            let ratio = expect.as_array()?;
            Some((integer(ratio.first()?)?, integer(ratio.get(1)?)?))
        });
        match named {
            Some((numerator, denominator)) if part == whole(numerator) / whole(denominator) => {
                Answer::List(vec![numerator, denominator])
            }
            _ => Answer::Real(part),
        }
    }

    fn has_room_for(&self, n: u64) -> bool {
        (0..self.rules.len()).all(|i| self.left(i) + whole(n) <= whole(self.rules[i].limit()))
    }

    /// How long the permits of a step take, if all limits refill evenly and nobody waits.
    pub(super) fn exact_wait(&self, step: &Step) -> Option<BigRational> {
        let n = match step.op.as_str() {
            "estimate" | "probe" | "check" | "delay_for" | "wait_max" | "retry_in"
            | "consume_debt" => Some(step.int("n").unwrap_or(1)),
            "time_to_full" => None,
            _ => return None,
        };
        let greedy = self.rules.iter().all(|rule| matches!(rule, AnyRule::Greedy(_)));
        if !greedy || !self.reservations.is_empty() {
            return None;
        }
        let waits = self.rules.iter().enumerate().map(|(index, rule)| {
            let wanted = n.unwrap_or(i128::from(rule.limit()));
            time_for(&(whole(wanted) - self.left(index)), &rate(rule.quota()))
        });
        waits.max()
    }

    fn estimate(&self, n: u64) -> Answer {
        let (ok, wait) = match self.limiter.delay_for(n) {
            Ok(delay) => (delay.is_zero(), nanos_of(delay)),
            Err(_) => (false, Answer::Nanos(None)),
        };
        Answer::Fields(vec![
            ("ok", Answer::Bool(ok)),
            ("available", Answer::Int(self.available())),
            ("wait", wait),
        ])
    }

    fn probe(&self, n: u64) -> Answer {
        let answer = self.limiter.try_acquire(n);
        let available = self.available();
        if let Ok(grant) = &answer {
            assert_eq!(i128::from(grant.remaining), available.max(0), "the grant disagrees");
        }
        let wait = match &answer {
            Ok(_) => Answer::Nanos(Some(0)),
            Err(Rejection::Denied { retry_after, .. }) => nanos_of(*retry_after),
            Err(_) => Answer::Nanos(None),
        };
        Answer::Fields(vec![
            ("ok", Answer::Bool(answer.is_ok())),
            ("available", Answer::Int(available)),
            ("wait", wait),
        ])
    }

    /// redis-cell's reply.
    fn check(&self, n: u64) -> Answer {
        let answer = self.limiter.try_acquire(n);
        let usage = self.limiter.usage();
        let retry_after = match &answer {
            Err(Rejection::Denied { retry_after, .. }) => nanos_of(*retry_after),
            _ => Answer::Nanos(None),
        };
        Answer::Fields(vec![
            ("limited", Answer::Bool(answer.is_err())),
            ("limit", Answer::Int(usage.limit.into())),
            ("remaining", Answer::Int(usage.remaining.into())),
            ("retry_after", retry_after),
            ("reset_after", nanos_of(usage.reset_after)),
        ])
    }

    /// The rule's own primitive: computed for more than the burst, too.
    fn primitive_delay(&self, n: u64) -> Answer {
        let (rule, state, now) = self.limiter.snapshot();
        match rule.ready_at(&state, now, n) {
            Timestamp::MAX => Answer::Nanos(None),
            ready => {
                if n <= rule.limit() {
                    assert_eq!(self.limiter.delay_for(n), Ok(ready - now));
                }
                nanos_of(ready - now)
            }
        }
    }

    fn time_to_full(&self) -> Answer {
        let (rule, state, now) = self.limiter.snapshot();
        match rule.full_at(&state, now) {
            Timestamp::MAX => Answer::Nanos(None),
            _ => nanos_of(self.limiter.usage().reset_after),
        }
    }

    fn metrics(&self) -> Answer {
        let usage = self.limiter.usage();
        let names = ["consumed", "allowed", "rejected", "denied"];
        let counts = [usage.allowed, usage.allowed, usage.denied, usage.denied];
        let counts = counts.map(|count| Answer::Int(count.into()));
        Answer::Fields(names.into_iter().zip(counts).collect())
    }

    fn consume_max(&self, step: &Step) -> Answer {
        match u64::try_from(step.int("limit").unwrap_or(u64::MAX.into())) {
            Ok(limit) => Answer::Int(self.limiter.try_acquire_up_to(limit).into()),
            Err(_) => Answer::Error,
        }
    }
}

pub(super) fn nanos_of(duration: Duration) -> Answer {
    Answer::Nanos(i128::try_from(duration.as_nanos()).ok())
}
