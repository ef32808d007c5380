//! Building the limiter from its options.

use std::hash::BuildHasher;
use std::sync::Arc;

use super::KeyedBuilder;
use crate::algorithm::Algorithm;
use crate::keyed::max_keys::KeyLimit;
use crate::keyed::shard::{Basis, Shard};
use crate::keyed::terms::function::TermsFunction;
use crate::keyed::terms::interner::TermsInterner;
use crate::keyed::{Key, Keyed};
use crate::limiters::core::LAST;
use crate::sync::{CacheLine, Mutex, next_number};
use crate::{Clock, Limiter, QuotaError};

/// The default number of shards: enough that two threads rarely meet at a lock, and that a table is
/// small when it grows.
const SHARDS: usize = 128;
/// If `max_keys` allows fewer keys than this per shard, there are fewer shards.
const KEYS_PER_SHARD: usize = 64;
const MAX_SHARDS: usize = 1 << 16;

impl<K: Key, A: Algorithm, C: Clock, S: BuildHasher> KeyedBuilder<K, A, C, S> {
    /// Builds the limiter.
    ///
    /// # Errors
    ///
    /// When a quota is invalid or its algorithm does not support it; [`QuotaError::OutOfRange`]
    /// when [`max_keys`](Self::max_keys) is 0 or [`shards`](Self::shards) is not from 1 to 65,536.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota, QuotaError};
    /// let nobody = KeyedLimiter::<u64>::builder(Quota::per_second(5)).max_keys(0).build();
    /// assert!(matches!(nobody, Err(QuotaError::OutOfRange { option: "max_keys", .. })));
    /// ```
    pub fn build(self) -> Result<Keyed<K, A, C, S>, QuotaError> {
        let rule = self.rule?;
        in_range("max_keys", self.max_keys, usize::MAX)?;
        in_range("shards", self.shards, MAX_SHARDS)?;
        let clock = Arc::new(self.clock);
        let now = clock.now().min(LAST);
        let no_global = self.global.is_none();
        let global = self.global.transpose()?.map(|rule| {
            Limiter::builder_from_algorithm(rule)
                .clock(Arc::clone(&clock))
                .max_waiters(usize::MAX)
                .name(format!("{} (all keys)", self.settings.name))
                .build()
        });
        let few = self.max_keys.map_or(SHARDS, |keys| keys / KEYS_PER_SHARD);
        let shards = self.shards.unwrap_or(few.min(SHARDS));
        let shards = shards.max(1).next_power_of_two();
        let basis = Arc::new(Basis::new(rule.clone(), now, false));
        let capacity = self.capacity.div_ceil(shards);
        Ok(Keyed {
            shards: (0..shards)
                .map(|_| CacheLine(Mutex::new(Shard::new(Arc::clone(&basis), capacity))))
                .collect(),
            // With one shard, a shift by all 64 bits would overflow.
            shift: (u64::BITS - shards.trailing_zeros()).min(u64::BITS - 1),
            hasher: self.hasher,
            clock,
            settings: self.settings,
            max_waiters: self.max_waiters,
            inserts_freely: self.max_keys.is_none() && self.terms_by.is_none(),
            no_global,
            global: global.transpose()?,
            key_limit: self.max_keys.map(|max| KeyLimit::new(max, self.when_full, &rule, now)),
            terms_function: TermsFunction::new(self.terms_by),
            terms: TermsInterner::new(rule),
            number: next_number(),
            changing: Mutex::new(()),
        })
    }
}

/// Checks that an option, if it was set, is from 1 to `most`.
fn in_range(option: &'static str, given: Option<usize>, most: usize) -> Result<(), QuotaError> {
    match given {
        Some(given) if given < 1 || given > most => {
            Err(QuotaError::OutOfRange { option, given, least: 1, most })
        }
        _ => Ok(()),
    }
}
