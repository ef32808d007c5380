//! A limit whatever its rule, and the decision over several of them.

use std::any::Any;
use std::sync::Arc;

use smallvec::SmallVec;
use tollgate::algorithm::{FixedWindow, GreedyRefill, SlidingWindow, StrictWindow};
use tollgate::keyed::KeyCharge;
use tollgate::{Answer as CoreAnswer, Charge as CoreCharge, QuotaError, take_all, take_each};

use super::EngineClock;
use super::limit::{KeyChargeBy, Limit};
use crate::engine::store::{Answer, Charge, LimitSpec};
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

    /// Whether the quota of a charge is limited.
    fn is_limited(&self, charge: &Charge) -> bool {
        with_limit!(self, limit => limit.tier(charge).is_some())
    }

    fn charge<'a>(&'a self, charge: &'a Charge) -> Option<AnyCharge<'a>> {
        Some(match self {
            Self::TokenBucket(limit) => AnyCharge::TokenBucket(limit.charge(charge)?),
            Self::FixedWindow(limit) => AnyCharge::FixedWindow(limit.charge(charge)?),
            Self::SlidingWindow(limit) => AnyCharge::SlidingWindow(limit.charge(charge)?),
            Self::Strict(limit) => AnyCharge::Strict(limit.charge(charge)?),
        })
    }
}

/// A part of a decision by the core, by the rule of its limit.
enum AnyCharge<'a> {
    TokenBucket(KeyChargeBy<'a, GreedyRefill>),
    FixedWindow(KeyChargeBy<'a, FixedWindow>),
    SlidingWindow(KeyChargeBy<'a, SlidingWindow>),
    Strict(KeyChargeBy<'a, StrictWindow>),
}

impl AnyCharge<'_> {
    fn as_charge(&mut self) -> &mut dyn CoreCharge {
        match self {
            Self::TokenBucket(charge) => charge,
            Self::FixedWindow(charge) => charge,
            Self::SlidingWindow(charge) => charge,
            Self::Strict(charge) => charge,
        }
    }

    fn answer(&self) -> CoreAnswer {
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
pub(super) fn take(limits: &[AnyLimit], charges: &mut [Charge]) {
    let alone = |charge: &mut Charge| {
        let answer = with_limit!(&limits[charge.limit], limit => limit.alone(charge));
        charge.answer = answer;
        !answer.refuses()
    };
    let mut enforced = charges.iter_mut().filter(|charge| !charge.shadow);
    let passes = match (enforced.next(), enforced.next()) {
        (None, _) => true,
        (Some(charge), None) => alone(charge),
        (Some(_), Some(_)) => take_together(limits, charges),
    };
    if passes {
        for charge in charges.iter_mut().filter(|charge| charge.shadow) {
            alone(charge);
        }
    }
}

/// Takes the permits of all charges that are not shadow charges, or of none of them.
fn take_together(limits: &[AnyLimit], charges: &mut [Charge]) -> bool {
    let enforced = || charges.iter().filter(|charge| !charge.shadow);
    let is_bucket = |charge: &Charge| matches!(limits[charge.limit], AnyLimit::TokenBucket(_));
    let (passes, answers) = if enforced().all(is_bucket) {
        decide_buckets(limits, enforced())
    } else {
        decide_mixed(limits, enforced())
    };
    let enforced = charges.iter_mut().filter(|charge| !charge.shadow);
    for (charge, answer) in enforced.zip(&answers) {
        charge.answer = match answer {
            Some(answer) => {
                with_limit!(&limits[charge.limit], limit => limit.answer(answer, charge))
            }
            None => Answer::UNLIMITED,
        };
    }
    passes
}

/// The answers of the core, one for each charge. Under an unlimited quota, nothing is asked.
type CoreAnswers = SmallVec<[Option<CoreAnswer>; 4]>;

/// Lets the core decide about token buckets, the usual limits: the parts of the decision are of one
/// type, which is a tenth faster.
fn decide_buckets<'a>(
    limits: &'a [AnyLimit],
    charges: impl Iterator<Item = &'a Charge> + Clone,
) -> (bool, CoreAnswers) {
    let mut asked: SmallVec<[KeyChargeBy<'_, GreedyRefill>; 4]> = SmallVec::new();
    for charge in charges.clone() {
        if let AnyLimit::TokenBucket(limit) = &limits[charge.limit] {
            asked.extend(limit.charge(charge));
        }
    }
    let passes = take_each(&mut asked);
    let mut asked = asked.iter();
    let is_asked = |charge: &Charge| limits[charge.limit].is_limited(charge);
    let answers = charges.map(|charge| {
        let asked = if is_asked(charge) { asked.next() } else { None };
        asked.map(KeyCharge::answer)
    });
    (passes, answers.collect())
}

/// Lets the core decide about limits of several rules.
fn decide_mixed<'a>(
    limits: &'a [AnyLimit],
    charges: impl Iterator<Item = &'a Charge>,
) -> (bool, CoreAnswers) {
    let mut asked: SmallVec<[Option<AnyCharge<'_>>; 4]> =
        charges.map(|charge| limits[charge.limit].charge(charge)).collect();
    let mut together: SmallVec<[&mut dyn CoreCharge; 4]> =
        asked.iter_mut().flatten().map(AnyCharge::as_charge).collect();
    let passes = take_all(&mut together);
    drop(together);
    (passes, asked.iter().map(|asked| asked.as_ref().map(AnyCharge::answer)).collect())
}
