//! Rate limits of model APIs: requests and tokens are taken together, settled when the usage is
//! known, and learned from response headers.
//!
//! Start with a [`Limiter`] for one API key in one model, a [`KeyPool`] for several keys, or a
//! [`ModelPool`] for several keys and models: providers limit each model by itself.

// A request asks a `Limiter` or a `KeyPool` for a permit with an estimate of its tokens. Both pass
// it to the `Engine`, which keeps all keys and the queue under one lock. There the rule picks a key
// whose account allows the request, and the account charges each of its meters; if no account does,
// the request waits in the queue. The caller gets a `Permit` and sends its request. The headers of
// the response are parsed into `ServerLimits`, from which the account learns its limits, and which
// may pause the key. Finally, the permit is settled with the tokens that were used, and the account
// charges or gives back the difference to the estimate.

mod burst;
pub(crate) mod call;
mod end_permit;
pub(crate) mod engine;
mod error;
mod headers;
mod limit_kind;
pub(crate) mod limiter;
pub(crate) mod limits;
mod low_priority;
mod meaning;
#[cfg(feature = "stream")]
mod metered_stream;
mod models;
mod period;
mod permit;
mod pool;
mod reply;
mod reservation;
mod state;
mod tokens;
mod usage;
mod wait_in_text;

pub use burst::Burst;
pub use call::CallError;
pub use end_permit::EndPermit;
pub use error::Error;
pub use headers::{Bound, ServerLimit, ServerLimits};
pub use limit_kind::{Counted, LimitKind};
pub use limiter::{Limiter, LimiterBuilder};
pub use limits::Limits;
pub use low_priority::LowPriority;
pub use meaning::Meaning;
#[cfg(feature = "stream")]
pub use metered_stream::{ChunkReport, MeteredStream};
pub use models::{ModelPermit, ModelPool, ModelReservation};
pub use period::Period;
pub use permit::{OnDrop, OwnedPermit, Permit};
pub use pool::{AddKeyError, KeyPool, KeyPoolBuilder, PoolKey, PoolPermit, PoolReservation};
pub use reply::Reply;
pub use reservation::Reservation;
pub(crate) use state::{
    AccountState, EvidenceState, GrantState, HealthState, KeyState, LearnedState, LimitState,
    ModelState, PoolAccountState, ProvisionalState, RenewalState, UsedState, WindowState,
};
pub use state::{LimiterState, ModelPoolState, PoolState, StateError};
pub use tokens::{Demand, Spent, TokenCost, Tokens};
pub use usage::{LimitUsage, Usage};
pub use wait_in_text::wait_in_text;
