//! The state of a pool of models, which outlives a restart.

use std::time::{Duration, SystemTime};

use super::{PoolAccountState, StateError, VERSION, after_epoch, check, elapsed, taken_at_ms};

/// The state of a [`ModelPool`](crate::llm::ModelPool) at one moment: of each model, what a
/// [`PoolState`](crate::llm::PoolState) says of a pool, and what concerns a key in all models. A
/// new pool [restores](crate::llm::ModelPool::restore_state) it once its keys are added.
///
/// It names keys by their ids. It contains no secret, and it is stored in the same way as a
/// [`LimiterState`](crate::llm::LimiterState).
///
/// ```
/// use tollgate::llm::{Limits, ModelPool, ModelPoolState};
///
/// let pool = ModelPool::new();
/// pool.add("main", "sk-1", Limits::new().requests_per_day(1_000))?;
/// pool.try_acquire("gpt-x", 500)?.settle(500);
/// let before = pool.state();
/// # #[cfg(feature = "serde")] {
/// let text = serde_json::to_string(&before)?;
/// assert!(!text.contains("sk-1"));
///
/// // After the restart:
/// let pool = ModelPool::new();
/// pool.add("main", "sk-1", Limits::new().requests_per_day(1_000))?;
/// let state: ModelPoolState = serde_json::from_str(&text)?;
/// assert!(pool.restore_state(&state)?.is_empty()); // the pool has all keys of the state
/// assert_eq!(pool.usage("main", "gpt-x").expect("used").limits[0].used, 1);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
pub struct ModelPoolState {
    version: u32,
    #[cfg_attr(feature = "serde", serde(default))]
    taken_at_ms: u64,
    /// All keys, and what concerns their accounts in all models.
    #[cfg_attr(feature = "serde", serde(default))]
    accounts: Vec<PoolAccountState>,
    /// The model first that was not used for longest.
    #[cfg_attr(feature = "serde", serde(default))]
    models: Vec<ModelState>,
}

/// A model, and its accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
pub(crate) struct ModelState {
    pub(crate) model: String,
    pub(crate) accounts: Vec<PoolAccountState>,
}

impl ModelPoolState {
    pub(crate) fn new(
        taken_at: SystemTime,
        accounts: Vec<PoolAccountState>,
        models: Vec<ModelState>,
    ) -> Self {
        Self { version: VERSION, taken_at_ms: taken_at_ms(taken_at), accounts, models }
    }

    /// When the state was taken, by the system's clock.
    #[must_use]
    pub fn taken_at(&self) -> SystemTime {
        after_epoch(self.taken_at_ms)
    }

    /// The ids of all keys in the state.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().flat_map(|account| &account.keys).map(|key| &*key.id)
    }

    /// The names of all models in the state.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|model| &*model.model)
    }

    /// What concerns the accounts in all models, the states of the models, and the time that has
    /// passed since they were taken.
    pub(crate) fn open(
        &self,
        now: SystemTime,
    ) -> Result<(&[PoolAccountState], &[ModelState], Duration), StateError> {
        check(self.version)?;
        Ok((&self.accounts, &self.models, elapsed(self.taken_at_ms, now)))
    }
}
