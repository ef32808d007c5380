//! The form in which a map of many keys stores states: as small as possible.

use super::{Algorithm, GreedyRefill, GreedyState};
use crate::Timestamp;

/// The form in which a [keyed limiter](crate::Keyed) stores the state of each key.
///
/// Most rules use `type Packed = Whole<Self::State>`. Implement this trait only to use less memory
/// per key.
///
/// States can be stored relative to `epoch`, a time that all states of a shard share. It does not
/// change while a state is packed, and it is never after the time of a decision.
pub trait Packed<A: Algorithm>: Sized + Send + Sync + 'static {
    /// Packs a state.
    ///
    /// # Errors
    ///
    /// Returns the state if it does not fit.
    fn pack(rule: &A, epoch: Timestamp, state: A::State) -> Result<Self, A::State>;

    /// Takes `permits` if they are available at `now`, and returns what `answer` computes from the
    /// new state. `None` means that nothing was taken: because too few permits are available, or
    /// because the packed state can't decide. Then the caller unpacks the state and asks the rule.
    fn try_take<R>(
        &mut self,
        rule: &A,
        epoch: Timestamp,
        now: Timestamp,
        permits: u64,
        answer: impl FnOnce(&A::State) -> R,
    ) -> Option<R>;

    /// Whether [`try_take`](Self::try_take) would take `permits`. Changes nothing. As with
    /// `try_take`, `false` can also mean that the packed state can't decide.
    fn could_take(&mut self, rule: &A, epoch: Timestamp, now: Timestamp, permits: u64) -> bool {
        let is_available =
            |state: &A::State| permits <= rule.limit() && rule.ready_at(state, now, permits) <= now;
        // `peek` would restart a full state, which is a change.
        if self.is_full(rule, epoch, now) {
            return is_available(&rule.start(now, 0));
        }
        self.peek(rule, epoch, now, is_available)
    }

    /// Returns what `look` computes from the state at `now`.
    fn peek<R>(
        &mut self,
        rule: &A,
        epoch: Timestamp,
        now: Timestamp,
        look: impl FnOnce(&A::State) -> R,
    ) -> R;

    /// Moves the state into `state`. Until [`settle`](Self::settle) brings it back, nothing else
    /// may be called on the packed state.
    fn lend(&mut self, rule: &A, epoch: Timestamp, now: Timestamp, state: &mut A::State);

    /// Takes a lent state back. Returns `false`, and changes nothing, if the state does not fit any
    /// more.
    fn settle(&mut self, rule: &A, epoch: Timestamp, state: &mut A::State) -> bool;

    /// Whether no permit is in use at `now`. Such a state can be dropped.
    fn is_full(&self, rule: &A, epoch: Timestamp, now: Timestamp) -> bool;

    /// The time at which `epoch` is too long ago. From then on, all states are packed again with a
    /// new epoch.
    fn good_until(rule: &A, epoch: Timestamp) -> Timestamp {
        let _ = (rule, epoch);
        Timestamp::MAX
    }
}

/// A state that is stored as it is.
///
/// When a state that has become full is used again, it is restarted. So it makes no difference
/// whether it was dropped in between.
///
/// ```
/// use tollgate::algorithm::{Algorithm, Packed, StrictWindow, Whole};
/// use tollgate::{Quota, Timestamp};
///
/// let rule = StrictWindow::try_from(Quota::per_minute(1))?;
/// let state = rule.start(Timestamp::ZERO, 0);
/// let mut kept = Whole::pack(&rule, Timestamp::ZERO, state).expect("always fits");
/// let used = kept.try_take(&rule, Timestamp::ZERO, Timestamp::ZERO, 1, |state| {
///     rule.used(state, Timestamp::ZERO)
/// });
/// assert_eq!(used, Some(1));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Whole<S>(S);

impl<S, A: Algorithm<State = S>> Packed<A> for Whole<S>
where
    S: Send + Sync + 'static,
{
    fn pack(_: &A, _: Timestamp, state: S) -> Result<Self, S> {
        Ok(Self(state))
    }

    #[inline]
    fn try_take<R>(
        &mut self,
        rule: &A,
        _: Timestamp,
        now: Timestamp,
        permits: u64,
        answer: impl FnOnce(&S) -> R,
    ) -> Option<R> {
        restart_if_full(rule, &mut self.0, now);
        rule.try_take(&mut self.0, now, permits).then(|| answer(&self.0))
    }

    fn peek<R>(&mut self, rule: &A, _: Timestamp, now: Timestamp, look: impl FnOnce(&S) -> R) -> R {
        restart_if_full(rule, &mut self.0, now);
        look(&self.0)
    }

    fn lend(&mut self, rule: &A, _: Timestamp, now: Timestamp, state: &mut S) {
        restart_if_full(rule, &mut self.0, now);
        std::mem::swap(&mut self.0, state);
    }

    fn settle(&mut self, _: &A, _: Timestamp, state: &mut S) -> bool {
        std::mem::swap(&mut self.0, state);
        true
    }

    fn is_full(&self, rule: &A, _: Timestamp, now: Timestamp) -> bool {
        rule.full_at(&self.0, now) <= now
    }
}

/// Restarts a state that is full, so that it makes no difference whether it was dropped in between.
#[inline]
pub(crate) fn restart_if_full<A: Algorithm>(rule: &A, state: &mut A::State, now: Timestamp) {
    if rule.full_at(state, now) <= now {
        rule.restart(state, now);
    }
}

/// The time from the epoch until the bucket is full, in units. It is exact. A state does not fit if
/// this is 2⁶⁴ units or more, or if some grant may still be cancelled.
impl Packed<GreedyRefill> for u64 {
    #[inline]
    fn pack(
        rule: &GreedyRefill,
        epoch: Timestamp,
        state: GreedyState,
    ) -> Result<Self, GreedyState> {
        packed(&state, rule, epoch).ok_or(state)
    }

    #[inline]
    fn try_take<R>(
        &mut self,
        rule: &GreedyRefill,
        epoch: Timestamp,
        now: Timestamp,
        permits: u64,
        answer: impl FnOnce(&GreedyState) -> R,
    ) -> Option<R> {
        let elapsed = now.as_nanos().checked_sub(epoch.as_nanos())?;
        *self = rule.try_take_since(*self, elapsed, permits)?;
        Some(answer(&unpacked(*self, rule, epoch)))
    }

    #[inline]
    fn could_take(
        &mut self,
        rule: &GreedyRefill,
        epoch: Timestamp,
        now: Timestamp,
        permits: u64,
    ) -> bool {
        let elapsed = now.as_nanos().checked_sub(epoch.as_nanos());
        elapsed.is_some_and(|elapsed| rule.try_take_since(*self, elapsed, permits).is_some())
    }

    #[inline]
    fn peek<R>(
        &mut self,
        rule: &GreedyRefill,
        epoch: Timestamp,
        _: Timestamp,
        look: impl FnOnce(&GreedyState) -> R,
    ) -> R {
        look(&unpacked(*self, rule, epoch))
    }

    fn lend(
        &mut self,
        rule: &GreedyRefill,
        epoch: Timestamp,
        _: Timestamp,
        state: &mut GreedyState,
    ) {
        *state = unpacked(*self, rule, epoch);
    }

    #[inline]
    fn settle(&mut self, rule: &GreedyRefill, epoch: Timestamp, state: &mut GreedyState) -> bool {
        let packed = packed(state, rule, epoch);
        if let Some(units) = packed {
            *self = units;
        }
        packed.is_some()
    }

    fn is_full(&self, rule: &GreedyRefill, epoch: Timestamp, now: Timestamp) -> bool {
        unpacked(*self, rule, epoch).full_at() <= rule.at(now)
    }

    /// The time since the epoch may use half of the range; the other half is left for permits in
    /// use.
    fn good_until(rule: &GreedyRefill, epoch: Timestamp) -> Timestamp {
        epoch + std::time::Duration::from_nanos((1 << 63) / rule.speed())
    }
}

#[inline]
fn packed(state: &GreedyState, rule: &GreedyRefill, epoch: Timestamp) -> Option<u64> {
    if state.is_held() {
        return None;
    }
    u64::try_from(state.full_at().saturating_sub(rule.at(epoch))).ok()
}

#[inline]
fn unpacked(units: u64, rule: &GreedyRefill, epoch: Timestamp) -> GreedyState {
    GreedyState::new(rule.at(epoch).saturating_add(units.into()))
}
