//! A store under test, its clock, and short forms of its questions.

use std::sync::Arc;
use std::time::Duration;

use tollgate::{ManualClock, Quota};
use tollgate_http::engine::store::{
    Answer, Buckets, Charge, Identity, LimitSpec, Reply, Store, StoreError, Verb, Verdict,
};
use tollgate_http::engine::{KeyParts, Part};
use tollgate_http::policy::{Algorithm, KeyPart};

use crate::stores::block_on;

/// Makes an empty store on a clock.
pub(crate) type Make<'a> = &'a dyn Fn(ManualClock) -> Box<dyn Store>;

/// A store, and the buckets of the limits that it was opened with last.
pub(crate) struct Scene {
    pub(crate) clock: ManualClock,
    pub(crate) store: Box<dyn Store>,
    pub(crate) buckets: Arc<dyn Buckets>,
}

impl Scene {
    pub(crate) fn new(make: Make<'_>, limits: &[LimitSpec]) -> Self {
        let clock = ManualClock::new();
        let store = make(clock.clone());
        let buckets = store.open(limits).expect("the store keeps these limits");
        Self { clock, store, buckets }
    }

    /// Opens the store for the limits of another policy.
    pub(crate) fn reopen(&mut self, limits: &[LimitSpec]) {
        self.buckets = self.store.open(limits).expect("the store keeps these limits");
    }

    pub(crate) fn ask(&self, verb: Verb, charges: &[Charge]) -> Vec<Answer> {
        ask(&*self.buckets, verb, charges).expect("the store answers")
    }

    /// Takes one charge.
    pub(crate) fn take(&self, charge: &Charge) -> Answer {
        self.ask(Verb::Take, std::slice::from_ref(charge))[0]
    }

    pub(crate) fn look(&self, charge: &Charge) -> Answer {
        self.ask(Verb::Look, std::slice::from_ref(charge))[0]
    }

    /// What is left for a charge's key under its quota.
    pub(crate) fn left(&self, charge: &Charge) -> u64 {
        let mut charge = charge.clone();
        charge.cost = 0;
        self.look(&charge).remaining
    }

    pub(crate) fn advance(&self, milliseconds: u64) {
        self.clock.advance(Duration::from_millis(milliseconds));
    }
}

pub(crate) fn ask(
    buckets: &dyn Buckets,
    verb: Verb,
    charges: &[Charge],
) -> Result<Vec<Answer>, StoreError> {
    let mut asked = charges.to_vec();
    match buckets.ask(verb, &mut asked) {
        Reply::Now => Ok(asked.iter().map(|charge| charge.answer).collect()),
        Reply::Failed(error) => Err(error),
        Reply::Later(later) => {
            let answers = block_on(later)?;
            assert_eq!(answers.len(), charges.len(), "one answer for each charge");
            Ok(answers)
        }
    }
}

pub(crate) fn quota(text: &str) -> Quota {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A limit per user, with these quotas.
pub(crate) fn limit(name: &str, algorithm: Algorithm, quotas: &[&str]) -> LimitSpec {
    let identity = Identity::new(name, vec![KeyPart::User], algorithm);
    LimitSpec::new(identity, quotas.iter().map(|text| quota(text)).collect())
}

/// A token bucket per user.
pub(crate) fn bucket(name: &str, quotas: &[&str]) -> LimitSpec {
    limit(name, Algorithm::TokenBucket, quotas)
}

/// A charge to the limit of this index.
pub(crate) fn charge(limit: usize, user: &str, cost: u64) -> Charge {
    Charge::new(limit, KeyParts::from_iter([Part::User(user.into())]), cost)
}

pub(crate) fn under(quota: usize, charge: Charge) -> Charge {
    let mut charge = charge;
    charge.quota = quota;
    charge
}

pub(crate) fn shadow(charge: Charge) -> Charge {
    let mut charge = charge;
    charge.shadow = true;
    charge
}

pub(crate) const GRANTED: Verdict = Verdict::Granted;
pub(crate) const REFUSED: Verdict = Verdict::Refused;
pub(crate) const NEVER: Verdict = Verdict::Never;
pub(crate) const NANOSECOND: Duration = Duration::from_nanos(1);
pub(crate) const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::TokenBucket, Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::Strict];
