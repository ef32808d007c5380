//! A limiter out of the limits of a vector.

use std::time::Duration;

use num_traits::ToPrimitive;
use tollgate::algorithm::{Algorithm, IntervalRefill};
use tollgate::{Clock, Limiter, ManualClock, Quota, QuotaError};

use super::any_rule::{AnyRule, Rules, VectorLimiter};
use super::exact::simplest_fraction;
use super::vector::{Limit, Vector, integer};

/// Why the limits of a vector, or new ones, are refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Refusal {
    Typed(QuotaError),
    /// A negative number: the argument's type has none.
    Unsayable,
}

impl From<QuotaError> for Refusal {
    fn from(error: QuotaError) -> Self {
        Self::Typed(error)
    }
}

/// The limits' rules, in order.
pub(super) fn rules(limits: &[Limit], unlimited: bool) -> Result<Vec<AnyRule>, Refusal> {
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
        (_, Some(at)) => AnyRule::Interval(IntervalRefill::try_from(quota)?.aligned_to(at)),
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
pub(super) fn names(limits: &[Limit], generation: usize) -> Vec<String> {
    let nameless = limits.iter().filter(|limit| limit.id.is_none()).count();
    let name = |(index, limit): (usize, &Limit)| match &limit.id {
        Some(id) => format!("id {id}"),
        None if nameless == 1 => "the only one".to_owned(),
        None => format!("{index} of {generation}"),
    };
    limits.iter().enumerate().map(name).collect()
}

pub(super) fn build(
    vector: &Vector,
    clock: &ManualClock,
) -> Result<(VectorLimiter, Vec<AnyRule>), Refusal> {
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
    let limiter = Limiter::builder_from_algorithm(all)
        .clock(clock.clone())
        .state(state.into_boxed_slice())
        .build()?;
    Ok((limiter, rules))
}
