//! Runs the steps of a vector, each by the limiter's own verb.

use std::time::Duration;

use num_rational::BigRational;
use num_traits::ToPrimitive;
use serde_json::Value;
use tollgate::{ManualClock, Quota, QuotaError};

use super::answer::Answer;
use super::build::{Refusal, build};
use super::deviations::Cause;
use super::exact::{rate, whole};
use super::session::{Session, nanos_of};
use super::vector::{Step, Vector, integer};

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
    let refusal = limiter.as_ref().err().cloned();
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
        let outcome = Outcome::of(step, vector, session.as_mut(), refusal.clone());
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
        match (&self.answer, &self.refusal) {
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
