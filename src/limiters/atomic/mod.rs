//! A token bucket in one 64-bit word.
//!
//! `allow` is one clock read and one compare-and-swap on the [word](crate::limiters::atomic::word). Every other verb
//! **checks the state out**: it takes the mutex, swaps the word for a busy mark, works on the exact
//! state with the same [`Core`] as the locked limiter, and checks the state in again. While anybody
//! waits, or the limiter is closed, the state stays out, and `allow` takes the mutex too.
//!
//! The scale's numbers change only while the word is busy, and then the generation in the word
//! changes with them: a fast path that read a mixture fails its compare-and-swap, and one that would
//! refuse looks at the word again first. (The generation wraps after 256 changes of quota; to be
//! fooled, a thread would have to sleep between two adjacent instructions through just so many and
//! find the very same tick.)
mod word;

use crate::algorithm::{Algorithm, GreedyRefill, GreedyState};
use crate::limiters::core::Core;
use crate::limiters::verbs::{Gate, Settings};
use crate::rate_limiter::forward_to_gate;
use crate::sync::atomic::{AtomicU64, Ordering, fence};
use crate::sync::{CacheLine, Mutex};
use crate::wait::queue::{Taken, Wakers};
use crate::{
    CarryOver, Clock, CounterClock, Grant, Quota, QuotaError, Rejection, Timestamp, Usage,
    WhichLimit,
};
use word::{BUSY, Scale};

/// The lock-free twin of [`TokenBucket`](crate::TokenBucket), for the hottest paths.
///
/// The same verbs and the same answers, with fewer extras: it keeps no counters, so
/// [`Usage::allowed`] and [`Usage::denied`] are 0; and a clock reading older than the last taker's
/// (a clock that steps back, a thread that was held up after reading it) may be refused what a newer
/// one would get. Rates whose reduced fraction is exotic are rounded down by less
/// than a millionth.
///
/// ```
/// use tollgate::{AtomicTokenBucket, Quota, RateLimiter};
///
/// let limiter = AtomicTokenBucket::new(Quota::per_second(50).burst(100))?;
/// assert!(limiter.allow_n(100));
/// assert!(!limiter.allow_n(100));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Debug)]
pub struct AtomicTokenBucket<C: Clock = CounterClock> {
    clock: C,
    /// Apart from the rest, which all threads only read.
    word: CacheLine<AtomicU64>,
    scale: SharedScale,
    /// The latest time that the lock has seen: an earlier reading of the clock is refused by the lock only.
    latest: AtomicU64,
    slow: Mutex<Slow>,
    settings: Settings,
}

/// What the mutex guards.
#[derive(Debug)]
struct Slow {
    core: Core<GreedyRefill>,
    scale: Scale,
    quota: Quota,
    checked_out: bool,
}

/// The scale as the fast path reads it: written only while the word is busy.
#[derive(Debug)]
struct SharedScale {
    speed: AtomicU64,
    shift: AtomicU64,
    epoch: AtomicU64,
    range: AtomicU64,
    cost: AtomicU64,
    capacity: AtomicU64,
}

/// What the fast path found.
enum Fast {
    Granted {
        scale: Scale,
        used: u64,
    },
    /// With the full bucket's time and the time of the decision, in ticks.
    Denied {
        scale: Scale,
        full_at: u64,
        at: u64,
    },
    AskLock,
}

impl AtomicTokenBucket {
    /// A limiter for `quota` on the default clock, full at first. For other options see
    /// [`LimiterBuilder::build_atomic`](crate::LimiterBuilder::build_atomic).
    ///
    /// # Errors
    ///
    /// When the quota can't be kept, or not in 64 bits.
    ///
    /// ```
    /// use tollgate::{AtomicTokenBucket, Quota};
    /// assert!(AtomicTokenBucket::new(Quota::per_second(50)).is_ok());
    /// assert!(AtomicTokenBucket::new(Quota::per_second(0)).is_err());
    /// ```
    pub fn new(quota: Quota) -> Result<Self, QuotaError> {
        crate::TokenBucket::builder(quota).build_atomic()
    }
}

impl<C: Clock> AtomicTokenBucket<C> {
    pub(crate) fn from_parts(
        clock: C,
        mut core: Core<GreedyRefill>,
        settings: Settings,
    ) -> Result<Self, QuotaError> {
        let exact = core.rest.rule;
        let scale = Scale::new(&exact, core.latest())?;
        let quota = exact.quota();
        let (now, rule) = (core.latest(), Scale::rule_in_ticks(exact)?);
        core.set_rule(now, rule, CarryOver::KeepUsed, &mut Wakers::default());
        let limiter = Self {
            clock,
            word: CacheLine(AtomicU64::new(BUSY)),
            scale: SharedScale::new(&scale),
            latest: AtomicU64::new(0),
            slow: Mutex::new(Slow { core, scale, quota, checked_out: true }),
            settings,
        };
        limiter.with_core(|_, _, _| ());
        Ok(limiter)
    }

    /// The clock.
    ///
    /// ```
    /// # use tollgate::{AtomicTokenBucket, Clock, Quota};
    /// let limiter = AtomicTokenBucket::new(Quota::per_second(50))?;
    /// assert!(limiter.clock().now() <= limiter.clock().now());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn clock(&self) -> &C {
        &self.clock
    }

    #[inline]
    fn take_fast(&self, now: Timestamp, permits: u64) -> Fast {
        loop {
            let word = self.word.0.load(Ordering::Acquire);
            if word & BUSY != 0 {
                return Fast::AskLock;
            }
            let scale = self.scale.load();
            let Some(at) = scale.ticks_at(now) else { return Fast::AskLock };
            if let Some(after) = scale.take(word::ticks(word), at, permits) {
                let new = word::with_ticks(word, after);
                let swapped = self.word.0.compare_exchange_weak(
                    word,
                    new,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
                if swapped.is_ok() {
                    return Fast::Granted { scale, used: after - at };
                }
            } else {
                // Refuse only on numbers that belong together. Pairs with the release stores of
                // `SharedScale::store`: whoever read one of them sees the busy mark before it.
                fence(Ordering::Acquire);
                if self.word.0.load(Ordering::Relaxed) == word {
                    // Without a limit, only an old reading of the clock comes here.
                    return match scale.cost {
                        0 => Fast::Granted { scale, used: 0 },
                        // More than a full bucket is refused in another way, and the time is noted.
                        cost if permits.saturating_mul(cost) > scale.capacity => Fast::AskLock,
                        _ if now.as_nanos() < self.latest.load(Ordering::Relaxed) => Fast::AskLock,
                        _ => Fast::Denied { scale, full_at: word::ticks(word), at },
                    };
                }
            }
        }
    }

    fn check_out(&self, slow: &mut Slow) {
        if !slow.checked_out {
            let word = self.word.0.fetch_or(BUSY, Ordering::AcqRel);
            slow.core.state = GreedyState::new(slow.scale.state_of(word::ticks(word)));
            slow.checked_out = true;
        }
    }

    /// Puts the state back into the word, unless it must stay out.
    fn check_in(&self, slow: &mut Slow) {
        self.latest.store(slow.core.latest().as_nanos(), Ordering::Relaxed);
        // The word has no room for grants that may be given back.
        if !slow.core.is_open_and_idle() || slow.core.state.is_held() {
            return;
        }
        let mut generation = self.word.0.load(Ordering::Relaxed);
        let quota = slow.core.rest.rule.quota();
        if quota != slow.quota || slow.scale.ticks_at(slow.core.latest()).is_none() {
            // `adapt` has checked that this quota has a scale.
            let exact = GreedyRefill::try_from(quota);
            let scale = exact.and_then(|rule| Scale::new(&rule, slow.core.latest()));
            let Ok(scale) = scale else { return };
            (slow.scale, slow.quota) = (scale, quota);
            self.scale.store(&scale);
            generation = word::next_generation(generation);
        }
        if let Some(ticks) = slow.scale.ticks_of(slow.core.state.full_at(), slow.core.latest()) {
            self.word.0.store(word::with_ticks(generation, ticks), Ordering::Release);
            slow.checked_out = false;
        } else {
            // A debt too large for the word stays out until it has shrunk.
            self.word.0.store(generation | BUSY, Ordering::Release);
        }
    }
}

impl SharedScale {
    fn new(scale: &Scale) -> Self {
        Self {
            speed: AtomicU64::new(scale.speed),
            shift: AtomicU64::new(scale.shift.into()),
            epoch: AtomicU64::new(scale.epoch),
            range: AtomicU64::new(scale.range),
            cost: AtomicU64::new(scale.cost),
            capacity: AtomicU64::new(scale.capacity),
        }
    }

    fn store(&self, scale: &Scale) {
        self.speed.store(scale.speed, Ordering::Release);
        self.shift.store(scale.shift.into(), Ordering::Release);
        self.epoch.store(scale.epoch, Ordering::Release);
        self.range.store(scale.range, Ordering::Release);
        self.cost.store(scale.cost, Ordering::Release);
        self.capacity.store(scale.capacity, Ordering::Release);
    }

    #[inline]
    fn load(&self) -> Scale {
        Scale {
            speed: self.speed.load(Ordering::Relaxed),
            // At most 63, whichever scale it is of.
            shift: (self.shift.load(Ordering::Relaxed) & 63) as u32,
            epoch: self.epoch.load(Ordering::Relaxed),
            range: self.range.load(Ordering::Relaxed),
            cost: self.cost.load(Ordering::Relaxed),
            capacity: self.capacity.load(Ordering::Relaxed),
        }
    }
}

impl<C: Clock> Gate for AtomicTokenBucket<C> {
    type Rule = GreedyRefill;
    type Clock = C;

    fn clock(&self) -> &C {
        &self.clock
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    #[inline]
    fn allow_n(&self, permits: u64) -> bool {
        match self.take_fast(self.clock.now(), permits) {
            Fast::Granted { .. } => true,
            Fast::Denied { .. } => {
                self.log_refusal(permits);
                false
            }
            Fast::AskLock => self.acquire_now(permits).is_ok(),
        }
    }

    #[inline]
    fn try_acquire(&self, permits: u64) -> Result<Grant, Rejection> {
        let now = self.clock.now();
        match self.take_fast(now, permits) {
            Fast::Granted { scale, used } => Ok(Grant {
                permits,
                taken: Taken::default(),
                remaining: scale.left(used),
                limit: scale.burst(),
                reset_after: Timestamp::from_wide(scale.nanos_of(used)) - Timestamp::ZERO,
            }),
            Fast::Denied { scale, full_at, at } => {
                let rejection = Rejection::Denied {
                    retry_after: scale.wait(full_at, at, permits, now) - Timestamp::ZERO,
                    available: scale.left(full_at.saturating_sub(at)),
                    reset_after: scale.reset(full_at, now) - Timestamp::ZERO,
                    burst: scale.burst(),
                    limit: WhichLimit::Only,
                };
                self.log_rejection(permits, &rejection);
                Err(rejection)
            }
            Fast::AskLock => self.acquire_now(permits),
        }
    }

    fn usage(&self) -> Usage {
        Usage { allowed: 0, denied: 0, ..self.look() }
    }

    fn with_core<R>(
        &self,
        act: impl FnOnce(&mut Core<GreedyRefill>, Timestamp, &mut Wakers) -> R,
    ) -> R {
        let mut wakers = Wakers::default();
        let now = self.clock.now();
        let mut slow = self.slow.lock();
        self.check_out(&mut slow);
        let result = act(&mut slow.core, now, &mut wakers);
        self.check_in(&mut slow);
        drop(slow);
        drop(wakers);
        result
    }

    fn adapt(&self, rule: GreedyRefill) -> Result<GreedyRefill, QuotaError> {
        Scale::rule_in_ticks(rule)
    }
}

forward_to_gate!([C: Clock] AtomicTokenBucket<C>);
