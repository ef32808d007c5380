//! An empty store on a clock, and short words to ask it.

use std::sync::Arc;
use std::time::Duration;

use tollgate::shared::store::{
    Answer, Ask, Buckets, Charge, Level, LimitSpec, Namespace, Outcome, Part, Receipt, Rule, Store,
    StoreError, Verb, Verdict,
};
use tollgate::{ManualClock, Quota, Timestamp};

use super::StoreUnderTest;

/// A time as of which a store may begin: no clock starts at zero.
const START: Duration = Duration::from_secs(1_700_000_000);

/// An empty store.
pub(crate) struct Scene<'a> {
    pub(crate) under_test: &'a dyn StoreUnderTest,
    pub(crate) clock: ManualClock,
    pub(crate) store: Arc<dyn Store>,
}

/// The buckets of some namespaces.
pub(crate) struct Opened<'a> {
    pub(crate) scene: &'a Scene<'a>,
    pub(crate) buckets: Arc<dyn Buckets>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(under_test: &'a dyn StoreUnderTest) -> Self {
        let clock = ManualClock::new();
        clock.set(Timestamp::ZERO + START);
        let store = under_test.empty(&clock);
        Self { under_test, clock, store }
    }

    /// The buckets of one namespace with such limits.
    pub(crate) fn users(&self, limits: &[(Rule, Quota)]) -> Opened<'_> {
        self.open(&[namespace("users", limits)])
    }

    /// The buckets of one namespace with one token bucket.
    pub(crate) fn bucket(&self, quota: Quota) -> Opened<'_> {
        self.users(&[(Rule::TokenBucket, quota)])
    }

    pub(crate) fn open(&self, namespaces: &[Namespace]) -> Opened<'_> {
        let buckets = self.store.open(namespaces).unwrap_or_else(|error| panic!("{error}"));
        Opened { scene: self, buckets }
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// The store's tick in nanoseconds.
    pub(crate) fn tick_nanos(&self) -> u64 {
        u64::try_from(self.under_test.tick().as_nanos()).expect("a microsecond at most")
    }

    pub(crate) fn has(&self, rule: Rule) -> bool {
        self.under_test.rules().contains(&rule)
    }

    /// Asserts that a time is `exact`, or a tick more.
    #[track_caller]
    pub(crate) fn assert_rounded_up(&self, time: Duration, exact: Duration) {
        let most = exact + self.under_test.tick();
        assert!(exact <= time && time <= most, "{time:?} and not {exact:?}");
    }
}

/// A namespace whose limits are named by their numbers.
pub(crate) fn namespace(name: &str, limits: &[(Rule, Quota)]) -> Namespace {
    let limit = |(index, (rule, quota)): (usize, &(Rule, Quota))| {
        LimitSpec::new(format!("limit {index}"), *rule, *quota)
    };
    Namespace::new(name, limits.iter().enumerate().map(limit).collect())
}

/// A part of the first namespace with such costs.
pub(crate) fn part(subject: &str, costs: &[u64]) -> Part {
    Part::new(0, subject, costs.iter().map(|cost| Charge::new(*cost)))
}

/// An ask of one subject.
pub(crate) fn ask(verb: Verb, count: u64, subject: &str, costs: &[u64]) -> Ask {
    Ask::new(verb, count, part(subject, costs))
}

/// An ask over several parts.
pub(crate) fn ask_all(verb: Verb, count: u64, parts: impl IntoIterator<Item = Part>) -> Ask {
    let mut parts = parts.into_iter();
    let mut ask = Ask::new(verb, count, parts.next().expect("a part"));
    ask.parts.extend(parts);
    ask
}

/// The ask with patience.
pub(crate) fn patient(mut ask: Ask, patience: Duration) -> Ask {
    ask.patience = patience;
    ask
}

/// The ask with a receipt for its first charge.
pub(crate) fn with_receipt(mut ask: Ask, receipt: Receipt) -> Ask {
    ask.parts[0].charges[0].receipt = receipt;
    ask
}

impl Opened<'_> {
    pub(crate) fn try_ask_all(&self, asks: Vec<Ask>) -> Vec<Result<Answer, StoreError>> {
        let count = asks.len();
        let answers = self.scene.under_test.wait_for(self.buckets.ask(asks));
        assert_eq!(answers.len(), count, "an answer for each ask");
        answers
    }

    pub(crate) fn try_ask(&self, ask: Ask) -> Result<Answer, StoreError> {
        self.try_ask_all(vec![ask]).remove(0)
    }

    #[track_caller]
    pub(crate) fn ask(&self, ask: Ask) -> Answer {
        let shown = format!("{ask:?}");
        self.try_ask(ask).unwrap_or_else(|error| panic!("{shown}: {error}"))
    }

    /// Takes `n` permits of a subject with one limit.
    #[track_caller]
    pub(crate) fn take(&self, subject: &str, n: u64) -> Answer {
        self.ask(ask(Verb::Take, n, subject, &[1]))
    }

    /// Takes `n` permits of a subject with one limit; returns whether it did.
    #[track_caller]
    pub(crate) fn allows(&self, subject: &str, n: u64) -> bool {
        is_done(&self.take(subject, n))
    }

    /// The level of a subject with one limit.
    #[track_caller]
    pub(crate) fn level(&self, subject: &str) -> Level {
        self.ask(ask(Verb::Look, 0, subject, &[1])).levels[0]
    }

    /// What is left of each limit of a subject with so many limits.
    #[track_caller]
    pub(crate) fn left(&self, subject: &str, limits: usize) -> Vec<u64> {
        let answer = self.ask(ask(Verb::Look, 0, subject, &vec![1; limits]));
        answer.levels.iter().map(|level| level.remaining).collect()
    }
}

pub(crate) fn is_done(answer: &Answer) -> bool {
    matches!(answer.outcome, Outcome::Done { .. })
}

/// The time until the permits are there.
#[track_caller]
pub(crate) fn after(answer: &Answer) -> Duration {
    match answer.outcome {
        Outcome::Done { after } => after,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn verdicts(answer: &Answer) -> Vec<Verdict> {
    answer.levels.iter().map(|level| level.verdict).collect()
}

pub(crate) fn remaining(answer: &Answer) -> Vec<u64> {
    answer.levels.iter().map(|level| level.remaining).collect()
}

pub(crate) const MILLI: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
