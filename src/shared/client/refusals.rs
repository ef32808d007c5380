//! Refusals that are still true, so that a subject that keeps asking costs no call.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::keyed::RandomState;
use crate::shared::store::{Answer, Ask, Charge, Outcome, Part, Verb, Verdict};
use crate::sync::Mutex;

/// The number of parts with a lock of their own; a power of two.
const SHARDS: usize = 16;

/// The most subjects in each generation of a shard. Two generations are kept, so at least 16,384
/// refused subjects are remembered, and at most 32,768.
const GENERATION: usize = 1024;

/// The last refusal of each subject.
///
/// A refusal of `n` permits also answers requests for more, as long as it lasts. Another process can
/// give permits back meanwhile, which this process does not see; so a refusal is trusted for a short
/// time only.
pub(crate) struct Refusals {
    shards: [Mutex<Generations>; SHARDS],
    hasher: RandomState,
    trusted_for: Duration,
}

/// When the younger generation is full, it becomes the older one, which is forgotten.
#[derive(Default)]
struct Generations {
    young: HashTable<(Subject, Refusal)>,
    old: HashTable<(Subject, Refusal)>,
}

/// The namespace and the name of a subject, with their hash.
struct Subject {
    hash: u64,
    namespace: usize,
    name: Arc<str>,
}

/// A subject that is looked for.
#[derive(Clone, Copy)]
struct Sought<'a> {
    hash: u64,
    namespace: usize,
    name: &'a str,
}

impl Sought<'_> {
    fn is(&self, subject: &Subject) -> bool {
        (self.hash, self.namespace, self.name) == (subject.hash, subject.namespace, &*subject.name)
    }
}

#[derive(Clone, Debug)]
struct Refusal {
    charges: SmallVec<[Charge; 2]>,
    count: u64,
    answer: Answer,
    since: Instant,
    /// The time from `since` on until the request could pass.
    wait: Duration,
}

impl Refusals {
    /// Remembers refusals, and answers with them for `trusted_for`.
    pub(crate) fn new(trusted_for: Duration) -> Self {
        let shards = std::array::from_fn(|_| Mutex::new(Generations::default()));
        Self { shards, hasher: RandomState::default(), trusted_for }
    }

    /// The refusal of an ask, if it is known and trusted.
    pub(crate) fn answer_to(&self, ask: &Ask) -> Option<Answer> {
        let refusal = self.find(ask)?;
        let age = refusal.since.elapsed();
        if age >= self.trusted_for { None } else { refusal.after(age, ask.patience) }
    }

    /// The refusal of an ask, if it is known, however long ago it was made.
    pub(crate) fn last_known(&self, ask: &Ask) -> Option<Answer> {
        let refusal = self.find(ask)?;
        let age = refusal.since.elapsed();
        refusal.after(age, ask.patience)
    }

    /// Notes what the store has answered.
    pub(crate) fn note(&self, ask: &Ask, answer: &Answer) {
        match (answer.outcome, only_part(ask)) {
            (Outcome::Refused, Some(part)) => {
                let refuses = |verdict| answer.levels.iter().any(|level| level.verdict == verdict);
                let wait = answer.levels.iter().map(|level| level.wait).max().unwrap_or_default();
                if refuses(Verdict::Refused) && !refuses(Verdict::Never) && !wait.is_zero() {
                    let (charges, count) = (part.charges.clone(), ask.count);
                    let answer = answer.clone();
                    let refusal = Refusal { charges, count, answer, since: Instant::now(), wait };
                    let sought = self.sought(part);
                    let name = Arc::clone(&part.subject);
                    self.shard(sought).lock().insert(sought, name, refusal);
                }
            }
            // Whoever was granted something is not refused, and what was given back may be there.
            (Outcome::Done { .. }, _) if ask.verb != Verb::Look => {
                for part in &ask.parts {
                    let sought = self.sought(part);
                    self.shard(sought).lock().forget(sought);
                }
            }
            _ => {}
        }
    }

    fn sought<'a>(&self, part: &'a Part) -> Sought<'a> {
        let (namespace, name) = (part.namespace, &*part.subject);
        Sought { hash: self.hasher.hash_one((namespace, name)), namespace, name }
    }

    fn shard(&self, sought: Sought<'_>) -> &Mutex<Generations> {
        &self.shards[usize::try_from(sought.hash % SHARDS as u64).unwrap_or(0)]
    }

    fn find(&self, ask: &Ask) -> Option<Refusal> {
        let part = only_part(ask)?;
        let sought = self.sought(part);
        let shard = self.shard(sought).lock();
        let found = shard.find(sought)?;
        // Another quota, or fewer permits, may pass.
        let is_as_large = found.charges == part.charges && ask.count >= found.count;
        is_as_large.then(|| found.clone())
    }
}

impl Generations {
    fn find<'a>(&'a self, sought: Sought<'_>) -> Option<&'a Refusal> {
        let mut tables = [&self.young, &self.old].into_iter();
        let found = |table: &'a HashTable<_>| table.find(sought.hash, |(it, _)| sought.is(it));
        tables.find_map(found).map(|(_, refusal)| refusal)
    }

    fn insert(&mut self, sought: Sought<'_>, name: Arc<str>, refusal: Refusal) {
        self.forget(sought);
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        let Sought { hash, namespace, .. } = sought;
        let subject = Subject { hash, namespace, name };
        self.young.insert_unique(hash, (subject, refusal), |(subject, _)| subject.hash);
    }

    fn forget(&mut self, sought: Sought<'_>) {
        for table in [&mut self.young, &mut self.old] {
            if let Ok(entry) = table.find_entry(sought.hash, |(subject, _)| sought.is(subject)) {
                entry.remove();
            }
        }
    }
}

impl Refusal {
    /// The answer to the same request, `age` later.
    fn after(self, age: Duration, patience: Duration) -> Option<Answer> {
        if self.wait.saturating_sub(age) <= patience {
            return None;
        }
        let mut answer = self.answer;
        for level in &mut answer.levels {
            level.wait = level.wait.saturating_sub(age);
            level.full_after = level.full_after.saturating_sub(age);
            if level.verdict == Verdict::Refused && level.wait.is_zero() {
                level.verdict = Verdict::Granted;
            }
        }
        Some(answer)
    }
}

/// The part of a request that takes from one subject. Requests over several are always asked.
fn only_part(ask: &Ask) -> Option<&Part> {
    match &ask.parts[..] {
        [part] if ask.verb == Verb::Take && !part.shadow => Some(part),
        _ => None,
    }
}
