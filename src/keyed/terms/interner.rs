//! Stores equal terms once, together with the algorithm for their quota.

use std::collections::HashMap;
use std::sync::Arc;

use super::{KeyTerms, SharedTerms, Terms};
use crate::QuotaError;
use crate::algorithm::Algorithm;
use crate::sync::Mutex;

/// The number of tables. Keys are spread over them, so that new keys with the same terms rarely
/// contend for a lock.
const TABLES: usize = 16;

/// A table is not searched for unused terms before this many new terms have come.
const FEW: usize = 64;

/// The maximum number of terms in a table; beyond it, keys get terms that they do not share.
const MOST: usize = 4096;

/// Stores equal terms once.
#[derive(Debug)]
pub(crate) struct TermsInterner<A> {
    template: A,
    tables: [Mutex<Table<A>>; TABLES],
}

#[derive(Debug)]
struct Table<A> {
    known: HashMap<Terms, Arc<SharedTerms<A>>>,
    /// Failed lookups since unused terms were last dropped.
    missed: usize,
}

impl<A: Algorithm> TermsInterner<A> {
    pub(crate) fn new(template: A) -> Self {
        let table = || Mutex::new(Table { known: HashMap::new(), missed: 0 });
        Self { template, tables: std::array::from_fn(|_| table()) }
    }

    /// The algorithm that the limiter was built with, from which those for other quotas are made.
    pub(crate) fn template(&self) -> &A {
        &self.template
    }

    /// The given terms in the form in which a key with this hash stores them.
    ///
    /// Algorithms are made, and unused ones dropped, while no lock is held: both run the code of a
    /// custom algorithm.
    pub(crate) fn apply(&self, hash: u64, terms: Terms) -> Result<KeyTerms<A>, QuotaError> {
        // The end of a temporary block belongs to one key, so it is not shared.
        let blocked_until = terms.blocked_until;
        let shared = terms.without_end_of_block();
        if shared == Terms::default() {
            return Ok(KeyTerms { blocked_until, ..KeyTerms::default() });
        }
        let table = usize::try_from(hash % (TABLES as u64)).unwrap_or(0);
        let table = &self.tables[table];
        let known = table.lock().known.get(&shared).cloned();
        let applied = if let Some(applied) = known {
            applied
        } else {
            let rule = shared.quota.map(|quota| self.template.with_quota(quota)).transpose()?;
            let applied = Arc::new(SharedTerms { terms: shared, rule });
            let unused = table.lock().insert(&applied);
            drop(unused);
            applied
        };
        Ok(KeyTerms { applied: Some(applied), blocked_until, ..KeyTerms::default() })
    }
}

impl<A> Table<A> {
    /// Adds terms, and returns those that no key uses any more.
    fn insert(&mut self, applied: &Arc<SharedTerms<A>>) -> Vec<Arc<SharedTerms<A>>> {
        let mut unused = Vec::new();
        self.missed += 1;
        // Runs once per as many new terms as there are old ones, so the amortized cost is constant.
        if self.missed > self.known.len().max(FEW) {
            self.missed = 0;
            self.known.retain(|_, applied| {
                let used = Arc::strong_count(applied) > 1;
                if !used {
                    unused.push(Arc::clone(applied));
                }
                used
            });
        }
        if self.known.len() < MOST {
            // If another thread has added equal terms meanwhile, those stay.
            self.known.entry(applied.terms).or_insert_with(|| Arc::clone(applied));
        }
        unused
    }
}
