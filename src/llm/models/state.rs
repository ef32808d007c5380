//! The state of a pool of models, before and after a restart.

use std::time::{Duration, SystemTime};

use super::ModelPool;
use super::shared::ModelKey;
use crate::clock::wall;
use crate::llm::engine::account::{Restored, SpentRest};
use crate::llm::{
    AccountState, KeyState, ModelPoolState, ModelState, PoolAccountState, StateError,
};
use crate::{Clock, Timestamp};

impl<T, C: Clock + Clone> ModelPool<T, C> {
    /// The state of the pool: of each model, what [`KeyPool::state`](crate::llm::KeyPool::state)
    /// says of one, and which keys are disabled or rest in all models. Takes nothing. Store it before
    /// a restart, and [restore](Self::restore_state) it afterwards; see [`ModelPoolState`] for an
    /// example.
    #[must_use]
    pub fn state(&self) -> ModelPoolState {
        let (accounts, models) = self.account_states();
        // Read last: less time will seem to have passed, so not more will have been refilled.
        ModelPoolState::new(wall::now(), accounts, models)
    }

    /// As [`state`](Self::state), with the time that it is by the system's clock. For tests and
    /// simulations on a clock of their own.
    #[must_use]
    pub fn state_at(&self, now: SystemTime) -> ModelPoolState {
        let (accounts, models) = self.account_states();
        ModelPoolState::new(now, accounts, models)
    }

    /// What concerns the accounts in all models, and the states of all models.
    fn account_states(&self) -> (Vec<PoolAccountState>, Vec<ModelState>) {
        let now = self.clock().now();
        let state = self.shared.state.lock();
        let accounts = in_all_models(&state.keys, now);
        let models = state.places.all();
        drop(state);
        let models = models.iter().map(|(name, keys)| ModelState {
            model: (**name).into(),
            accounts: keys.account_states(),
        });
        (accounts, models.collect())
    }

    /// Goes on from the state of an earlier pool. Call it once the keys are added, before the first
    /// request. Returns the ids of the keys in the state that this pool does not have; they are
    /// ignored.
    ///
    /// What [`KeyPool::restore_state`](crate::llm::KeyPool::restore_state) says of a pool holds for
    /// each model. Besides:
    ///
    /// * Each model of the state is made, as if it were used. If there are more than have a place,
    ///   what was used of the further ones counts for the model that they share.
    /// * Limits of one model are not part of the state: [set](Self::set_limits) them before.
    ///
    /// # Errors
    ///
    /// [`StateError::UnknownVersion`] if another version of this crate has written the state.
    /// Nothing changes then.
    ///
    /// ```
    /// use tollgate::llm::{Limits, ModelPool};
    ///
    /// let pool = ModelPool::new();
    /// pool.add("main", "sk-1", Limits::new().requests_per_day(50))?;
    /// pool.try_acquire("gpt-x", 0)?.unauthorized();
    /// let state = pool.state();
    ///
    /// let pool = ModelPool::new();
    /// pool.add("main", "sk-1", Limits::new().requests_per_day(50))?;
    /// assert!(pool.restore_state(&state)?.is_empty());
    /// assert!(pool.try_acquire("another", 0).is_err()); // the key is disabled in all models
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restore_state(&self, state: &ModelPoolState) -> Result<Vec<String>, StateError> {
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
        state: &ModelPoolState,
        now: SystemTime,
    ) -> Result<Vec<String>, StateError> {
        let (accounts, models, elapsed) = state.open(now)?;
        let known = self.ids();
        let is_known = |id: &str| known.iter().any(|known| **known == *id);
        for saved in accounts {
            let rest = self.restored_rest(&saved.account, elapsed);
            for key in saved.keys.iter().filter(|key| is_known(&key.id)) {
                if key.disabled {
                    self.shared.refuse(&key.id);
                }
                if let Some(rest) = rest {
                    self.shared.rest(&key.id, rest);
                }
            }
        }
        for saved in models {
            self.in_use(&saved.model).keys().restore_accounts(&saved.accounts, elapsed);
        }
        let unknown = state.ids().filter(|id| !is_known(id));
        Ok(unknown.map(Into::into).collect())
    }

    fn restored_rest(&self, saved: &AccountState, elapsed: Duration) -> Option<SpentRest> {
        let at = Restored::new(self.clock().now(), elapsed, self.shared.builder.read_options());
        SpentRest::restored(&saved.health, at)
    }
}

/// What concerns accounts in all models.
fn in_all_models<T>(keys: &[ModelKey<T>], now: Timestamp) -> Vec<PoolAccountState> {
    let mut accounts: Vec<(&str, PoolAccountState)> = Vec::new();
    for key in keys {
        let state = KeyState { id: (*key.id).into(), disabled: key.is_refused };
        let id = &*key.account.id;
        if let Some((_, account)) = accounts.iter_mut().find(|(known, _)| *known == id) {
            account.keys.push(state);
            continue;
        }
        let rest = key.account.spent_rest.filter(|rest| rest.lasts(now));
        let health = rest.map(|rest| rest.state(now)).unwrap_or_default();
        let account = AccountState { health, ..AccountState::default() };
        accounts.push((id, PoolAccountState { keys: vec![state], account }));
    }
    accounts.into_iter().map(|(_, account)| account).collect()
}
