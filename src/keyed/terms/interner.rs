//! Equal terms are kept once, with the rule that they ask for.

use std::collections::HashMap;
use std::sync::Arc;

use super::{KeyTerms, SharedTerms, Terms};
use crate::QuotaError;
use crate::algorithm::Algorithm;
use crate::sync::Mutex;

/// Keys are spread over so many tables, so that new keys with the same terms seldom meet at a lock.
const TABLES: usize = 16;

/// A table is not searched for unused terms before so many new ones have come.
const FEW: usize = 64;

/// A table with this many terms in use takes no more: further keys have terms that they do not share.
const MOST: usize = 4096;

/// Keeps equal terms once.
#[derive(Debug)]
pub(crate) struct TermsInterner<A> {
    template: A,
    tables: [Mutex<Table<A>>; TABLES],
}

#[derive(Debug)]
struct Table<A> {
    known: HashMap<Terms, Arc<SharedTerms<A>>>,
    /// Terms that were looked for in vain since unused ones were last dropped.
    missed: usize,
}

impl<A: Algorithm> TermsInterner<A> {
    pub(crate) fn new(template: A) -> Self {
        let table = || Mutex::new(Table { known: HashMap::new(), missed: 0 });
        Self { template, tables: std::array::from_fn(|_| table()) }
    }

    /// The rule of everybody as it was built, to make others from.
    pub(crate) fn template(&self) -> &A {
        &self.template
    }

    /// The terms as a key of this hash keeps them.
    ///
    /// The rule is made, and unused ones are dropped, while no lock is held: both run code of
    /// whoever wrote the rule.
    pub(crate) fn apply(&self, hash: u64, terms: Terms) -> Result<KeyTerms<A>, QuotaError> {
        // The end of a block belongs to one key, so it is not shared.
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
    /// Adds terms, and hands over those that no key has any more.
    fn insert(&mut self, applied: &Arc<SharedTerms<A>>) -> Vec<Arc<SharedTerms<A>>> {
        let mut unused = Vec::new();
        self.missed += 1;
        // As many new terms as there are old ones pay for looking at each.
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
            // If another thread has added equal ones meanwhile, those stay.
            self.known.entry(applied.terms).or_insert_with(|| Arc::clone(applied));
        }
        unused
    }
}
