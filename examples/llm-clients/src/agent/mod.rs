//! An agent that answers each caller within a limit of that caller, and answers with less when the
//! limit is reached.
//!
//! ```
//! use std::time::Duration;
//! use tollgate_llm_clients::agent::{Agent, Context, Kind, PacedModel};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let agent = Agent::builder()
//!     .rate_limit_per_minute(60, 10) // 60 a minute, of which 10 may come at once
//!     .key(|context| context.key()) // the user, else the address, else "global"
//!     .cache(1_000, Duration::from_mins(10)) // refused: an answer that was given before
//!     .short_answers_per_minute(30, 5) // else a shorter answer, within a limit of its own
//!     .build(PacedModel::new(Duration::ZERO))?;
//!
//! let alice = Context::of_user("alice");
//! let answer = agent.ask(&alice, "What is a token bucket?").await?;
//! assert_eq!(answer.metadata.kind, Kind::Full);
//! assert_eq!(answer.metadata.rate_limit.remaining, 9);
//! # Ok(())
//! # }
//! ```

// A request goes through this folder as follows. The builder's key function reads the key out of
// the `Context`. `Agent` asks the `RateLimit` for that key, for as long as the context's patience.
// If it is refused, it looks into the `Cache`, and then asks the second `RateLimit`, that of short
// answers. The `Model` answers piece by piece; `AnswerStream` passes the pieces on, and puts the
// whole answer into the cache at its end. `ask` is a stream that is collected.

mod answer;
mod ask;
mod builder;
mod cache;
mod context;
mod model;
mod rate_limit;
mod statistics;
mod stream;

pub use answer::{Answer, Kind, Metadata};
pub use ask::{Agent, AskError};
pub use builder::AgentBuilder;
pub use context::Context;
pub use model::{Model, ModelError, PacedModel, Pieces};
pub use rate_limit::{RateLimit, Refusal, Stats};
pub use statistics::Statistics;
pub use stream::AnswerStream;
