//! Limits of model APIs: requests and tokens taken together, settled afterwards, learned from
//! headers.
//!
//! Begin with a [`Limiter`] for one key, or a [`KeyPool`] for several.

// limiter    the limits of one key
// pool       many keys
// permit     leave for one request, to be settled
// call       a whole request in one call
// stream     an answer in chunks, settled at its end
// tokens     what a request takes, as providers count it
// limits     an account's limits as a plain value
// engine     keys and those who wait for them, under one lock
// choice     the rule: which key can serve a request, and when
// account    an account's limits, and what is in flight under them
// meters     the limits of an account
// meter      one limit
// observe    what a server's words do to a key
// headers    what a server says

mod call;
mod engine;
mod error;
mod headers;
mod limiter;
mod limits;
mod permit;
mod pool;
mod reservation;
#[cfg(feature = "stream")]
mod stream;
mod tokens;
mod usage;

pub use call::{CallError, Reply};
pub use engine::{Burst, LimitKind, OnDrop};
pub use error::Error;
pub use headers::{Bound, ServerLimit, ServerLimits};
pub use limiter::{Limiter, LimiterBuilder};
pub use limits::Limits;
pub use permit::{OwnedPermit, Permit};
pub use pool::{AddKeyError, KeyPool, KeyPoolBuilder, PoolKey, PoolPermit};
pub use reservation::Reservation;
#[cfg(feature = "stream")]
pub use stream::{MeteredStream, Settle};
pub use tokens::{Demand, Spent, TokenCost, Tokens};
pub use usage::{LimitUsage, Usage};
