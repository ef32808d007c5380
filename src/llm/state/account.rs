//! The state of an account as plain numbers, which any process can read.
//!
//! Times are relative to the moment at which the state was taken, because the clock of a limiter
//! means nothing to another process. They are whole milliseconds, rounded in the direction in which
//! less is admitted, and nanoseconds where a comparison with periods needs them.
//!
//! These structs are also the serialized form. A later version that changes the type of a field
//! gives that field another name. Then this version can still read the text, and sees that the
//! version is unknown.

use crate::llm::Counted;

/// The state of an account: its limits, what responses have shown about them, and its health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub(crate) struct AccountState {
    pub(crate) limits: Vec<LimitState>,
    pub(crate) learned: Vec<LearnedState>,
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub(crate) provisional: Option<ProvisionalState>,
    pub(crate) health: HealthState,
}

/// A limit in force, and how much of it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
pub(crate) struct LimitState {
    pub(crate) counted: Counted,
    pub(crate) per_seconds: u32,
    pub(crate) limit: u64,
    pub(crate) used: UsedState,
    /// What the server said that can still pass before its window ends.
    pub(crate) window: Option<WindowState>,
    /// What was in use beyond the limit when it was lowered, and counts again if it is raised.
    pub(crate) not_counted: Option<GrantState>,
    /// When the server's window ends.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub(crate) renewal: Option<RenewalState>,
}

/// The ends of the server's windows, at which all of the limit can be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
pub(crate) struct RenewalState {
    pub(crate) ends_after_ms: Option<u64>,
    pub(crate) ended_ms_ago: Option<u64>,
    /// What requests have taken that were in flight.
    pub(crate) in_flight: u64,
}

/// How much of a limit is used, in the way in which the limit is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub(crate) enum UsedState {
    /// The limit is refilled evenly, and nothing is in use any more after this many milliseconds.
    RefilledAfterMs(u64),
    /// The limit is counted strictly, and these grants were made, oldest first.
    Grants(Vec<GrantState>),
}

/// What was taken at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
pub(crate) struct GrantState {
    pub(crate) ms_ago: u64,
    pub(crate) count: u64,
}

/// The rest of a server's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
pub(crate) struct WindowState {
    pub(crate) left: u64,
    pub(crate) ends_after_ms: u64,
    pub(crate) end_is_stated: bool,
}

/// What responses have shown about one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
pub(crate) struct LearnedState {
    pub(crate) counted: Counted,
    /// The period of the limit that is in force because of the responses.
    pub(crate) per_seconds: Option<u32>,
    /// The period, if headers state it.
    pub(crate) stated_seconds: Option<u32>,
    pub(crate) documented_even: bool,
    pub(crate) responses: u8,
    pub(crate) evidence: EvidenceState,
}

/// The answers that decide on the period and the kind of refill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub(crate) struct EvidenceState {
    pub(crate) even_seconds: Option<u32>,
    pub(crate) agreeing: u8,
    pub(crate) contradicting: u8,
    pub(crate) longest_reset_ns: u64,
    pub(crate) implied_ns: Option<u64>,
    pub(crate) window_gap_ns: Option<u64>,
}

/// The limit of a server that has refused requests and states no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
pub(crate) struct ProvisionalState {
    pub(crate) limit: u64,
    /// What further refusals of requests that were in flight together lower the limit to at most.
    pub(crate) least: u64,
    /// How long the limit stays as it is before it grows.
    pub(crate) hold_ms: u64,
    pub(crate) grows_after_ms: u64,
    pub(crate) ends_after_ms: u64,
}

/// Whether the account may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub(crate) struct HealthState {
    /// The rest of the pause; 0 if it is over.
    pub(crate) pause_ends_after_ms: u64,
    /// How long ago the last pause ended; 0 if it lasts.
    pub(crate) pause_ended_ms_ago: u64,
    pub(crate) on_trial: bool,
    /// How long a request on trial is waited for.
    pub(crate) trial_ends_after_ms: u64,
    /// Consecutive 429s, failures, and responses that say that the account is spent.
    pub(crate) refusals: u32,
    pub(crate) failures: u32,
    pub(crate) spent: u32,
}
