//! The state of a pool, before and after a restart.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use super::KeyPool;
use crate::Clock;
use crate::clock::wall;
use crate::llm::engine::account::Restored;
use crate::llm::{KeyState, PoolAccountState, PoolState, StateError};

impl<T, C: Clock> KeyPool<T, C> {
    /// The state of the pool: of each account, what [`Limiter::state`](crate::llm::Limiter::state)
    /// says of one, and which keys are disabled. Takes nothing. Store it before a restart, and
    /// [restore](Self::restore_state) it afterwards; see [`PoolState`] for an example.
    #[must_use]
    pub fn state(&self) -> PoolState {
        let accounts = self.account_states();
        // Read last: less time will seem to have passed, so not more will have been refilled.
        PoolState::new(wall::now(), accounts)
    }

    /// As [`state`](Self::state), with the time that it is by the system's clock. For tests and
    /// simulations on a clock of their own.
    #[must_use]
    pub fn state_at(&self, now: SystemTime) -> PoolState {
        PoolState::new(now, self.account_states())
    }

    /// The states of the accounts, each with its keys.
    pub(crate) fn account_states(&self) -> Vec<PoolAccountState> {
        self.with_records(|records, keys, now| {
            let mut accounts: BTreeMap<usize, PoolAccountState> = BTreeMap::new();
            for (number, record) in records.iter().enumerate() {
                let Some(key) = keys.get(number).filter(|_| keys.is_known(number)) else {
                    continue;
                };
                let Some(account) = keys.account(key) else { continue };
                let shared = accounts.entry(key.account).or_insert_with(|| PoolAccountState {
                    keys: Vec::new(),
                    account: account.state(now),
                });
                shared.keys.push(KeyState { id: (*record.id).into(), disabled: key.is_disabled() });
            }
            accounts.into_values().collect()
        })
    }

    /// Goes on from the state of an earlier pool. Call it once the keys are added, before the first
    /// request. Returns the ids of the keys in the state that this pool does not have; they are
    /// ignored.
    ///
    /// What [`Limiter::restore_state`](crate::llm::Limiter::restore_state) says of a limiter holds
    /// for each account. Besides:
    ///
    /// * A key that was disabled is disabled, also if it has another secret now: then
    ///   [restore](Self::restore) the key.
    /// * Keys that share an account now and did not then: of each limit, the most that was used with
    ///   one of the keys counts as used.
    /// * Keys that shared an account then and do not now: each has used what all of them had used.
    ///
    /// # Errors
    ///
    /// [`StateError::UnknownVersion`] if another version of this crate has written the state.
    /// Nothing changes then.
    ///
    /// ```
    /// use tollgate::llm::{KeyPool, Limits};
    ///
    /// let pool = KeyPool::new();
    /// pool.add("old", "sk-1", Limits::new().requests_per_day(50))?;
    /// pool.try_acquire(0)?.unauthorized();
    /// let state = pool.state();
    ///
    /// let pool = KeyPool::new();
    /// pool.add("new", "sk-2", Limits::new().requests_per_day(50))?;
    /// assert_eq!(pool.restore_state(&state)?, ["old"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restore_state(&self, state: &PoolState) -> Result<Vec<String>, StateError> {
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
        state: &PoolState,
        now: SystemTime,
    ) -> Result<Vec<String>, StateError> {
        let (accounts, elapsed) = state.open(now)?;
        Ok(self.restore_accounts(accounts, elapsed))
    }

    /// Goes on from the states of accounts that were taken `elapsed` ago. Returns the ids of the keys
    /// that the pool does not have.
    pub(crate) fn restore_accounts(
        &self,
        accounts: &[PoolAccountState],
        elapsed: Duration,
    ) -> Vec<String> {
        let (mut events, mut unknown) = (Vec::new(), Vec::new());
        self.with_records(|records, keys, now| {
            let numbered = records.iter().enumerate();
            let numbers: HashMap<&str, usize> = numbered
                .filter(|(number, _)| keys.is_known(*number))
                .map(|(number, record)| (&*record.id, number))
                .collect();
            for saved in accounts {
                for key in &saved.keys {
                    let number = numbers.get(&*key.id).and_then(|it| u32::try_from(*it).ok());
                    let Some(number) = number else {
                        unknown.push(key.id.clone());
                        continue;
                    };
                    if let Some(account) = keys.account_of(number) {
                        let at = Restored::new(now, elapsed, &self.engine.options);
                        account.restore_state(&saved.account, at, &mut events);
                    }
                    if key.disabled {
                        keys.disable(number);
                    }
                }
            }
        });
        self.engine.restored(events);
        unknown
    }
}
