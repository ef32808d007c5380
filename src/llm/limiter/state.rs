//! The state of a limiter, before and after a restart.

use std::time::SystemTime;

use super::Limiter;
use crate::Clock;
use crate::clock::wall;
use crate::llm::engine::account::Restored;
use crate::llm::{LimiterState, StateError};

impl<C: Clock> Limiter<C> {
    /// The state of the limiter: what is used of its limits, what it has learned from responses,
    /// and its pauses. Takes nothing. Store it before a restart, and
    /// [restore](Self::restore_state) it afterwards; see [`LimiterState`] for an example.
    ///
    /// Requests in flight count as used with their estimates, because nobody will settle them.
    /// Configured limits are part of the state only as far as something of them is used.
    #[must_use]
    pub fn state(&self) -> LimiterState {
        let account = self.account_state();
        // Read last: less time will seem to have passed, so not more will have been refilled.
        LimiterState::new(wall::now(), account)
    }

    /// As [`state`](Self::state), with the time that it is by the system's clock. For tests and
    /// simulations on a clock of their own.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use tollgate::ManualClock;
    /// use tollgate::llm::{LimitKind, Limiter, Period};
    ///
    /// let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    /// let build = || Limiter::builder().requests_per_minute(60).clock(ManualClock::new()).build();
    /// let before = build()?;
    /// for _ in 0..10 {
    ///     before.try_acquire(0)?.settle(0);
    /// }
    /// let state = before.state_at(start);
    ///
    /// let after = build()?;
    /// after.restore_state_at(&state, start + Duration::from_secs(4))?;
    /// let requests = after.usage().of(LimitKind::Requests(Period::MINUTE)).expect("limited");
    /// assert_eq!(requests.used, 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn state_at(&self, now: SystemTime) -> LimiterState {
        LimiterState::new(now, self.account_state())
    }

    fn account_state(&self) -> crate::llm::AccountState {
        let state = self.engine.read(|keys, now| Some(keys.account_of(0)?.state(now)));
        state.unwrap_or_default()
    }

    /// Goes on from the state of an earlier limiter for the same account. Call it once the limiter
    /// is built, before its first request.
    ///
    /// * The time that has passed since the state was taken counts: limits have been refilled,
    ///   windows and pauses may be over. If the system's clock has stepped back, no time has passed.
    /// * Of a state from long ago, the learned limits and their periods remain. Failures in a row
    ///   are forgotten after a day.
    /// * Learned limits are in force again, and responses correct them as before.
    /// * Configured limits stay as configured: they are lowered if a response had lowered them, and
    ///   never raised. What was used of them counts.
    /// * A limiter that [sends one request first](super::LimiterBuilder::try_first) does not do so
    ///   if the earlier limiter was past that.
    /// * Apart from that, no more passes than the earlier limiter would have let through. Restoring
    ///   only takes, so restoring twice changes nothing, and a state can be restored while the
    ///   limiter is in use.
    ///
    /// # Errors
    ///
    /// [`StateError::UnknownVersion`] if another version of this crate has written the state.
    /// Nothing changes then. Parts of a state that are out of range are ignored.
    pub fn restore_state(&self, state: &LimiterState) -> Result<(), StateError> {
        self.restore_state_at(state, wall::now())
    }

    /// As [`restore_state`](Self::restore_state), with the time that it is by the system's clock;
    /// see [`state_at`](Self::state_at).
    ///
    /// # Errors
    ///
    /// As for [`restore_state`](Self::restore_state).
    pub fn restore_state_at(
        &self,
        state: &LimiterState,
        now: SystemTime,
    ) -> Result<(), StateError> {
        let (account, elapsed) = state.open(now)?;
        let mut events = Vec::new();
        self.engine.edit(|keys, now| {
            if let Some(known) = keys.account_of(0) {
                let at = Restored::new(now, elapsed, &self.engine.options);
                known.restore_state(account, at, &mut events);
            }
        });
        self.engine.restored(events);
        Ok(())
    }
}
