//! Runs the steps of a vector, each by the limiter's own verb.

use std::thread;
use std::time::Duration;

use num_rational::BigRational;
use num_traits::ToPrimitive;
use serde_json::Value;
use tollgate::algorithm::Algorithm;
use tollgate::{
    CancelToken, CarryOver, Clock, Limiter, ManualClock, Quota, QuotaError, RateLimiter, Rejection,
    Reservation, Timestamp,
};

use super::answer::Answer;
use super::any_rule::{AnyRule, AnyState, Rules, VectorLimiter};
use super::deviations::Cause;
use super::exact::{rate, simplest_fraction, time_for, whole};
use super::vector::{Limit, Step, Vector, integer};

/// A step whose answer is not upstream's.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) step: usize,
    pub(crate) op: String,
    pub(crate) got: Answer,
    pub(crate) expect: Option<Value>,
    /// The rule by which we differ, if there is one.
    pub(crate) cause: Option<Cause>,
}

/// Runs all steps; after one that leaves another state than upstream's, answers are not compared.
pub(crate) fn run(vector: &Vector) -> Vec<Mismatch> {
    let clock = ManualClock::new();
    clock.set(vector.times.on_clock(vector.start));
    let limiter = build(vector, &clock);
    let refusal = limiter.as_ref().err().copied();
    let mut session = limiter.as_ref().ok().map(|(limiter, rules)| Session {
        vector,
        clock: &clock,
        limiter,
        rules: rules.clone(),
        limits: vector.limits.clone(),
        reservations: Vec::new(),
        replacements: 0,
    });
    let mut mismatches = Vec::new();
    let mut comparable = true;
    for (index, step) in vector.steps.iter().enumerate() {
        let outcome = Outcome::of(step, vector, session.as_mut(), refusal);
        let agrees = outcome.answer.agrees(step.expect.as_ref(), vector.times.unit);
        if comparable && !agrees {
            let cause = outcome.cause(step, vector);
            comparable = !cause.is_some_and(Cause::changes_the_state);
            let (op, expect) = (step.op.clone(), step.expect.clone());
            mismatches.push(Mismatch { step: index, op, got: outcome.answer, expect, cause });
        }
    }
    mismatches
}

/// Why the limits of a vector, or new ones, are refused.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Refusal {
    Typed(QuotaError),
    /// A negative number: the argument's type has none.
    Unsayable,
}

impl From<QuotaError> for Refusal {
    fn from(error: QuotaError) -> Self {
        Self::Typed(error)
    }
}

/// An answer, and what is needed to see why it differs.
struct Outcome {
    answer: Answer,
    refusal: Option<Refusal>,
    /// How long the permits take, by exact arithmetic.
    exact_wait: Option<BigRational>,
}

impl Outcome {
    fn of(
        step: &Step,
        vector: &Vector,
        session: Option<&mut Session<'_>>,
        refusal: Option<Refusal>,
    ) -> Self {
        let plain = |answer| Self { answer, refusal, exact_wait: None };
        match (step.op.as_str(), session) {
            ("every", _) => plain(every(step, vector)),
            ("emission_interval", _) => plain(emission_interval(step, vector)),
            ("build", session) => {
                plain(if session.is_some() { Answer::Done } else { Answer::Error })
            }
            (_, None) => plain(Answer::Error),
            (_, Some(session)) => {
                if let Some(t) = step.t {
                    session.clock.set(vector.times.on_clock(t));
                }
                let exact_wait = session.exact_wait(step);
                match session.step(step) {
                    Ok(answer) => {
                        check_wait(&answer, exact_wait.as_ref(), step);
                        Self { answer, refusal: None, exact_wait }
                    }
                    Err(refusal) => {
                        Self { answer: Answer::Error, refusal: Some(refusal), exact_wait }
                    }
                }
            }
        }
    }

    /// Which of the rules of [`Cause`] explains that this is not upstream's answer.
    fn cause(&self, step: &Step, vector: &Vector) -> Option<Cause> {
        let expects_error = step.expect.as_ref().is_some_and(|expect| *expect == "error");
        let unit = vector.times.unit;
        match (&self.answer, self.refusal) {
            (Answer::Error, Some(Refusal::Typed(QuotaError::ZeroRate))) => Some(Cause::ZeroRate),
            (Answer::Error, Some(Refusal::Typed(QuotaError::ZeroBurst))) => Some(Cause::ZeroBurst),
            (Answer::Error, Some(Refusal::Typed(QuotaError::InitialExceedsBurst { .. }))) => {
                Some(Cause::AboveBurst)
            }
            (Answer::Error, _) if step.op == "every" => Some(Cause::NoInterval),
            (Answer::Missing, _) if step.op == "force_add" => Some(Cause::AboveBurst),
            (Answer::Missing, _) if step.op == "replace" => Some(Cause::NewLimitIsFull),
            (Answer::Fields(_), _) if step.op == "metrics" => Some(Cause::OtherMetrics),
            _ if expects_error && step.op == "build" && is_too_fast_upstream(vector) => {
                Some(Cause::FasterThanOnePerNano)
            }
            _ if expects_error && step.int_of(&["n", "limit"]) == Some(0) => {
                Some(Cause::ZeroPermits)
            }
            (answer, _) if answer.wait().is_some_and(|told| told > i128::from(i64::MAX)) => {
                Some(Cause::WiderClock)
            }
            (Answer::Int(got), _) if is_upstreams_float(*got, step.expect.as_ref()) => {
                Some(Cause::UpstreamFloat)
            }
            (answer, _) if self.exact_wait.as_ref().is_some_and(|wait| !wait.is_integer()) => {
                let truncated = answer.with_wait_truncated();
                truncated.agrees(step.expect.as_ref(), unit).then_some(Cause::RoundedUp)
            }
            (Answer::Fields(_), _) if step.op == "wait_max" => {
                let too_many =
                    vector.limits.iter().any(|limit| step.int("n") > Some(limit.capacity));
                too_many.then_some(Cause::NeverAboveBurst)
            }
            _ => None,
        }
    }
}

/// bucket4j refuses more than one token a nanosecond.
fn is_too_fast_upstream(vector: &Vector) -> bool {
    vector
        .limits
        .iter()
        .any(|limit| integer(&limit.refill_tokens).is_some_and(|n| n > limit.refill_period))
}

/// Beyond 2^53 upstream counts in floats.
fn is_upstreams_float(got: i128, expect: Option<&Value>) -> bool {
    expect.and_then(integer).is_some_and(|expect| got > 1 << 53 && (got - expect).abs() <= 2)
}

/// A wait that is told must be the exact one, rounded up.
fn check_wait(answer: &Answer, exact: Option<&BigRational>, step: &Step) {
    if let (Some(told), Some(exact)) = (answer.wait(), exact) {
        let ceil = exact.ceil().to_integer().to_i128().expect("a wait fits");
        assert_eq!(told, ceil, "{step:?}");
    }
}

fn every(step: &Step, vector: &Vector) -> Answer {
    let nanos = step.int("interval").unwrap_or(0).saturating_mul(vector.times.unit);
    let Ok(nanos) = u64::try_from(nanos) else { return Answer::Error };
    let quota = Quota::every(Duration::from_nanos(nanos));
    match quota.validate() {
        Ok(()) => Answer::Real(rate(quota) * whole(1_000_000_000)),
        Err(_) => Answer::Error,
    }
}

fn emission_interval(step: &Step, vector: &Vector) -> Answer {
    let (Some(tokens), Some(period)) = (step.int("tokens"), step.int("period")) else {
        return Answer::Error;
    };
    let nanos = period.saturating_mul(vector.times.unit);
    match (u64::try_from(tokens), u64::try_from(nanos)) {
        (Ok(tokens), Ok(nanos)) => {
            nanos_of(Quota::per(tokens, Duration::from_nanos(nanos)).interval())
        }
        _ => Answer::Error,
    }
}

fn nanos_of(duration: Duration) -> Answer {
    Answer::Nanos(i128::try_from(duration.as_nanos()).ok())
}

/// The limits' rules, in order.
fn rules(limits: &[Limit], unlimited: bool) -> Result<Vec<AnyRule>, Refusal> {
    if unlimited {
        return Ok(vec![AnyRule::Greedy(Quota::unlimited().try_into()?)]);
    }
    limits.iter().map(rule).collect()
}

fn rule(limit: &Limit) -> Result<AnyRule, Refusal> {
    let burst = u64::try_from(limit.capacity).map_err(|_| Refusal::Unsayable)?;
    let quota = quota(limit)?.burst(burst);
    Ok(match (limit.style.as_str(), limit.first_refill) {
        ("greedy", _) => AnyRule::Greedy(quota.try_into()?),
        ("interval", _) | (_, None) => AnyRule::Interval(quota.try_into()?),
        (_, Some(at)) => {
            AnyRule::Interval(tollgate::algorithm::IntervalRefill::try_from(quota)?.aligned_to(at))
        }
    })
}

/// The rate; one that is no whole number becomes `n` per `k` periods.
fn quota(limit: &Limit) -> Result<Quota, Refusal> {
    let (permits, periods) = match (integer(&limit.refill_tokens), limit.refill_tokens.as_f64()) {
        (Some(permits), _) => (permits, 1),
        (None, Some(float)) => {
            let exact = simplest_fraction(float).ok_or(Refusal::Unsayable)?;
            let part = |n: &num_bigint::BigInt| n.to_i128().ok_or(Refusal::Unsayable);
            (part(exact.numer())?, part(exact.denom())?)
        }
        (None, None) => return Ok(Quota::unlimited()),
    };
    let permits = u64::try_from(permits).map_err(|_| Refusal::Unsayable)?;
    let nanos = u64::try_from(limit.refill_period * periods).map_err(|_| Refusal::Unsayable)?;
    Ok(Quota::per(permits, Duration::from_nanos(nanos)))
}

/// Names by which limits are matched when they are replaced. Two sides without an id match only if
/// each has a single one.
fn names(limits: &[Limit], generation: usize) -> Vec<String> {
    let nameless = limits.iter().filter(|limit| limit.id.is_none()).count();
    let name = |(index, limit): (usize, &Limit)| match &limit.id {
        Some(id) => format!("id {id}"),
        None if nameless == 1 => "the only one".to_owned(),
        None => format!("{index} of {generation}"),
    };
    limits.iter().enumerate().map(name).collect()
}

fn build(vector: &Vector, clock: &ManualClock) -> Result<(VectorLimiter, Vec<AnyRule>), Refusal> {
    let rules = rules(&vector.limits, vector.unlimited)?;
    let names = if vector.unlimited { vec![String::new()] } else { names(&vector.limits, 0) };
    let now = clock.now();
    let mut state = Vec::with_capacity(rules.len());
    for (index, rule) in rules.iter().enumerate() {
        let initial = vector.limits.get(index).and_then(|limit| limit.initial);
        let used = match (rule, initial) {
            (AnyRule::Interval(rule), _) if vector.limits[index].adaptive_initial => {
                rule.limit() - rule.adaptive_initial(now)
            }
            (rule, Some(initial)) => {
                let initial = u64::try_from(initial).map_err(|_| Refusal::Unsayable)?;
                let burst = rule.limit();
                burst.checked_sub(initial).ok_or(QuotaError::InitialExceedsBurst { burst })?
            }
            (_, None) => 0,
        };
        state.push(rule.start(now, used.into()));
    }
    let all = Rules::new(names.into_iter().zip(rules.iter().cloned()))?;
    let limiter =
        Limiter::builder_with(all).clock(clock.clone()).state(state.into_boxed_slice()).build()?;
    Ok((limiter, rules))
}

/// A limiter, and what a vector holds of it.
struct Session<'a> {
    vector: &'a Vector,
    clock: &'a ManualClock,
    limiter: &'a VectorLimiter,
    rules: Vec<AnyRule>,
    limits: Vec<Limit>,
    reservations: Vec<(Option<String>, Reservation<'a>)>,
    replacements: usize,
}

impl Session<'_> {
    fn step(&mut self, step: &Step) -> Result<Answer, Refusal> {
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
        let promised: u64 =
            promised.filter(|held| !held.delay().is_zero()).map(Reservation::permits).sum();
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
    fn exact_wait(&self, step: &Step) -> Option<BigRational> {
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

    fn reserve(&mut self, step: &Step, n: u64) -> Answer {
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
        let act_at = self.vector.times.of_clock(self.limiter.now() + held.delay());
        let name = step.arg("name").as_str().map(str::to_owned);
        self.reservations.push((name, held));
        Answer::Fields(vec![("ok", Answer::Bool(true)), ("act_at", Answer::At(act_at))])
    }

    /// Cancelling a reservation that was refused has no effect.
    fn cancel(&mut self, step: &Step) -> Answer {
        let name = step.arg("of").as_str();
        let held = self.reservations.iter().position(|(held, _)| held.as_deref() == name);
        if let Some(index) = held {
            self.reservations.remove(index).1.cancel();
        }
        Answer::Done
    }

    fn duration(&self, time: i128) -> Duration {
        let nanos = time.saturating_mul(self.vector.times.unit).max(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Blocks a thread; the clock goes to the moment it should wake, and not a nanosecond further.
    fn wait(&self, step: &Step, n: u64) -> Answer {
        let start = self.clock.now();
        let cancel = CancelToken::new();
        if step.flag("cancelled") {
            cancel.cancel();
        }
        let on_clock = |name| step.int(name).map(|t| self.vector.times.on_clock(t));
        let (deadline, cancel_at) = (on_clock("deadline"), on_clock("cancel_at"));
        let due = self.limiter.delay_for(n).map_or(Timestamp::MAX, |delay| start + delay);
        let granted = thread::scope(|scope| {
            let waiter = scope.spawn(|| match deadline {
                Some(deadline) => self.limiter.wait_deadline(n, deadline),
                None => self.limiter.wait_cancellable(n, &cancel),
            });
            while !waiter.is_finished() && self.clock.sleepers() == 0 {
                thread::yield_now();
            }
            if self.clock.sleepers() > 0 {
                match cancel_at.filter(|at| *at < due) {
                    Some(at) => {
                        self.clock.set(at);
                        cancel.cancel();
                    }
                    None => {
                        self.clock.set(Timestamp::from_nanos(due.as_nanos() - 1));
                        assert_eq!(self.clock.sleepers(), 1, "woken too early");
                        self.clock.set(due);
                    }
                }
            }
            waiter.join().expect("no panic").is_ok()
        });
        Answer::Fields(vec![
            ("ok", Answer::Bool(granted)),
            ("elapsed", nanos_of(self.clock.now() - start)),
        ])
    }

    fn wait_max(&self, step: &Step, n: u64) -> Answer {
        let max = self.duration(step.int("max_wait").unwrap_or(i128::from(i64::MAX)));
        let Ok(held) = self.limiter.reserve_within(n, max) else {
            return Answer::Fields(vec![("ok", Answer::Bool(false)), ("slept", Answer::Int(0))]);
        };
        let slept = held.delay();
        self.clock.advance(slept);
        let granted = held.wait().is_ok();
        Answer::Fields(vec![("ok", Answer::Bool(granted)), ("slept", nanos_of(slept))])
    }

    /// Asks every so often and counts the grants.
    fn poll_allow(&self, step: &Step) -> Answer {
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

    fn concurrent_allow(&self, step: &Step) -> Answer {
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

    fn set_rate(&mut self, step: &Step) -> Result<Answer, Refusal> {
        let unlimited = step.flag("unlimited") || step.arg("refill_tokens").is_string();
        let mut limits = self.limits.clone();
        if let (Some(limit), false) = (limits.first_mut(), unlimited) {
            limit.refill_tokens = step.arg("refill_tokens").clone();
            if let Some(period) = step.int("refill_period") {
                limit.refill_period = period.saturating_mul(self.vector.times.unit);
            }
        }
        self.install(limits, unlimited, CarryOver::Keep)
    }

    fn set_burst(&mut self, step: &Step) -> Result<Answer, Refusal> {
        let mut limits = self.limits.clone();
        let unlimited = self.rules[0].quota().is_unlimited();
        if let (Some(limit), Some(burst)) =
            (limits.first_mut(), step.int_of(&["capacity", "burst", "n"]))
        {
            limit.capacity = burst;
        }
        self.install(limits, unlimited, CarryOver::Keep)
    }

    fn replace(&mut self, step: &Step) -> Result<Answer, Refusal> {
        let how = match step.arg("strategy").as_str() {
            Some("as_is") => CarryOver::Keep,
            Some("proportional" | "proportionally") => CarryOver::Proportional,
            Some("additive") => CarryOver::AddDifference,
            Some("reset") => CarryOver::Full,
            other => panic!("unknown strategy {other:?}"),
        };
        let limits = step.limits(self.vector.times);
        let (old, new) = (names(&self.limits, 0), names(&limits, 1));
        let new_and_not_full = limits.iter().zip(&new).any(|(limit, name)| {
            !old.contains(name) && limit.initial.is_some_and(|initial| initial < limit.capacity)
        });
        let answer = self.install(limits, false, how)?;
        Ok(if new_and_not_full { Answer::Missing } else { answer })
    }

    fn install(
        &mut self,
        limits: Vec<Limit>,
        unlimited: bool,
        how: CarryOver,
    ) -> Result<Answer, Refusal> {
        let rules = rules(&limits, unlimited)?;
        self.replacements += 1;
        let mut names = names(&limits, self.replacements);
        names.resize(rules.len(), String::new());
        let all = Rules::new(names.into_iter().zip(rules.iter().cloned()))?;
        self.limiter.set_algorithm(how, |_| Ok(all))?;
        (self.rules, self.limits) = (rules, limits);
        Ok(Answer::Done)
    }
}
