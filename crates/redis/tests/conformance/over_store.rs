//! A limiter whose levels are in a store, so that what is true of limiters can be checked of
//! stores.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Runtime;
use tollgate::shared::store::{
    Answer, Ask, Buckets, Charge, LimitSpec, Namespace, OpenError, Outcome, Part, Rule, Store,
    StoreError, Verb, Verdict,
};
use tollgate::{
    CarryOver, Clock, ConsumeError, Grant, ManualClock, Quota, QuotaError, RateLimiter, Rejection,
    Timestamp, Usage, WhichLimit,
};

use crate::place;

/// One subject of a store.
pub struct OverStore {
    store: Arc<dyn Store>,
    runtime: Arc<Runtime>,
    clock: ManualClock,
    rules: Vec<Rule>,
    opened: Mutex<Opened>,
}

struct Opened {
    quotas: Vec<Quota>,
    buckets: Arc<dyn Buckets>,
}

impl OverStore {
    pub fn new(limits: &[(Rule, Quota)], clock: &ManualClock) -> Result<Self, OpenError> {
        let (store, runtime) = place::empty_store(clock);
        let (rules, quotas): (Vec<_>, Vec<_>) = limits.iter().copied().unzip();
        let opened = Mutex::new(open(&*store, &rules, &quotas)?);
        Ok(Self { store, runtime, clock: clock.clone(), rules, opened })
    }

    pub fn quotas(&self) -> Vec<Quota> {
        self.opened.lock().unwrap().quotas.clone()
    }

    /// Changes the quotas, and carries the used shares over.
    pub fn set_quotas(&self, quotas: &[Quota]) -> Result<(), OpenError> {
        let opened = open(&*self.store, &self.rules, quotas)?;
        *self.opened.lock().unwrap() = opened;
        Ok(())
    }

    /// An ask of so many permits of each limit.
    pub fn asked(&self, verb: Verb, permits: u64) -> Ask {
        let charges = self.rules.iter().map(|_| Charge::new(1));
        Ask::new(verb, permits, Part::new(0, "alice", charges))
    }

    pub fn answer(&self, ask: Ask) -> Answer {
        self.try_answer(ask).expect("an answer")
    }

    pub fn try_answer(&self, ask: Ask) -> Result<Answer, StoreError> {
        let buckets = Arc::clone(&self.opened.lock().unwrap().buckets);
        let mut answers = self.runtime.block_on(buckets.ask(vec![ask]));
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    pub fn ask(&self, verb: Verb, permits: u64) -> Answer {
        self.answer(self.asked(verb, permits))
    }

    fn rejection(&self, answer: &Answer, requested: u64) -> Option<Rejection> {
        let limit = |index| match self.rules.len() {
            1 => WhichLimit::Only,
            _ => WhichLimit::Nth(index),
        };
        let levels = answer.levels.iter().enumerate();
        let refusing = levels.filter(|(_, level)| level.verdict != Verdict::Granted);
        let (index, level) =
            refusing.max_by_key(|(_, it)| (it.verdict == Verdict::Never, it.wait))?;
        let (burst, limit) = (self.quotas()[index].burst_size(), limit(index));
        Some(if level.verdict == Verdict::Never {
            Rejection::ExceedsBurst { requested, burst, limit }
        } else {
            Rejection::Denied {
                retry_after: level.wait,
                available: level.remaining,
                reset_after: level.full_after,
                burst,
                limit,
            }
        })
    }
}

fn open(store: &dyn Store, rules: &[Rule], quotas: &[Quota]) -> Result<Opened, OpenError> {
    let limits = rules.iter().zip(quotas).enumerate();
    let limits = limits.map(|(index, (rule, quota))| {
        // A name of its own for each limit.
        LimitSpec::new(format!("limit {index}"), *rule, *quota)
    });
    let buckets = store.open(&[Namespace::new("subjects", limits.collect::<Vec<_>>())])?;
    Ok(Opened { quotas: quotas.to_vec(), buckets })
}

impl RateLimiter for OverStore {
    fn try_acquire(&self, permits: u64) -> Result<Grant, Rejection> {
        let answer = self.ask(Verb::Take, permits);
        if !matches!(answer.outcome, Outcome::Done { .. }) {
            return Err(self.rejection(&answer, permits).expect("a limit that refuses"));
        }
        let level = answer.levels.iter().min_by_key(|level| level.remaining).expect("a limit");
        let mut grant = Grant::new(permits);
        grant.remaining = level.remaining;
        grant.limit = self.usage().limit;
        grant.reset_after = level.full_after;
        Ok(grant)
    }

    fn delay_for(&self, permits: u64) -> Result<Duration, Rejection> {
        match self.rejection(&self.ask(Verb::Look, permits), permits) {
            None => Ok(Duration::ZERO),
            Some(Rejection::Denied { retry_after, .. }) => Ok(retry_after),
            Some(never) => Err(never),
        }
    }

    fn consume(&self, permits: u64) -> Result<Duration, ConsumeError> {
        self.ask(Verb::Consume, permits);
        // Nothing can be taken while a limit is in debt.
        Ok(self.delay_for(0).expect("a debt is paid some day"))
    }

    fn credit(&self, permits: u64) {
        self.ask(Verb::Credit, permits);
    }

    fn try_acquire_up_to(&self, permits: u64) -> u64 {
        self.ask(Verb::TakeUpTo, permits).count
    }

    fn usage(&self) -> Usage {
        let (answer, quotas) = (self.ask(Verb::Look, 0), self.quotas());
        let each = answer.levels.iter().zip(&quotas);
        let (level, quota) = each.min_by_key(|(level, _)| level.remaining).expect("a limit");
        let mut usage = Usage::new(*quota);
        usage.limit = quota.burst_size();
        (usage.used, usage.remaining) = (level.used, level.remaining);
        usage.reset_after = level.full_after;
        usage
    }

    fn set_quota_with(&self, quota: Quota, how: CarryOver) -> Result<(), QuotaError> {
        assert_eq!(how, CarryOver::Proportional, "a store has no other way");
        self.set_quotas(&[quota]).map_err(|error| match error {
            OpenError::Quota { error, .. } => error,
            other => panic!("{other}"),
        })
    }

    fn reset(&self) {
        self.ask(Verb::Reset, 0);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
