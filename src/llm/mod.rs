//! Limits of model APIs: requests and tokens taken together, settled afterwards, learned from
//! headers.
//!
//! | file | what |
//! |---|---|
//! | `limiter` | [`Limiter`]: the limits of one key |
//! | `permit` | [`Permit`]: leave for one request, to be settled |
//! | `tokens` | what a request takes, as providers count it |
//! | `engine` | keys and those who wait for them, under one lock |
//! | `choice` | the rule: which key can serve a request, and when |
//! | `account`, `meter` | an account's limits, and one of them |
//! | `observe`, `headers` | what servers say |

mod account;
mod choice;
mod engine;
mod error;
mod headers;
mod limiter;
mod limits;
mod meter;
mod observe;
mod permit;
mod pool;
mod tokens;
mod usage;

pub use engine::OnDrop;
pub use error::Error;
pub use headers::{Bound, ServerLimit, ServerLimits};
pub use limiter::{Builder, Limiter};
pub use limits::Limits;
pub use meter::{Burst, LimitKind};
pub use permit::{OwnedPermit, Permit};
pub use pool::{AddKeyError, KeyPool, PoolBuilder, PoolPermit};
pub use tokens::{Demand, Spent, TokenCost, Tokens};
pub use usage::{LimitUsage, Usage};
