//! States as a map of many keeps them: as small as they can be.

use super::{Algorithm, GreedyRefill, GreedyState};
use crate::Timestamp;

/// A state as a [keyed limiter](crate::Keyed) keeps it, one for each key.
///
/// A rule of your own says `type Packed = Whole<Self::State>`; there is no other reason to touch
/// this. Implement it if millions of keys shall take less.
///
/// `epoch` is a time that all states of a shard are kept relative to. It does not change while a
/// state is packed, and is not later than any decision.
pub trait Packed<A: Algorithm>: Sized + Send + Sync + 'static {
    /// Packs a state, or hands it back if it does not fit.
    ///
    /// # Errors
    ///
    /// The state, if it does not fit.
    fn pack(rule: &A, epoch: Timestamp, state: A::State) -> Result<Self, A::State>;

    /// Takes `permits` if they are there at `now`, and answers with what `answer` makes of the
    /// state after that. `None` need not mean that they are not there: then ask the rule.
    fn try_take<R>(
        &mut self,
        rule: &A,
        epoch: Timestamp,
        now: Timestamp,
        permits: u64,
        answer: impl FnOnce(&A::State) -> R,
    ) -> Option<R>;

    /// Whether [`try_take`](Self::try_take) would take `permits`. Nothing changes. As there,
    /// `false` need not mean that they are not there.
    fn could_take(&mut self, rule: &A, epoch: Timestamp, now: Timestamp, permits: u64) -> bool {
        let is_there =
            |state: &A::State| permits <= rule.limit() && rule.ready_at(state, now, permits) <= now;
        // A look would have a full state begin anew.
        if self.is_full(rule, epoch, now) {
            return is_there(&rule.start(now, 0));
        }
        self.peek(rule, epoch, now, is_there)
    }

    /// Answers with what `look` makes of the state at `now`.
    fn peek<R>(
        &mut self,
        rule: &A,
        epoch: Timestamp,
        now: Timestamp,
        look: impl FnOnce(&A::State) -> R,
    ) -> R;

    /// Puts the state into `state`. What this holds then must not be used, but for
    /// [`settle`](Self::settle).
    fn lend(&mut self, rule: &A, epoch: Timestamp, now: Timestamp, state: &mut A::State);

    /// Takes a lent state back; `false`, and nothing changes, if it does not fit any more.
    fn settle(&mut self, rule: &A, epoch: Timestamp, state: &mut A::State) -> bool;

    /// Whether nothing is used at `now`: as good as no state at all.
    fn is_full(&self, rule: &A, epoch: Timestamp, now: Timestamp) -> bool;

    /// When `epoch` will be too long ago: then all states are packed anew.
    fn good_until(rule: &A, epoch: Timestamp) -> Timestamp {
        let _ = (rule, epoch);
        Timestamp::MAX
    }
}

/// A state as it is.
///
/// One that has become full starts anew when it is next used: a full bucket is no bucket, so it
/// can't matter whether it was dropped in between.
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

/// A full state begins anew: whether it was dropped meanwhile must not be seen.
#[inline]
pub(crate) fn restart_if_full<A: Algorithm>(rule: &A, state: &mut A::State, now: Timestamp) {
    if rule.full_at(state, now) <= now {
        rule.restart(state, now);
    }
}

/// Units from the epoch until the bucket is full, exactly; more than 2⁶⁴ of them do not fit, nor
/// does a state of which something may still be given back.
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

    /// Half of what fits is left to what is used.
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
