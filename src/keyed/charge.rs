//! One key's part in a decision over several limits.

use std::any::TypeId;
use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::hash::BuildHasher;

use super::bound::Reserved;
use super::hasher::RandomState;
use super::key::{Key, KeyRef};
use super::pair::least;
use super::quick::Taken;
use super::restore::Was;
use super::shard::{At, Call, Shard};
use super::terms::Own;
use super::tier::{Tier, Under};
use super::{Global, Keyed, sync_with};
use crate::algorithm::{Algorithm, AnyRule, GreedyRefill, Packed, is_ours};
use crate::bucket::charge::{LOCK as EVERYBODY, core_of};
use crate::bucket::core::{Core, grant_of, refusal_of};
use crate::bucket::gate::Need;
use crate::charges::party::{Decision, OVERFLOW, Party, Place, SHARD, Shown, Slot, State};
use crate::wait::queue::Wakers;
use crate::{Answer, Charge, Clock, CounterClock, Grant, Rejection, Timestamp, Usage};

/// The lock of the key's shard, and of the bucket that is shared by keys without room.
const OF_KEY: u8 = 0;
const SHARED: u8 = 1;

/// A request of one key, for a decision over several limits: the answer of [`Keyed::charge`].
///
/// Each request takes what one of the key [costs](super::Terms::cost), once or as many times as
/// [`cost`](Self::cost) says; [`under`](Self::under) gives it a [`Tier`].
///
/// ```
/// use tollgate::{Answer, KeyedLimiter, Quota, take_all};
/// let per_address = KeyedLimiter::<u32>::new(Quota::per_hour(2))?;
/// let per_user = KeyedLimiter::<String>::new(Quota::per_hour(9))?;
/// let mut by_address = per_address.charge(&7);
/// let mut by_user = per_user.charge("alice").cost(4);
/// assert!(take_all(&mut [&mut by_address, &mut by_user]));
/// assert_eq!(by_user.answer().remaining(), Some(5));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[must_use = "a charge does nothing until it is decided"]
pub struct KeyCharge<'a, K, Q, A = GreedyRefill, C = CounterClock, S = RandomState>
where
    A: Algorithm,
    C: Clock,
    Q: ?Sized,
{
    limiter: &'a Keyed<K, A, C, S>,
    key: &'a Q,
    hash: u64,
    requests: u64,
    tier: Option<&'a Tier<A>>,
    answer: Cell<Answer>,
    /// The state after a quick decision, of which the answer is made when it is asked for.
    after: Cell<Option<After<A>>>,
    work: RefCell<Option<Work<'a, A>>>,
}

/// What a quick decision has left.
struct After<A: Algorithm> {
    state: A::State,
    now: Timestamp,
}

/// What becomes of a charge while it is decided.
#[allow(clippy::struct_excessive_bools, reason = "each is known at another step of the decision")]
struct Work<'a, A: Algorithm> {
    at: At<A>,
    /// The terms of a key that is not packed.
    own: Own<A>,
    /// The tier of an earlier charge of the same key, which this one goes by too.
    #[allow(clippy::option_option, reason = "an earlier charge may have had no tier")]
    tier: Option<Option<Tier<A>>>,
    room: Option<Room<'a, A>>,
    needs: Needs,
    permits: u64,
    /// With those of earlier charges of the same key, and of the limit for everybody.
    all: u64,
    all_of_everybody: u64,
    /// Whether the limit for everybody counts for the key.
    counts_for_all: bool,
    /// Whether the key is found where it was; else it is looked for again.
    is_packed: bool,
    /// Whether its permits are taken by arithmetic alone.
    is_simple: bool,
    /// The key as it was, while foreign code runs.
    before: Option<Was<A>>,
    refused: By,
    /// The key is to count from now on, if there is room for it.
    unplaced: bool,
    /// Allowed and denied of the shared bucket, to be counted for the key; and whether for want of permits.
    shared: ((u64, u64), bool),
}

impl<A: Algorithm> Work<'_, A> {
    fn new() -> Self {
        Self {
            at: At::New(Own::default()),
            own: Own::default(),
            tier: None,
            room: None,
            needs: Needs::Nothing,
            permits: 0,
            all: 0,
            all_of_everybody: 0,
            counts_for_all: false,
            is_packed: false,
            is_simple: false,
            before: None,
            refused: By::Nobody,
            unplaced: false,
            shared: ((0, 0), true),
        }
    }
}

/// What was found out about a key that is not known, and whether there is room for it.
struct Room<'a, A: Algorithm> {
    version: u64,
    own: Own<A>,
    place: Result<Reserved<'a, A>, Rejection>,
}

/// What is to be done before a decision, when no lock is held.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// To ask what applies to the key, and for room.
    Room,
    /// Room for a key whose terms were set by hand until now.
    Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Nobody,
    Key,
    Everybody,
}

impl<K, A, C, S> Keyed<K, A, C, S>
where
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// A request of `key`, for a decision over several limits, or under a [`Tier`]; see
    /// [`take_all`](crate::take_all). Costs a hash; by itself, it does nothing.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let per_user = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
    /// let gold = per_user.tier(Quota::per_minute(1_000))?;
    /// assert!(per_user.charge("alice").cost(11).under(&gold).allow());
    /// assert!(!per_user.charge("bob").cost(11).allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[inline]
    pub fn charge<'a, Q: KeyRef<K> + ?Sized>(&'a self, key: &'a Q) -> KeyCharge<'a, K, Q, A, C, S> {
        KeyCharge {
            limiter: self,
            key,
            hash: self.hash(key),
            requests: 1,
            tier: None,
            answer: Cell::new(Answer::Undecided),
            after: Cell::new(None),
            work: RefCell::new(None),
        }
    }

    /// As [`decide`](Self::decide), under a tier.
    fn ask_under<Q, R>(
        &self,
        tier: &Tier<A>,
        hash: u64,
        key: &Q,
        requests: u64,
        granted: impl Fn(&A, &A::State, Timestamp, u64) -> R,
        slow: impl FnOnce(Grant) -> R,
    ) -> Result<R, Rejection>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now = self.now();
        let mut shard = self.shard(hash).lock();
        if self.alone {
            let (granted, refused) = (&granted, refusal_of);
            match shard.try_take_in_tier(&tier.0, hash, key, now, requests, granted, refused) {
                Taken::Yes(answer) => return Ok(answer),
                Taken::No(rejection) => return Err(rejection),
                Taken::NotTold | Taken::NotPlain => {}
            }
        }
        let (shard, call) = (self.locked(shard), self.call(hash, now));
        self.ask_slowly(shard, &call, key, requests, Under::Tier(tier)).map(slow)
    }
}

impl<'a, K, Q, A, C, S> KeyCharge<'a, K, Q, A, C, S>
where
    Q: KeyRef<K> + ?Sized,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The same for `requests` times what a request of the key costs; default: 1.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let per_user = KeyedLimiter::<u64>::new(Quota::per_minute(10))?;
    /// assert!(per_user.charge(&7).cost(10).allow());
    /// assert!(!per_user.allow(&7));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn cost(mut self, requests: u64) -> Self {
        self.requests = requests;
        self
    }

    /// The same under `tier`, whose quota takes the place of the limiter's own.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let per_user = KeyedLimiter::<u64>::new(Quota::per_minute(10))?;
    /// let free = per_user.tier(Quota::per_minute(2))?;
    /// assert!(!per_user.charge(&7).cost(3).under(&free).allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn under(mut self, tier: &'a Tier<A>) -> Self {
        self.tier = Some(tier);
        self
    }

    /// What the limiter said in the last decision.
    pub fn answer(&self) -> Answer {
        self.told()
    }

    /// Decides this charge alone: as [`Keyed::allow_n`], under the charge's tier.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let per_user = KeyedLimiter::<u64>::new(Quota::per_minute(10))?;
    /// let gold = per_user.tier(Quota::per_minute(100))?;
    /// assert!(per_user.charge(&7).cost(50).under(&gold).allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use = "whether the permits were taken"]
    pub fn allow(&self) -> bool {
        let (limiter, requests) = (self.limiter, self.requests);
        let Some(tier) = self.tier else { return limiter.decide(self.hash, self.key, requests) };
        let (granted, slow) = (|_: &A, _: &A::State, _, _| (), |_| ());
        let passes = limiter.ask_under(tier, self.hash, self.key, requests, granted, slow).is_ok();
        if !passes {
            limiter.log_refusal(requests);
        }
        passes
    }

    /// Decides this charge alone: as [`Keyed::try_acquire`], under the charge's tier.
    ///
    /// # Errors
    ///
    /// As [`Keyed::try_acquire`].
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let per_user = KeyedLimiter::<u64>::new(Quota::per_minute(10))?;
    /// let gold = per_user.tier(Quota::per_minute(100))?;
    /// assert_eq!(per_user.charge(&7).under(&gold).try_acquire()?.remaining, 99);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_acquire(&self) -> Result<Grant, Rejection> {
        let (limiter, requests) = (self.limiter, self.requests);
        let Some(tier) = self.tier else {
            return limiter.acquire_both(self.hash, self.key, requests);
        };
        let answer =
            limiter.ask_under(tier, self.hash, self.key, requests, grant_of, |grant| grant);
        if let Err(rejection) = &answer {
            tracing::debug!(limiter = limiter.settings.name, requests, %rejection, "refused");
        }
        answer
    }

    /// What was worked out so far.
    fn work(&self) -> RefMut<'_, Work<'a, A>> {
        RefMut::map(self.work.borrow_mut(), |work| work.get_or_insert_with(Work::new))
    }

    /// The answer, which is worked out now if the decision was a quick one.
    fn told(&self) -> Answer {
        if let Some(After { state, now }) = self.after.take() {
            // The rule of a quick decision is that of the tier, or the limiter's as it was built.
            let built = self.limiter.terms.template();
            let rule = self.tier.map_or(built, |tier| tier.0.rule_or(built));
            self.answer.set(Answer::Taken(grant_of(rule, &state, now, self.requests)));
        }
        self.answer.get()
    }

    /// The limit for everybody, with a lock of its own.
    fn everybody(&self) -> Option<&'a Global<C>> {
        self.limiter.global.as_ref()
    }

    fn call(&self, now: Timestamp) -> Call<'_, S> {
        self.limiter.call(self.hash, now)
    }

    /// The key's shard, if that is what a lock protects.
    fn shard_of(state: &mut State) -> Option<&mut Shard<K, A>> {
        state.downcast_mut()
    }

    /// Where the key is by now: those who were decided before may have moved it.
    fn find_again_in(&self, shard: &Shard<K, A>, work: &mut Work<'_, A>) -> At<A> {
        let known = std::mem::replace(&mut work.at, At::New(Own::default()));
        shard.find(self.hash, self.key).unwrap_or_else(|| match known {
            At::NoRoom(why, own) => At::NoRoom(why, own),
            _ => At::New(work.own.clone()),
        })
    }

    /// Runs `verb` on the key's core, under the charge's tier.
    fn act<R>(
        &self,
        shard: &mut Shard<K, A>,
        mut second: Option<&mut State>,
        work: &mut Work<'_, A>,
        decision: &mut Decision<'_>,
        verb: impl FnOnce(&mut Core<A>, Timestamp, &mut Wakers) -> R,
    ) -> R {
        let (now, wakers) = (decision.now, &mut *decision.wakers);
        let call = self.call(now);
        let at = self.find_again_in(shard, work);
        let tier = work.tier.clone();
        let mut sync = |core: &mut Core<A>, now, wakers: &mut Wakers| {
            if core.has_set_aside()
                && let Some(all) = second.as_deref_mut().and_then(core_of::<AnyRule>)
                && sync_with(core, all, now, wakers)
            {
                core.sooner(0, wakers);
            }
        };
        let under = self.goes_under(tier.as_ref());
        let at = shard.go_under(&call, self.key, at, under, &mut sync, wakers);
        if matches!(at, At::New(_))
            && let Some(Room { place: Ok(place), .. }) = work.room.take()
        {
            shard.adopted += place.take();
        }
        let result = shard.act(&call, self.key, at, wakers, |core, _, wakers| {
            let now = now.max(core.latest());
            refresh(core, second, now, wakers);
            verb(core, now, wakers)
        });
        work.unplaced |= std::mem::take(&mut shard.unplaced);
        result
    }

    /// The quota that the request goes by: that of the key's first charge in the decision.
    fn goes_under<'b>(&'b self, first: Option<&'b Option<Tier<A>>>) -> Under<'b, A> {
        match first {
            Some(first) => first.as_ref().into(),
            None => self.tier.into(),
        }
    }

    /// Looks at the key alone.
    fn look_at_key(
        &self,
        shard: &mut Shard<K, A>,
        second: Option<&mut State>,
        before: u64,
        decision: &mut Decision<'_>,
    ) -> bool {
        let work = &mut *self.work();
        if self.is_shared(work) {
            return true;
        }
        let under = self.goes_under(work.tier.as_ref());
        let permits = before.saturating_add(work.permits);
        work.all = permits;
        work.is_packed = shard.is_packed_under(&work.at, under);
        work.is_simple = work.is_packed && is_ours::<A>() && shard.are_packed(&work.at, permits);
        if work.is_simple {
            return true;
        }
        let now = shard.latest;
        let refresh = |core: &mut Core<A>, wakers: &mut Wakers| {
            refresh(core, second, now.max(core.latest()), wakers);
        };
        shard.could_take(&work.at, under, permits, refresh, decision.wakers)
    }

    fn take_of_key(
        &self,
        shard: &mut Shard<K, A>,
        second: Option<&mut State>,
        decision: &mut Decision<'_>,
    ) {
        let work = &mut *self.work();
        if self.is_shared(work) {
            return;
        }
        let permits = work.permits;
        if work.is_simple {
            let (now, epoch) = (shard.latest, shard.basis.epoch);
            let grant = shard.packed_mut(&work.at).and_then(|(packed, rule)| {
                let granted = |state: &A::State| grant_of(rule, state, now, permits);
                packed.try_take(rule, epoch, now, permits, granted)
            });
            if let Some(grant) = grant {
                shard.allowed = shard.allowed.wrapping_add(permits);
                self.answer.set(Answer::Taken(grant));
                return;
            }
        }
        let verb = |core: &mut Core<A>, now, wakers: &mut Wakers| {
            core.settle(now, wakers);
            core.take_checked(permits)
        };
        self.answer.set(Answer::Taken(self.act(shard, second, work, decision, verb)));
    }

    fn refuse_key(
        &self,
        shard: &mut Shard<K, A>,
        second: Option<&mut State>,
        decision: &mut Decision<'_>,
    ) {
        let work = &mut *self.work();
        if self.is_shared(work) {
            return;
        }
        let (own, all) = (work.permits, work.all);
        match work.refused {
            By::Nobody => {
                let at = self.find_again_in(shard, work);
                let under = self.goes_under(work.tier.as_ref());
                let usage = shard.usage_under(&at, under);
                self.answer.set(Answer::Untouched(usage));
            }
            By::Everybody => shard.count(self.hash, self.key, (0, own), true),
            By::Key => {
                let packed =
                    work.is_packed && !shard.basis.closed && shard.is_packed_at(&work.at, self.key);
                if let Some(rejection) = shard.packed_refusal(&work.at, all).filter(|_| packed) {
                    shard.count(self.hash, self.key, (0, own), true);
                    self.answer.set(Answer::Refused(rejection));
                    return;
                }
                let verb = |core: &mut Core<A>, now, wakers: &mut Wakers| {
                    core.refuse(now, all, own, wakers)
                };
                self.answer.set(Answer::Refused(self.act(shard, second, work, decision, verb)));
            }
        }
    }

    /// Whether the key shares a bucket with others that found no room.
    fn is_shared(&self, work: &Work<'_, A>) -> bool {
        matches!(work.at, At::NoRoom(Rejection::TooManyKeys { .. }, _))
            && self.limiter.overflow().is_some()
    }
}

/// Whether the rule is ours, and its states are small.
fn is_greedy<A: 'static>() -> bool {
    TypeId::of::<A>() == TypeId::of::<GreedyRefill>()
}

/// What is set aside for those who wait for everybody's limit counts as in use now.
fn refresh<A: Algorithm>(
    core: &mut Core<A>,
    everybody: Option<&mut State>,
    now: Timestamp,
    wakers: &mut Wakers,
) {
    if core.has_set_aside()
        && let Some(all) = everybody.and_then(core_of::<AnyRule>)
    {
        all.settle(now, wakers);
        core.refresh_set_aside(now, |ticket| all.standing(ticket));
    }
}

impl<K, Q, A, C, S> fmt::Debug for KeyCharge<'_, K, Q, A, C, S>
where
    A: Algorithm,
    C: Clock,
    Q: ?Sized,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the key: it may be a secret.
        let mut debug = f.debug_struct("KeyCharge");
        debug.field("requests", &self.requests).field("tier", &self.tier).finish_non_exhaustive()
    }
}

impl<K, Q, A, C, S> Charge for KeyCharge<'_, K, Q, A, C, S>
where
    Q: KeyRef<K> + ?Sized,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    fn answer(&self) -> Answer {
        self.told()
    }
}

impl<K, Q, A, C, S> Party for KeyCharge<'_, K, Q, A, C, S>
where
    Q: KeyRef<K> + ?Sized,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    #[inline]
    fn now(&self) -> Timestamp {
        self.limiter.now()
    }

    #[inline]
    fn quick(&self, _: Timestamp) -> u64 {
        if !is_greedy::<A>() || !self.limiter.alone {
            return 0;
        }
        self.limiter.number_of(self.hash)
    }

    #[inline]
    fn decide_quickly(&self, now: Timestamp, rest: &mut dyn FnMut() -> bool) -> bool {
        let (under, requests) = (Under::from(self.tier), self.requests);
        let mut shard = self.limiter.shard(self.hash).lock();
        let state = shard.take_if(self.hash, self.key, now, under, requests, rest);
        let Some(state) = state else { return false };
        self.after.set(Some(After { state, now: shard.latest }));
        true
    }

    #[inline]
    fn begin(&self, _: Timestamp) -> bool {
        let work = &mut *self.work();
        self.answer.set(Answer::Undecided);
        self.after.set(None);
        (work.refused, work.needs, work.tier, work.room) = (By::Nobody, Needs::Nothing, None, None);
        false
    }

    #[inline]
    fn place(&self, lock: u8) -> Option<Place> {
        match lock {
            OF_KEY => Some(Place { kind: SHARD, number: self.limiter.number_of(self.hash) }),
            SHARED => {
                let no_room = matches!(
                    &self.work().room,
                    Some(Room { place: Err(Rejection::TooManyKeys { .. }), .. })
                );
                let _ = self.limiter.overflow().filter(|_| no_room)?;
                Some(Place { kind: OVERFLOW, number: self.limiter.number })
            }
            _ => self.everybody().map(Global::<C>::place),
        }
    }

    #[inline]
    fn hold(&self, lock: u8, then: &mut dyn FnMut(&mut State)) {
        match lock {
            OF_KEY => then(&mut *self.limiter.lock(self.hash)),
            SHARED => {
                if let Some(shared) = self.limiter.overflow() {
                    then(&mut *shared.lock());
                }
            }
            _ => {
                if let Some(all) = self.everybody() {
                    all.hold_for(then);
                }
            }
        }
    }

    #[inline]
    fn find(&self, lock: u8, state: &mut State, decision: &Decision<'_>) -> bool {
        if lock != OF_KEY {
            return true;
        }
        let Some(shard) = Self::shard_of(state) else { return true };
        let work = &mut *self.work();
        shard.latest = shard.latest.max(decision.now);
        work.needs = Needs::Nothing;
        work.at = match shard.find(self.hash, self.key) {
            Some(At::Special(index)) if shard.needs_place(index, shard.latest) => {
                work.needs = Needs::Place;
                At::Special(index)
            }
            Some(at) => at,
            None if self.limiter.newcomers => At::New(Own::default()),
            None => match &work.room {
                Some(room)
                    if decision.last_try
                        // Asked by the function itself, which would not be asked without end.
                        || self.limiter.asked.tries() == 1
                        || room.version == self.limiter.asked.version(self.hash) =>
                {
                    match &room.place {
                        Ok(_) => At::New(room.own.clone()),
                        Err(why) => {
                            let why = room.own.refusal(shard.latest).unwrap_or(*why);
                            At::NoRoom(why, room.own.clone())
                        }
                    }
                }
                room => {
                    work.needs = Needs::Room;
                    let own = room.as_ref().map(|room| room.own.clone()).unwrap_or_default();
                    At::NoRoom(self.limiter.bound_rejection(), own)
                }
            },
        };
        (work.permits, work.counts_for_all) = match work.at {
            At::Plain(_) | At::Tiered(_) => (self.requests, true),
            _ => {
                work.own = shard.own_of(&work.at);
                let terms = work.own.terms();
                (terms.permits(self.requests), !terms.is_exempt())
            }
        };
        work.needs == Needs::Nothing
    }

    fn is_found(&self) -> bool {
        self.work().needs == Needs::Nothing
    }

    fn resolve(&self, now: Timestamp) {
        let (limiter, hash) = (self.limiter, self.hash);
        let needs = self.work().needs;
        match needs {
            Needs::Nothing => {}
            Needs::Place => limiter.place_or_forget(hash, self.key),
            Needs::Room => {
                self.work().room = None;
                let version = limiter.asked.version(hash);
                let own = limiter.terms_of(hash, self.key);
                let rule = own.clone().under(self.tier.into());
                let place = match rule.rule().filter(|rule| rule.quota().is_unlimited()) {
                    // Always full: it takes no place.
                    Some(_) => Ok(Reserved::NONE),
                    None => limiter.place_for(Need::Place, hash, now),
                };
                self.work().room = Some(Room { version, own, place });
            }
        }
    }

    fn show(&self, lock: u8, to: &mut dyn FnMut(Shown<'_>)) {
        let work = self.work();
        let slot = match work.at {
            _ if lock != OF_KEY => Slot::Whole,
            At::Plain(index) => Slot::Plain(index),
            At::Tiered(index) => Slot::Tiered(index),
            At::Special(index) => Slot::Special(index),
            At::New(_) | At::NoRoom(..) => Slot::Nowhere,
        };
        let key = (slot == Slot::Nowhere).then(|| self.key.to_key());
        let tier = match &work.tier {
            Some(first) => first.as_ref(),
            None => self.tier,
        };
        let no_room = match work.at {
            At::NoRoom(why, _) => Some(why),
            _ => None,
        };
        to(Shown {
            slot,
            hash: self.hash,
            key: key.as_ref().map(|key| key as &State),
            tier: tier.map(|tier| tier as &State),
            own: Some(&work.own),
            no_room,
            permits: if lock == EVERYBODY && !work.counts_for_all { 0 } else { work.permits },
        });
    }

    fn meets(&self, lock: u8, earlier: Shown<'_>) -> bool {
        if lock != OF_KEY {
            return true;
        }
        let work = &mut *self.work();
        let same = self.hash == earlier.hash
            && match (&work.at, earlier.slot) {
                (At::Plain(one), Slot::Plain(other))
                | (At::Tiered(one), Slot::Tiered(other))
                | (At::Special(one), Slot::Special(other)) => *one == other,
                (At::New(_) | At::NoRoom(..), Slot::Nowhere) => earlier
                    .key
                    .and_then(|key| key.downcast_ref())
                    .is_some_and(|key: &K| self.key.equivalent(key)),
                _ => false,
            };
        if same {
            let tier = earlier.tier.and_then(|tier| tier.downcast_ref::<Tier<A>>());
            work.tier = Some(tier.cloned());
            let own = earlier.own.and_then(|own| own.downcast_ref::<Own<A>>());
            if let (Some(own), Slot::Nowhere) = (own, earlier.slot) {
                // What was found out about the key, and a place for it, is for both.
                work.needs = Needs::Nothing;
                work.own = own.clone();
                work.at = match earlier.no_room {
                    Some(why) => At::NoRoom(why, own.clone()),
                    None => At::New(own.clone()),
                };
                let terms = work.own.terms();
                work.permits = terms.permits(self.requests);
                work.counts_for_all = !terms.is_exempt();
            }
        }
        same
    }

    #[inline]
    fn look(
        &self,
        lock: u8,
        state: &mut State,
        second: Option<&mut State>,
        before: u64,
        decision: &mut Decision<'_>,
    ) -> bool {
        if lock == OF_KEY {
            let Some(shard) = Self::shard_of(state) else { return false };
            let passes = self.look_at_key(shard, second, before, decision);
            if !passes {
                self.work().refused = By::Key;
            }
            return passes;
        }
        let work = &mut *self.work();
        let (now, permits) = (decision.now, before.saturating_add(work.permits));
        let wakers = &mut *decision.wakers;
        if lock == SHARED {
            let Some(core) = core_of::<A>(state).filter(|_| self.is_shared(work)) else {
                return true;
            };
            work.all = permits;
            refresh(core, second, now, wakers);
            let ready = core.check(now, permits, wakers);
            let passes = ready.is_ok_and(|ready| ready <= core.latest());
            if !passes {
                work.refused = By::Key;
            }
            return passes;
        }
        work.all_of_everybody = permits;
        if !work.counts_for_all || work.refused == By::Key {
            return true;
        }
        let Some(core) = core_of::<AnyRule>(state) else { return false };
        let passes = Global::<C>::look_at(core, now, permits, wakers);
        if !passes {
            work.refused = By::Everybody;
        }
        passes
    }

    fn save(&self, lock: u8, state: &mut State) {
        let work = &mut *self.work();
        work.before = if lock == OF_KEY {
            Self::shard_of(state).map(|shard| shard.save(self.hash, self.key))
        } else {
            core_of::<A>(state).map(|core| Was::Shared(core.state.clone()))
        };
    }

    fn restore(&self, lock: u8, state: &mut State) {
        let work = &mut *self.work();
        let counted = match self.answer.get() {
            Answer::Taken(_) => work.permits,
            _ => 0,
        };
        match (lock, work.before.take()) {
            (SHARED, Some(Was::Shared(before))) => {
                if let Some(core) = core_of::<A>(state) {
                    // What was allowed has been taken out to be counted elsewhere.
                    core.restore(before, 0);
                    work.shared = ((0, 0), true);
                }
            }
            (OF_KEY, Some(before)) => {
                if let Some(shard) = Self::shard_of(state) {
                    shard.restore_key(&self.call(shard.latest), self.key, before);
                    shard.allowed = shard.allowed.wrapping_sub(counted);
                }
            }
            (_, before) => {
                work.before = before;
                return;
            }
        }
        self.answer.set(Answer::Undecided);
    }

    fn find_again(&self, lock: u8, state: &mut State) {
        let work = &mut *self.work();
        if lock == OF_KEY
            && work.is_simple
            && let Some(shard) = Self::shard_of(state)
            && !shard.is_packed_at(&work.at, self.key)
        {
            work.at = self.find_again_in(shard, work);
        }
    }

    #[inline]
    fn is_simple(&self, lock: u8) -> bool {
        match lock {
            OF_KEY => {
                let work = self.work();
                work.is_simple || self.is_shared(&work)
            }
            SHARED => is_ours::<A>(),
            // Taken last, so that its grant can be joined to the key's.
            _ => true,
        }
    }

    #[inline]
    fn take(
        &self,
        lock: u8,
        state: &mut State,
        second: Option<&mut State>,
        decision: &mut Decision<'_>,
    ) {
        if lock == OF_KEY {
            if let Some(shard) = Self::shard_of(state) {
                self.take_of_key(shard, second, decision);
            }
            return;
        }
        let work = &mut *self.work();
        let permits = work.permits;
        if lock == SHARED {
            if let Some(core) = core_of::<A>(state).filter(|_| self.is_shared(work)) {
                self.answer.set(Answer::Taken(core.take_checked(permits)));
                work.shared.0 = core.take_counts();
            }
        } else if work.counts_for_all
            && let (Some(core), Some(all)) = (core_of(state), self.everybody())
        {
            let by_all = all.take_from(core, permits);
            if let Answer::Taken(own) = self.answer.get() {
                self.answer.set(Answer::Taken(least(own, by_all)));
            }
        }
    }

    fn refuse(
        &self,
        lock: u8,
        state: &mut State,
        second: Option<&mut State>,
        decision: &mut Decision<'_>,
    ) {
        if lock == OF_KEY {
            if let Some(shard) = Self::shard_of(state) {
                self.refuse_key(shard, second, decision);
            }
            return;
        }
        let work = &mut *self.work();
        let (now, own) = (decision.now, work.permits);
        let wakers = &mut *decision.wakers;
        if lock == SHARED {
            let Some(core) = core_of::<A>(state).filter(|_| self.is_shared(work)) else { return };
            match work.refused {
                By::Nobody => {
                    let usage = core.usage(now, wakers);
                    self.answer.set(Answer::Untouched(Usage { allowed: 0, denied: 0, ..usage }));
                }
                By::Key => {
                    self.answer.set(Answer::Refused(core.refuse(now, work.all, own, wakers)));
                    work.shared = (core.take_counts(), !core.is_shut());
                }
                By::Everybody => work.shared = ((0, own), true),
            }
        } else if work.refused == By::Everybody
            && let (Some(core), Some(limit)) = (core_of(state), self.everybody())
        {
            let all = work.all_of_everybody;
            let rejection = limit.refuse_from(core, now, all, own, wakers);
            self.answer.set(Answer::Refused(rejection.by_global()));
        }
    }

    #[inline]
    fn finish(&self) {
        let work = &mut *self.work();
        work.room = None;
        if std::mem::take(&mut work.unplaced) {
            self.limiter.place_or_forget(self.hash, self.key);
        }
        let (counts, limited) = std::mem::replace(&mut work.shared, ((0, 0), true));
        if counts != (0, 0) {
            self.limiter.shard(self.hash).lock().count(self.hash, self.key, counts, limited);
        }
        if let Answer::Refused(rejection) = self.answer.get() {
            let name = &self.limiter.settings.name;
            tracing::debug!(limiter = name, requests = self.requests, %rejection, "refused");
        }
    }
}
