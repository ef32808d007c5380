//! What a store does with an ask, by its definition.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Answer, Ask, Level, Namespace, Outcome, Part, Verb, Verdict};

use crate::limits::Limit;

pub type Make = fn(&[Quota]) -> Box<dyn Limit>;

/// A store that remembers everything.
pub struct Model {
    limits: Vec<Vec<(Vec<Quota>, Make)>>,
    subjects: HashMap<(usize, Arc<str>), Subject>,
}

/// What is kept of a subject, once something was written.
struct Subject {
    limits: Vec<Box<dyn Limit>>,
    /// The time of the last write.
    seen: u64,
}

/// A charge in an ask, to be taken back later: the model's receipts of its limits.
pub type Receipts = Vec<u128>;

impl Model {
    pub fn new(namespaces: &[Namespace], make: &[Vec<Make>]) -> Self {
        let limits = namespaces.iter().zip(make).map(|(namespace, make)| {
            let each = namespace.limits.iter().zip(make);
            each.map(|(limit, make)| (limit.quotas.clone(), *make)).collect()
        });
        Self { limits: limits.collect(), subjects: HashMap::new() }
    }

    /// The limits of a subject, and the time at which they are asked: not before their last change.
    fn read(&self, part: &Part, now: u64) -> (Vec<Box<dyn Limit>>, u64) {
        let key = (part.namespace, Arc::clone(&part.subject));
        let (mut limits, now): (Vec<_>, _) = if let Some(subject) = self.subjects.get(&key) {
            (subject.limits.iter().map(|it| it.boxed()).collect(), now.max(subject.seen))
        } else {
            let limits = &self.limits[part.namespace];
            (limits.iter().map(|(quotas, make)| make(quotas)).collect(), now)
        };
        for (limit, charge) in limits.iter_mut().zip(&part.charges) {
            limit.advance(now, charge.quota);
        }
        (limits, now)
    }

    /// The answer, and the receipts of each part.
    pub fn ask(&mut self, ask: &Ask, now: u64, receipts: &[Receipts]) -> (Answer, Vec<Receipts>) {
        let read: Vec<_> = ask.parts.iter().map(|part| self.read(part, now)).collect();
        let decides = matches!(ask.verb, Verb::Take | Verb::TakeUpTo | Verb::Look);
        let passes: Vec<_> = ask
            .parts
            .iter()
            .zip(&read)
            .map(|(part, (limits, _))| passes(ask, part, limits))
            .collect();
        let enforced = ask.parts.iter().zip(&passes).filter(|(part, _)| !part.shadow);
        let all = enforced.map(|(_, passes)| *passes).min().unwrap_or(Some(ask.count));
        let all = if decides { all } else { Some(ask.count) };
        let is_done = match (ask.verb, all) {
            (Verb::TakeUpTo, Some(0)) => ask.count == 0,
            (_, all) => all.is_some(),
        };
        let count = all.filter(|_| is_done).unwrap_or(0);
        let (mut levels, mut after, mut receipts_of) = (Vec::new(), 0, Vec::new());
        for ((part, passes), (at, (mut limits, time))) in
            ask.parts.iter().zip(&passes).zip(read.into_iter().enumerate())
        {
            let key = (part.namespace, Arc::clone(&part.subject));
            let takes = matches!(ask.verb, Verb::Take | Verb::TakeUpTo);
            let changes = if takes {
                is_done && count > 0 && passes.is_some_and(|passes| passes >= count)
            } else {
                // What is not kept is full already.
                let is_kept = self.subjects.contains_key(&key);
                ask.verb == Verb::Consume || ask.verb != Verb::Look && is_kept
            };
            let mut of_part = Receipts::new();
            for (j, (limit, charge)) in limits.iter_mut().zip(&part.charges).enumerate() {
                let permits = u128::from(charge.cost) * u128::from(count);
                if changes {
                    match ask.verb {
                        Verb::Credit => limit.give(permits),
                        Verb::HandBack | Verb::Cancel => {
                            limit.undo(permits, receipts[at][j], ask.verb == Verb::Cancel);
                        }
                        Verb::Reset => limit.reset(),
                        _ => limit.take(permits),
                    }
                }
                of_part.push(limit.receipt());
                let (level, later) = level(&**limit, ask, charge.cost, changes);
                levels.push(level);
                if !part.shadow {
                    after = after.max(later);
                }
            }
            receipts_of.push(of_part);
            if changes {
                self.subjects.insert(key, Subject { limits, seen: time });
            }
        }
        let after = nanos(after);
        let outcome = if is_done { Outcome::Done { after } } else { Outcome::Refused };
        (Answer::new(outcome, count, levels), receipts_of)
    }
}

/// How many times the charges of a part pass; `None` if they are refused.
fn passes(ask: &Ask, part: &Part, limits: &[Box<dyn Limit>]) -> Option<u64> {
    let mut passes = ask.count;
    for (limit, charge) in limits.iter().zip(&part.charges) {
        if charge.cost == 0 {
            continue;
        }
        let cost = u128::from(charge.cost);
        if ask.verb == Verb::TakeUpTo {
            let fits = |n: u64| limit.wait(cost * u128::from(n)) == Some(0);
            let (mut low, mut high) = (0, passes);
            while low < high {
                let middle = low + (high - low).div_ceil(2);
                if fits(middle) { low = middle } else { high = middle - 1 }
            }
            passes = low;
        } else {
            let wait = limit.wait(cost * u128::from(ask.count))?;
            if wait > patience(&**limit, ask) {
                return None;
            }
        }
    }
    Some(passes)
}

fn patience(limit: &dyn Limit, ask: &Ask) -> u128 {
    if limit.is_window() || ask.verb == Verb::TakeUpTo { 0 } else { ask.patience.as_nanos() }
}

/// The level, and the time in ns until its permits are there.
fn level(limit: &dyn Limit, ask: &Ask, cost: u64, is_done: bool) -> (Level, u128) {
    let times = if ask.verb == Verb::TakeUpTo { 1 } else { ask.count };
    let permits = u128::from(cost) * u128::from(times);
    let decides = matches!(ask.verb, Verb::Take | Verb::TakeUpTo | Verb::Look);
    let (mut verdict, mut wait, mut later) = (Verdict::Granted, 0, 0);
    if cost > 0 && is_done && ask.verb == Verb::Take && !limit.is_window() {
        later = limit.wait(0).expect("no permits fit");
        wait = later;
    } else if cost > 0 && decides && !is_done {
        match limit.wait(permits) {
            None => verdict = Verdict::Never,
            Some(until) if until > patience(limit, ask) => {
                (verdict, wait) = (Verdict::Refused, until);
            }
            Some(until) => (wait, later) = (until, until),
        }
    }
    if verdict == Verdict::Granted && wait == 0 && limit.remaining() == 0 {
        wait = limit.wait(1).expect("a permit fits");
    }
    let mut level = Level::new(limit.remaining() as u64);
    level.verdict = verdict;
    level.used = limit.used() as u64;
    level.full_after = nanos(limit.full_after());
    level.wait = nanos(wait);
    (level, later)
}

fn nanos(nanos: u128) -> Duration {
    Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32)
}
