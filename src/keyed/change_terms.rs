//! Changing the terms of one key without losing a concurrent change.

use std::hash::BuildHasher;

use crate::algorithm::Algorithm;
use crate::keyed::Keyed;
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::change_key::Change;
use crate::keyed::shard::guard::ShardGuard;
use crate::keyed::shard::{At, Hold, Kept};
use crate::keyed::terms::{KeyTerms, Terms};
use crate::wakers::Wakers;
use crate::{CarryOver, Clock, Quota, QuotaError};

impl<K, A, C, S> Keyed<K, A, C, S>
where
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    pub(crate) fn set_own_quota<Q: KeyRef<K> + ?Sized>(
        &self,
        hash: u64,
        key: &Q,
        quota: Quota,
        how: CarryOver,
    ) -> Result<(), QuotaError> {
        self.change_key(hash, key, how, |old| old.with_own_quota(quota))
    }

    pub(crate) fn close_key<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) {
        let closed = self.change_key(hash, key, CarryOver::default(), Terms::close);
        if let Err(error) = closed {
            crate::events::warn!(limiter = self.settings.name, %error, "a key could not be closed");
        }
    }

    /// Sets the terms of a key explicitly, to what `change` makes of its current terms.
    pub(super) fn change_key<Q: KeyRef<K> + ?Sized>(
        &self,
        hash: u64,
        key: &Q,
        how: CarryOver,
        change: impl Fn(Terms) -> Terms,
    ) -> Result<(), QuotaError> {
        let mut wakers = Wakers::default();
        let mut tries = self.terms_function.tries();
        // The terms are computed before the lock is taken; if they change meanwhile, they are
        // computed again.
        let (mut version, mut by_function) =
            (self.terms_function.version(hash), self.terms_of(hash, key));
        let mut old = self.terms_at(hash, key, &by_function);
        loop {
            let call = self.call(hash, self.now());
            let (now, new) = (call.now, change(old).as_of(call.now));
            let own = self.terms.apply(hash, new)?;
            // Terms that apply to the key anyway need not be stored.
            let hold = match by_function.terms().as_of(now) {
                anyway if anyway == new => Hold::No,
                anyway if anyway == new.without_end_of_block() => Hold::WhileBlocked,
                _ => Hold::Always,
            };
            let mut shard = self.lock(hash);
            let found = shard.find(hash, key);
            let newest = self.terms_function.version(hash);
            if found.is_none() && version != newest && tries > 0 {
                drop(shard);
                (version, by_function) = (newest, self.terms_of(hash, key));
                old = self.terms_at(hash, key, &by_function);
                tries -= 1;
                continue;
            }
            let at = found.unwrap_or_else(|| At::New(by_function.clone()));
            let current = shard.own_of(&at).terms();
            if current == old {
                let own = own.in_tier_of(&shard.own_of(&at));
                let change = Change { own, hold, how, reset: false };
                shard.change(&call, key, &at, change, &mut self.sync(), &mut wakers);
                self.end_change(hash, key, shard);
                return Ok(());
            }
            old = current;
        }
    }

    /// Unlocks the shard of a key whose terms have changed; the key may need a slot now.
    fn end_change<Q: KeyRef<K> + ?Sized>(
        &self,
        hash: u64,
        key: &Q,
        mut shard: ShardGuard<'_, K, A>,
    ) {
        let needs_slot = shard.take_needs_slot();
        drop(shard);
        if needs_slot {
            self.count_or_evict(hash, key);
        }
    }

    /// The terms of a key now; `by_function` are those that it has as an unknown key.
    fn terms_at<Q: KeyRef<K> + ?Sized>(
        &self,
        hash: u64,
        key: &Q,
        by_function: &KeyTerms<A>,
    ) -> Terms {
        let shard = self.shard(hash).lock();
        match shard.find(hash, key) {
            Some(at) => shard.own_of(&at).terms(),
            None => by_function.terms(),
        }
    }

    /// Gives a known key the terms that the function returns now, unless its terms were set
    /// explicitly. A temporary block stays.
    pub(super) fn refresh<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q, how: CarryOver) {
        self.reapply_terms_function(hash, key, |own, old| {
            let hold = old.hold;
            (hold != Hold::Always).then(|| {
                let blocked_until = match hold {
                    Hold::WhileBlocked => own.blocked_until.max(old.own.blocked_until),
                    _ => own.blocked_until,
                };
                Change { own: KeyTerms { blocked_until, ..own }, hold, how, reset: false }
            })
        });
    }

    /// Gives a known key the terms that it would have if none had been set explicitly; `reset` also
    /// refills it. A key that did not count before needs a slot, and is evicted if there is none.
    pub(crate) fn clear_manual_terms<Q: KeyRef<K> + ?Sized>(&self, key: &Q, reset: bool) {
        let hash = self.hash(key);
        let how = CarryOver::default();
        self.reapply_terms_function(hash, key, |own, _| {
            Some(Change { own, hold: Hold::No, how, reset })
        });
    }

    /// Changes a known key to what `change` makes of the function's newest result and of what is
    /// stored with the key.
    fn reapply_terms_function<Q: KeyRef<K> + ?Sized>(
        &self,
        hash: u64,
        key: &Q,
        change: impl Fn(KeyTerms<A>, Kept<A>) -> Option<Change<A>>,
    ) {
        let mut wakers = Wakers::default();
        let mut tries = self.terms_function.tries();
        loop {
            let version = self.terms_function.version(hash);
            let own = self.terms_of(hash, key);
            let mut shard = self.lock(hash);
            tries -= 1;
            if version != self.terms_function.version(hash) && tries > 0 {
                // Another thread has called the function for a newer result meanwhile.
                continue;
            }
            if let Some(at) = shard.find(hash, key) {
                if let Some(change) = change(own.in_tier_of(&shard.own_of(&at)), shard.kept_of(&at))
                {
                    let call = self.call(hash, self.now());
                    shard.change(&call, key, &at, change, &mut self.sync(), &mut wakers);
                    self.end_change(hash, key, shard);
                }
            }
            return;
        }
    }
}
