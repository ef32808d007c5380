//! What a store does with an ask, by its definition.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Answer, Ask, Level, Namespace, Outcome, Part, Verb, Verdict};

use crate::limits::Limit;

pub type Make = fn(&[Quota]) -> Box<dyn Limit>;

/// A store that remembers everything.
pub struct Model {
    limits: Vec<Vec<(Vec<Quota>, Make)>>,
    subjects: HashMap<Key, Subject>,
}

type Key = (usize, Arc<str>);

/// What is kept of a subject, once something was written.
struct Subject {
    limits: Vec<Box<dyn Limit>>,
    /// The time of the last write.
    seen: u64,
}

impl Clone for Subject {
    fn clone(&self) -> Self {
        Self { limits: self.limits.iter().map(|limit| limit.boxed()).collect(), seen: self.seen }
    }
}

/// A charge in an ask, to be taken back later: the model's receipts of its limits.
pub type Receipts = Vec<u128>;

/// What an attempt comes to.
struct Attempt {
    /// Whether all enforced parts pass.
    is_done: bool,
    subjects: HashMap<Key, Subject>,
    /// Of each part.
    judged: Vec<Vec<(Verdict, u128)>>,
    receipts: Vec<Receipts>,
    /// What was written.
    charged: HashSet<Key>,
}

impl Model {
    pub fn new(namespaces: &[Namespace], make: &[Vec<Make>]) -> Self {
        let limits = namespaces.iter().zip(make).map(|(namespace, make)| {
            let each = namespace.limits.iter().zip(make);
            each.map(|(limit, make)| (limit.quotas.clone(), *make)).collect()
        });
        Self { limits: limits.collect(), subjects: HashMap::new() }
    }

    /// The subjects of an ask, each at the time at which it is asked: not before its last change.
    fn subjects(&self, ask: &Ask, now: u64) -> HashMap<Key, Subject> {
        let subject = |part: &Part| {
            let key = key(part);
            let new = || {
                let limits = self.limits[part.namespace].iter();
                Subject { limits: limits.map(|(quotas, make)| make(quotas)).collect(), seen: 0 }
            };
            let mut subject = self.subjects.get(&key).cloned().unwrap_or_else(new);
            subject.seen = subject.seen.max(now);
            (key, subject)
        };
        ask.parts.iter().map(subject).collect()
    }

    /// The answer, and the receipts of each part.
    pub fn ask(&mut self, ask: &Ask, now: u64, receipts: &[Receipts]) -> (Answer, Vec<Receipts>) {
        let before = self.subjects(ask, now);
        let (attempt, count) = match ask.verb {
            Verb::TakeUpTo if ask.count > 0 => most(ask, &before),
            Verb::Take | Verb::TakeUpTo | Verb::Look => {
                let attempt = charge(ask, ask.count, before.clone());
                let count = if attempt.is_done { ask.count } else { 0 };
                (attempt, count)
            }
            _ => (impose(ask, receipts, before.clone()), ask.count),
        };
        let Attempt { is_done, subjects, judged, receipts, charged } = attempt;
        let shown = if is_done { subjects } else { before };
        let (mut levels, mut after) = (Vec::new(), 0);
        for (part, judged) in ask.parts.iter().zip(judged) {
            let mut subject = shown[&key(part)].clone();
            bring(&mut subject, part);
            for (limit, (verdict, wait)) in subject.limits.iter().zip(judged) {
                levels.push(level(&**limit, verdict, wait));
                if !part.shadow {
                    after = after.max(wait);
                }
            }
        }
        if is_done {
            self.keep(ask, count, shown, &charged);
        }
        let outcome =
            if is_done { Outcome::Done { after: nanos(after) } } else { Outcome::Refused };
        (Answer::new(outcome, count, levels), receipts)
    }

    /// Keeps the subjects of an ask that was done. Where nothing is kept, nothing is given back.
    fn keep(
        &mut self,
        ask: &Ask,
        count: u64,
        subjects: HashMap<Key, Subject>,
        charged: &HashSet<Key>,
    ) {
        for (key, subject) in subjects {
            let is_kept = match ask.verb {
                Verb::Look => false,
                Verb::Take | Verb::TakeUpTo => count > 0 && charged.contains(&key),
                Verb::Consume | Verb::Raise => count > 0,
                Verb::Reset => self.subjects.contains_key(&key),
                _ => count > 0 && self.subjects.contains_key(&key),
            };
            if is_kept {
                self.subjects.insert(key, subject);
            }
        }
    }
}

fn key(part: &Part) -> Key {
    (part.namespace, Arc::clone(&part.subject))
}

/// Brings the limits of a subject to its time, under the quotas of a part.
fn bring(subject: &mut Subject, part: &Part) {
    for (limit, charge) in subject.limits.iter_mut().zip(&part.charges) {
        limit.advance(subject.seen, charge.quota);
    }
}

/// The largest number of times that passes, and at least one attempt.
fn most(ask: &Ask, before: &HashMap<Key, Subject>) -> (Attempt, u64) {
    let passes = |count| charge(ask, count, before.clone()).is_done;
    let (mut low, mut high) = (0, ask.count);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if passes(middle) { low = middle } else { high = middle - 1 }
    }
    (charge(ask, low.max(1), before.clone()), low)
}

/// Charges the enforced parts, and then the shadows.
fn charge(ask: &Ask, count: u64, mut subjects: HashMap<Key, Subject>) -> Attempt {
    let mut is_done = true;
    let mut judged: Vec<_> = ask.parts.iter().map(|_| Vec::new()).collect();
    let mut receipts: Vec<_> = ask.parts.iter().map(|_| Receipts::new()).collect();
    let mut charged = HashSet::new();
    for shadows in [false, true] {
        for (at, part) in ask.parts.iter().enumerate().filter(|(_, part)| part.shadow == shadows) {
            let mut subject = subjects[&key(part)].clone();
            bring(&mut subject, part);
            let each = subject.limits.iter().zip(&part.charges);
            judged[at] = each.map(|(limit, it)| judge(&**limit, ask, it.cost, count)).collect();
            let passes = judged[at].iter().all(|(verdict, _)| *verdict == Verdict::Granted);
            is_done &= passes || shadows;
            if passes && is_done {
                charged.insert(key(part));
                if count == 0 {
                    continue;
                }
                for (limit, charge) in subject.limits.iter_mut().zip(&part.charges) {
                    limit.take(u128::from(charge.cost) * u128::from(count));
                    receipts[at].push(limit.receipt());
                }
                write(ask, part, subject, &mut subjects);
            }
        }
    }
    Attempt { is_done, subjects, judged, receipts, charged }
}

/// Replaces the limits of a subject that a part charges. The others stay as they are, also under
/// the quotas that they have.
fn write(ask: &Ask, part: &Part, subject: Subject, subjects: &mut HashMap<Key, Subject>) {
    let known = subjects.get_mut(&key(part)).expect("a subject");
    let limits = known.limits.iter_mut().zip(subject.limits);
    for ((known, limit), charge) in limits.zip(&part.charges) {
        if ask.verb == Verb::Reset || charge.cost > 0 && ask.count > 0 {
            *known = limit;
        }
    }
}

/// Does what the verbs say that ask no limit.
fn impose(ask: &Ask, receipts: &[Receipts], mut subjects: HashMap<Key, Subject>) -> Attempt {
    let (mut judged, mut new_receipts) = (Vec::new(), Vec::new());
    for (at, part) in ask.parts.iter().enumerate() {
        let mut subject = subjects[&key(part)].clone();
        bring(&mut subject, part);
        let mut of_part = Receipts::new();
        for (j, (limit, charge)) in subject.limits.iter_mut().zip(&part.charges).enumerate() {
            let permits = u128::from(charge.cost) * u128::from(ask.count);
            match ask.verb {
                Verb::Credit => limit.give(permits),
                Verb::Reset => limit.reset(),
                Verb::Consume => limit.consume(permits),
                Verb::Raise => limit.raise(permits),
                verb => limit.undo(permits, receipts[at][j], verb == Verb::Cancel),
            }
            of_part.push(limit.receipt());
        }
        judged.push(part.charges.iter().map(|_| (Verdict::Granted, 0)).collect());
        new_receipts.push(of_part);
        write(ask, part, subject, &mut subjects);
    }
    let charged = ask.parts.iter().map(key).collect();
    Attempt { is_done: true, subjects, judged, receipts: new_receipts, charged }
}

/// What a limit says to so many times a cost, and the time in ns until the permits are there.
fn judge(limit: &dyn Limit, ask: &Ask, cost: u64, count: u64) -> (Verdict, u128) {
    let permits = u128::from(cost) * u128::from(count);
    let is_at_once = limit.is_window() || ask.verb == Verb::TakeUpTo;
    let patience = if is_at_once { 0 } else { ask.patience.as_nanos() };
    match limit.wait(permits) {
        _ if cost == 0 => (Verdict::Granted, 0),
        None => (Verdict::Never, 0),
        Some(wait) if wait > patience => (Verdict::Refused, wait),
        Some(wait) => (Verdict::Granted, wait),
    }
}

fn level(limit: &dyn Limit, verdict: Verdict, mut wait: u128) -> Level {
    if verdict == Verdict::Granted && wait == 0 && limit.remaining() == 0 {
        wait = limit.wait(1).expect("a permit fits");
    }
    let mut level = Level::new(limit.remaining() as u64);
    level.verdict = verdict;
    level.used = limit.used() as u64;
    level.full_after = nanos(limit.full_after());
    level.wait = nanos(wait);
    level
}

fn nanos(nanos: u128) -> Duration {
    Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32)
}
