//! A token bucket in one 64-bit word.
//!
//! `allow` and `try_acquire` are one reading of the clock and one compare-and-swap on the
//! [word](word). Every other method **checks the state out**: it takes the mutex, sets the busy bit
//! of the word, works on the exact state with the same [`Core`] as a [`Limiter`](crate::Limiter),
//! and checks the state in again. While somebody waits, or while the limiter is closed, the state
//! stays checked out, and `allow` takes the mutex too.
//!
//! | busy bit | `checked_out` | the state is in | `allow` |
//! |---|---|---|---|
//! | 0 | no | the word | compare-and-swap |
//! | 1 | yes | the core, under the mutex | takes the mutex |
//!
//! The values of the scale change only while the word is busy, and then the generation in the word
//! changes too. So a fast path that has read a mixture of two scales fails its compare-and-swap,
//! and one that would refuse reads the word again first. (The generation wraps around after 256
//! changes of quota. To be misled, a thread would have to be suspended between two adjacent
//! instructions for exactly that many changes, and then find the same tick.)

mod shared_scale;
mod word;

use crate::algorithm::{Algorithm, GreedyRefill, GreedyState};
use crate::answer::Taken;
use crate::limiters::builder::LimiterBuilder;
use crate::limiters::core::Core;
use crate::limiters::verbs::{Gate, Settings};
use crate::rate_limiter::forward_to_gate;
use crate::sync::atomic::{AtomicU64, Ordering, fence};
use crate::sync::{CacheLine, Mutex};
use crate::wakers::Wakers;
use crate::{
    CarryOver, Clock, CounterClock, Grant, Quota, QuotaError, Rejection, Timestamp, Usage,
    WhichLimit,
};
use shared_scale::SharedScale;
use word::{BUSY, Scale};

/// A [`TokenBucket`](crate::TokenBucket) whose state is one 64-bit word, for the hottest paths.
///
/// While nobody waits, `allow` and `try_acquire` take no lock: they read the clock once and swap
/// the word. All other methods take a mutex for a short time, and `allow` waits for it meanwhile.
/// While somebody waits, while the limiter is closed, for requests of more than the burst, and
/// rarely to move the time base of the word, `allow` takes the mutex too. So this limiter is *not*
/// lock-free in general.
///
/// It differs from a `TokenBucket` in three ways:
///
/// * It keeps no counters: [`Usage::allowed`] and [`Usage::denied`] are 0.
/// * A request whose reading of the clock is older than that of the last grant may be refused what
///   a newer reading would get. This happens if the clock steps back, or if a thread is held up
///   after it has read the clock.
/// * Some rates are rounded down by less than a millionth: those for which the reduced fraction
///   `permits / nanoseconds` has a numerator of 2^22 or more, and those with very large bursts.
///
/// It takes 320 bytes, and 480 bytes on the heap (64-bit Linux, default clock).
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
    /// On a cache line of its own, because all threads write it.
    word: CacheLine<AtomicU64>,
    scale: SharedScale,
    /// The latest time seen under the lock. A request with an earlier reading of the clock is
    /// refused only under the lock.
    latest: AtomicU64,
    slow: Mutex<Slow>,
    settings: Settings,
}

/// The data behind the mutex.
#[derive(Debug)]
struct Slow {
    core: Core<GreedyRefill>,
    scale: Scale,
    quota: Quota,
    /// Whether the state is in `core`, and not in the word.
    checked_out: bool,
}

/// The result of the fast path.
enum Fast {
    Granted {
        scale: Scale,
        used: u64,
    },
    /// Refused, with the time at which the bucket is full and the time of the decision, in ticks.
    Denied {
        scale: Scale,
        full_at: u64,
        at: u64,
    },
    /// The mutex has to decide.
    AskLock,
}

impl AtomicTokenBucket {
    /// A limiter for `quota` on the default clock, full at first. For other options see
    /// [`LimiterBuilder::build_atomic`](crate::LimiterBuilder::build_atomic).
    ///
    /// # Errors
    ///
    /// When the limiter cannot keep the quota, or [`QuotaError::TooWide`] if 64 bits are too few
    /// for it.
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

impl<C: Clock> LimiterBuilder<GreedyRefill, C> {
    /// Builds an [`AtomicTokenBucket`].
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and [`QuotaError::TooWide`] if one 64-bit word cannot keep the
    /// quota to within a millionth.
    ///
    /// ```
    /// use tollgate::{ManualClock, Quota, RateLimiter, TokenBucket};
    /// let clock = ManualClock::new();
    /// let limiter = TokenBucket::builder(Quota::per_second(9)).clock(clock).build_atomic()?;
    /// assert!(limiter.allow_n(9));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn build_atomic(self) -> Result<AtomicTokenBucket<C>, QuotaError> {
        let (clock, core, settings) = self.into_parts()?;
        AtomicTokenBucket::from_parts(clock, core, settings)
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

    /// The clock that the limiter reads.
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

    /// Decides without the mutex, if that is possible.
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
                // Refuse only if all values are of the same scale. This fence pairs with the
                // release stores of `SharedScale::store`: a thread that has read one of those
                // stores also sees the busy bit, which was set before them.
                fence(Ordering::Acquire);
                if self.word.0.load(Ordering::Relaxed) == word {
                    // For an unlimited quota, only an old reading of the clock comes here.
                    return match scale.cost {
                        0 => Fast::Granted { scale, used: 0 },
                        // More than the burst is refused with another error, and the core notes the
                        // time.
                        cost if permits.saturating_mul(cost) > scale.capacity => Fast::AskLock,
                        _ if now.as_nanos() < self.latest.load(Ordering::Relaxed) => Fast::AskLock,
                        _ => Fast::Denied { scale, full_at: word::ticks(word), at },
                    };
                }
            }
        }
    }

    /// Moves the state from the word to the core.
    fn check_out(&self, slow: &mut Slow) {
        if !slow.checked_out {
            let word = self.word.0.fetch_or(BUSY, Ordering::AcqRel);
            slow.core.state = GreedyState::new(slow.scale.state_of(word::ticks(word)));
            slow.checked_out = true;
        }
    }

    /// Moves the state back to the word, unless it must stay checked out.
    fn check_in(&self, slow: &mut Slow) {
        self.latest.store(slow.core.latest().as_nanos(), Ordering::Relaxed);
        // The word cannot hold grants that may be given back.
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
            // The state stays checked out while its debt is too large for the word.
            self.word.0.store(generation | BUSY, Ordering::Release);
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
