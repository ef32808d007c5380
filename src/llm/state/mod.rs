//! The state of a limiter and of a pool, which outlives a restart.

mod account;
mod models;

pub(crate) use account::{
    AccountState, EvidenceState, GrantState, HealthState, LearnedState, LimitState,
    ProvisionalState, RenewalState, UsedState, WindowState,
};
pub use models::ModelPoolState;
pub(crate) use models::ModelState;

use std::time::{Duration, SystemTime};

/// The version of the states that this version of the crate writes, and the only one that it reads.
const VERSION: u32 = 1;

/// The state of a [`Limiter`](super::Limiter) at one moment: what is used of its limits, what it
/// has learned, and its pauses. A new limiter that [restores](super::Limiter::restore_state) it
/// goes on as if there had been no restart. (Only for what a first refusal says of a server that
/// states no limits, what was sent before the restart does not count; see
/// [`provisional_limit`](super::LimiterBuilder::provisional_limit).)
///
/// It can be moved to another limiter of the same process, and with the feature `serde` it can be
/// stored. The form has a version; the fields besides `version` and `taken_at_ms` (the time by the
/// system's clock, in milliseconds since 1970) are details that can change with the version. It
/// contains no API key.
///
/// ```
/// use tollgate::llm::{LimitKind, Limiter, LimiterState, Period};
///
/// let model = Limiter::builder().requests_per_day(1_000).build()?;
/// model.try_acquire(500)?.settle(500);
/// let before = model.state();
/// # #[cfg(feature = "serde")] {
/// // At the end of a process: write the state to a file.
/// let text = serde_json::to_string(&before)?;
///
/// // At the start of the next one: the same options, and then the state.
/// let model = Limiter::builder().requests_per_day(1_000).build()?;
/// let state: LimiterState = serde_json::from_str(&text)?;
/// model.restore_state(&state)?;
/// let requests = model.usage().of(LimitKind::Requests(Period::DAY)).expect("limited");
/// assert_eq!(requests.used, 1);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
pub struct LimiterState {
    version: u32,
    #[cfg_attr(feature = "serde", serde(default))]
    taken_at_ms: u64,
    #[cfg_attr(feature = "serde", serde(default))]
    account: AccountState,
}

/// The state of a [`KeyPool`](super::KeyPool) at one moment: the state of each account, and which
/// keys are disabled. A new pool [restores](super::KeyPool::restore_state) it once its keys are
/// added.
///
/// It names the keys by their ids. It contains no secret, and it is stored in the same way as a
/// [`LimiterState`].
///
/// ```
/// use tollgate::llm::{KeyPool, Limits, PoolState};
///
/// let pool = KeyPool::new();
/// pool.add("main", "sk-1", Limits::new().requests_per_day(1_000))?;
/// pool.try_acquire(500)?.settle(500);
/// let before = pool.state();
/// # #[cfg(feature = "serde")] {
/// let text = serde_json::to_string(&before)?;
/// assert!(!text.contains("sk-1"));
///
/// // After the restart:
/// let pool = KeyPool::new();
/// pool.add("main", "sk-1", Limits::new().requests_per_day(1_000))?;
/// let state: PoolState = serde_json::from_str(&text)?;
/// assert!(pool.restore_state(&state)?.is_empty()); // the pool has all keys of the state
/// assert_eq!(pool.usage("main").expect("added").limits[0].used, 1);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
pub struct PoolState {
    version: u32,
    #[cfg_attr(feature = "serde", serde(default))]
    taken_at_ms: u64,
    #[cfg_attr(feature = "serde", serde(default))]
    accounts: Vec<PoolAccountState>,
}

/// An account of a pool, and the keys that share it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
pub(crate) struct PoolAccountState {
    pub(crate) keys: Vec<KeyState>,
    pub(crate) account: AccountState,
}

/// A key of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
pub(crate) struct KeyState {
    pub(crate) id: String,
    pub(crate) disabled: bool,
}

/// Why a state was not restored. Nothing has changed.
///
/// ```
/// # #[cfg(feature = "serde")] {
/// use tollgate::llm::{Limiter, LimiterState, StateError};
/// let state: LimiterState = serde_json::from_str(r#"{ "version": 7, "levels": [1, 2] }"#)?;
/// let error = Limiter::builder().build()?.restore_state(&state).unwrap_err();
/// assert_eq!(error, StateError::UnknownVersion { version: 7 });
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The state was written by another version of this crate, and this version can't read it.
    #[error("the state has version {version}, and only version {VERSION} can be restored")]
    UnknownVersion {
        /// The version of the state.
        version: u32,
    },
}

impl LimiterState {
    pub(crate) fn new(taken_at: SystemTime, account: AccountState) -> Self {
        Self { version: VERSION, taken_at_ms: taken_at_ms(taken_at), account }
    }

    /// When the state was taken, by the system's clock.
    #[must_use]
    pub fn taken_at(&self) -> SystemTime {
        after_epoch(self.taken_at_ms)
    }

    /// The account's state, and the time that has passed since it was taken.
    pub(crate) fn open(&self, now: SystemTime) -> Result<(&AccountState, Duration), StateError> {
        check(self.version)?;
        Ok((&self.account, elapsed(self.taken_at_ms, now)))
    }
}

impl PoolState {
    pub(crate) fn new(taken_at: SystemTime, accounts: Vec<PoolAccountState>) -> Self {
        Self { version: VERSION, taken_at_ms: taken_at_ms(taken_at), accounts }
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

    /// The states of the accounts, and the time that has passed since they were taken.
    pub(crate) fn open(
        &self,
        now: SystemTime,
    ) -> Result<(&[PoolAccountState], Duration), StateError> {
        check(self.version)?;
        Ok((&self.accounts, elapsed(self.taken_at_ms, now)))
    }
}

fn check(version: u32) -> Result<(), StateError> {
    if version == VERSION { Ok(()) } else { Err(StateError::UnknownVersion { version }) }
}

/// A duration in milliseconds, rounded up.
pub(crate) fn millis_up(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// A duration in milliseconds, rounded down.
pub(crate) fn millis_down(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn taken_at_ms(taken_at: SystemTime) -> u64 {
    millis_up(since_epoch(taken_at))
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// A time that the system's clock can't represent becomes 1970.
fn after_epoch(millis: u64) -> SystemTime {
    let epoch = SystemTime::UNIX_EPOCH;
    epoch.checked_add(Duration::from_millis(millis)).unwrap_or(epoch)
}

/// The time since `taken_at_ms`, and not more; zero if the clock has stepped back since then.
fn elapsed(taken_at_ms: u64, now: SystemTime) -> Duration {
    Duration::from_millis(millis_down(since_epoch(now)).saturating_sub(taken_at_ms))
}
