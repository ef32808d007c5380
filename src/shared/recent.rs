//! What is known of the subjects that were seen last, in bounded memory.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;

use crate::keyed::RandomState;
use crate::sync::Mutex;

/// The number of parts with a lock of their own; a power of two.
const SHARDS: usize = 16;

/// The most subjects in each generation of a shard. There are two generations, so what is known of
/// about 16,384 subjects is kept for certain, and of about 32,768 at most.
const GENERATION: usize = 1024;

/// A value for each of the subjects that were seen last.
pub(super) struct Recent<V> {
    shards: [Mutex<Generations<V>>; SHARDS],
    hasher: RandomState,
}

/// When the younger generation is full, it becomes the older one, and the older one is forgotten.
struct Generations<V> {
    young: HashTable<(Subject, V)>,
    old: HashTable<(Subject, V)>,
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

impl<V> Recent<V> {
    pub(super) fn new() -> Self {
        let empty = || Generations { young: HashTable::new(), old: HashTable::new() };
        let shards = std::array::from_fn(|_| Mutex::new(empty()));
        Self { shards, hasher: RandomState::default() }
    }

    /// The value of a subject, as `read` reads it.
    pub(super) fn read<R>(
        &self,
        namespace: usize,
        name: &str,
        read: impl FnOnce(&V) -> R,
    ) -> Option<R> {
        let sought = self.sought(namespace, name);
        let shard = self.shard(sought).lock();
        let young = shard.young.find(sought.hash, |(it, _)| sought.is(it));
        let found = young.or_else(|| shard.old.find(sought.hash, |(it, _)| sought.is(it)));
        found.map(|(_, value)| read(value))
    }

    /// Sets the value of a subject.
    pub(super) fn set(&self, namespace: usize, name: &Arc<str>, value: V) {
        let sought = self.sought(namespace, name);
        let forgotten = {
            let mut shard = self.shard(sought).lock();
            (shard.take(sought), shard.insert(sought, name, value))
        };
        // Values are dropped without the lock.
        drop(forgotten);
    }

    /// Forgets a subject.
    pub(super) fn forget(&self, namespace: usize, name: &str) {
        let sought = self.sought(namespace, name);
        let forgotten = self.shard(sought).lock().take(sought);
        drop(forgotten);
    }

    /// Forgets all subjects.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let (young, old) = {
                let mut shard = shard.lock();
                (std::mem::take(&mut shard.young), std::mem::take(&mut shard.old))
            };
            drop((young, old));
        }
    }

    fn sought<'a>(&self, namespace: usize, name: &'a str) -> Sought<'a> {
        Sought { hash: self.hasher.hash_one((namespace, name)), namespace, name }
    }

    fn shard(&self, sought: Sought<'_>) -> &Mutex<Generations<V>> {
        &self.shards[usize::try_from(sought.hash % SHARDS as u64).unwrap_or(0)]
    }
}

impl<V: Clone> Recent<V> {
    /// The value of a subject. It is made if nothing is known of the subject, and kept as one of
    /// those that were seen last.
    pub(super) fn get_or_insert(
        &self,
        namespace: usize,
        name: &Arc<str>,
        make: impl FnOnce() -> V,
    ) -> V {
        let sought = self.sought(namespace, name);
        let mut shard = self.shard(sought).lock();
        if let Some((_, value)) = shard.young.find(sought.hash, |(it, _)| sought.is(it)) {
            return value.clone();
        }
        let value = shard.take(sought).unwrap_or_else(make);
        let forgotten = shard.insert(sought, name, value.clone());
        drop(shard);
        drop(forgotten);
        value
    }
}

impl<V> Generations<V> {
    /// Adds a subject that is in neither generation. Returns the generation that is forgotten for
    /// it.
    fn insert(&mut self, sought: Sought<'_>, name: &Arc<str>, value: V) -> HashTable<(Subject, V)> {
        let mut forgotten = HashTable::new();
        if self.young.len() >= GENERATION {
            forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        }
        let Sought { hash, namespace, .. } = sought;
        let subject = Subject { hash, namespace, name: Arc::clone(name) };
        self.young.insert_unique(hash, (subject, value), |(subject, _)| subject.hash);
        forgotten
    }

    fn take(&mut self, sought: Sought<'_>) -> Option<V> {
        for table in [&mut self.young, &mut self.old] {
            if let Ok(entry) = table.find_entry(sought.hash, |(it, _)| sought.is(it)) {
                return Some(entry.remove().0.1);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_used_stay_and_the_others_are_forgotten() {
        let recent = Recent::new();
        let hot: Arc<str> = "hot".into();
        recent.get_or_insert(0, &hot, || 1);
        for number in 0..100_000_u32 {
            let name: Arc<str> = number.to_string().into();
            recent.set(0, &name, 0);
            assert_eq!(recent.get_or_insert(0, &hot, || 2), 1);
        }
        assert_eq!(recent.read(0, "99999", |value| *value), Some(0));
        assert_eq!(recent.read(0, "0", |value| *value), None);
        assert_eq!(recent.read(1, "hot", |value| *value), None);
        let kept: usize = recent
            .shards
            .iter()
            .map(|shard| {
                let shard = shard.lock();
                shard.young.len() + shard.old.len()
            })
            .sum();
        assert!(kept <= 2 * SHARDS * GENERATION, "{kept}");
        recent.forget(0, "hot");
        assert_eq!(recent.read(0, "hot", |value| *value), None);
        recent.clear();
        assert_eq!(recent.read(0, "99999", |value| *value), None);
    }
}
