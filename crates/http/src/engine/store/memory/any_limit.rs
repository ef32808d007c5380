//! A limit whatever its rule, and the decision over several of them.

use std::any::Any;
use std::sync::Arc;

use smallvec::SmallVec;
use tollgate::algorithm::{FixedWindow, GreedyRefill, SlidingWindow, StrictWindow};
use tollgate::{Charge as CoreCharge, QuotaError, take_all};

use super::EngineClock;
use super::limit::{KeyChargeBy, Limit, UNLIMITED};
use crate::engine::store::{Answer, Answers, Charge, LimitSpec};
use crate::policy::Algorithm;

/// One limit of one policy, by its rule.
pub(super) enum AnyLimit {
    TokenBucket(Limit<GreedyRefill>),
    FixedWindow(Limit<FixedWindow>),
    SlidingWindow(Limit<SlidingWindow>),
    Strict(Limit<StrictWindow>),
}

/// Evaluates the same expression for the limit, whatever its rule.
macro_rules! with_limit {
    ($any:expr, $limit:ident => $then:expr) => {
        match $any {
            AnyLimit::TokenBucket($limit) => $then,
            AnyLimit::FixedWindow($limit) => $then,
            AnyLimit::SlidingWindow($limit) => $then,
            AnyLimit::Strict($limit) => $then,
        }
    };
}
pub(super) use with_limit;

impl AnyLimit {
    /// The limit of `spec`, with the levels of `before` if that is the same limit.
    pub(super) fn open(
        spec: &LimitSpec,
        clock: &EngineClock,
        before: Option<Arc<dyn Any + Send + Sync>>,
    ) -> Result<Self, QuotaError> {
        Ok(match spec.identity.algorithm {
            Algorithm::TokenBucket => Self::TokenBucket(Limit::open(spec, clock, before)?),
            Algorithm::FixedWindow => Self::FixedWindow(Limit::open(spec, clock, before)?),
            Algorithm::SlidingWindow => Self::SlidingWindow(Limit::open(spec, clock, before)?),
            Algorithm::Strict => Self::Strict(Limit::open(spec, clock, before)?),
        })
    }

    fn alone(&self, charge: &Charge<'_>) -> Answer {
        with_limit!(self, limit => limit.alone(charge))
    }

    fn charge<'a, 'b>(&'a self, charge: &'a Charge<'b>) -> Option<AnyCharge<'a, 'b>> {
        Some(match self {
            Self::TokenBucket(limit) => AnyCharge::TokenBucket(limit.charge(charge)?),
            Self::FixedWindow(limit) => AnyCharge::FixedWindow(limit.charge(charge)?),
            Self::SlidingWindow(limit) => AnyCharge::SlidingWindow(limit.charge(charge)?),
            Self::Strict(limit) => AnyCharge::Strict(limit.charge(charge)?),
        })
    }
}

/// A part of a decision by the core, by the rule of its limit.
enum AnyCharge<'a, 'b> {
    TokenBucket(KeyChargeBy<'a, 'b, GreedyRefill>),
    FixedWindow(KeyChargeBy<'a, 'b, FixedWindow>),
    SlidingWindow(KeyChargeBy<'a, 'b, SlidingWindow>),
    Strict(KeyChargeBy<'a, 'b, StrictWindow>),
}

impl AnyCharge<'_, '_> {
    fn as_charge(&mut self) -> &mut dyn CoreCharge {
        match self {
            Self::TokenBucket(charge) => charge,
            Self::FixedWindow(charge) => charge,
            Self::SlidingWindow(charge) => charge,
            Self::Strict(charge) => charge,
        }
    }

    fn answer(&self) -> tollgate::Answer {
        match self {
            Self::TokenBucket(charge) => charge.answer(),
            Self::FixedWindow(charge) => charge.answer(),
            Self::SlidingWindow(charge) => charge.answer(),
            Self::Strict(charge) => charge.answer(),
        }
    }
}

/// Takes the permits of all charges that are not shadow charges, or of none of them. Only if they
/// were taken, takes those of each shadow charge by itself.
pub(super) fn take(limits: &[AnyLimit], charges: &[Charge<'_>], answers: &mut Answers) {
    answers.resize(charges.len(), UNLIMITED);
    let mut enforced = charges.iter().enumerate().filter(|(_, charge)| !charge.shadow);
    let passes = match (enforced.next(), enforced.next()) {
        (None, _) => true,
        (Some((at, charge)), None) => {
            answers[at] = limits[charge.limit].alone(charge);
            answers[at].refused.is_none()
        }
        (Some(_), Some(_)) => take_together(limits, charges, answers),
    };
    if passes {
        for (answer, charge) in answers.iter_mut().zip(charges) {
            if charge.shadow {
                *answer = limits[charge.limit].alone(charge);
            }
        }
    }
}

/// Takes the permits of all charges that are not shadow charges, or of none of them.
fn take_together(limits: &[AnyLimit], charges: &[Charge<'_>], answers: &mut Answers) -> bool {
    let enforced = charges.iter().enumerate().filter(|(_, charge)| !charge.shadow);
    let mut asked: SmallVec<[(usize, AnyCharge<'_, '_>); 4]> = enforced
        .filter_map(|(at, charge)| Some((at, limits[charge.limit].charge(charge)?)))
        .collect();
    let passes = {
        let mut together: SmallVec<[&mut dyn CoreCharge; 4]> =
            asked.iter_mut().map(|(_, charge)| charge.as_charge()).collect();
        take_all(&mut together)
    };
    for (at, decided) in &asked {
        let charge = &charges[*at];
        let decided = decided.answer();
        answers[*at] = with_limit!(&limits[charge.limit], limit => limit.answer(&decided, charge));
    }
    passes
}
