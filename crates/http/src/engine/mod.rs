//! Decisions: from the facts of a request to an answer. Nothing in here knows of HTTP servers, so
//! this is also for programs without tower, and for other protocols.
//!
//! ```
//! use std::net::IpAddr;
//! use tollgate_http::{Facts, HttpLimiter, Policy};
//!
//! let policy: Policy = r#"
//!     version = 1
//!     [limits.export]
//!     quota = "1/h"
//!     key = "user"
//!     missing = "refuse"
//!     [[routes]]
//!     path = "/exports/{id}"
//!     limits = ["export"]
//!     charge = ["2xx"]
//! "#.parse()?;
//! let limiter = HttpLimiter::new(&policy)?;
//! let facts = Facts::new("POST", "/exports/7").user("alice");
//! let mut decision = limiter.decide(&facts).now().expect("memory answers at once");
//! if decision.is_allowed() {
//!     // Handle the request, then tell its status: this one is not charged.
//!     limiter.answered(&mut decision, 500);
//! }
//! let again = limiter.decide(&facts).now().expect("memory answers at once");
//! assert!(again.is_allowed());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The order of a decision
//!
//! The first of these that is true decides:
//!
//! | A request that | has the outcome | and is answered with |
//! |---|---|---|
//! | comes under a policy in the mode `off` | [`Exempt`](Outcome::Exempt) | |
//! | needs the address of a peer that is not known | [`NoPeer`](Outcome::NoPeer) | 500 |
//! | is of a blocked subject | [`Blocked`](Outcome::Blocked) | 403 |
//! | another program could read differently | [`Ambiguous`](Outcome::Ambiguous) | 400 |
//! | is a CORS preflight, or of an exempt subject | [`Exempt`](Outcome::Exempt) | |
//! | is of a caller in a penalty | [`Penalty`](Outcome::Penalty) | 429 |
//! | lacks a part of a key that says `refuse` | [`MissingKey`](Outcome::MissingKey) | 403 |
//! | an enforced limit refuses | [`Refused`](Outcome::Refused) | 429 or 503 |
//! | is a new key for which a limit has no room | [`Full`](Outcome::Full) | 503 |
//! | meets a store that fails | [`StoreFailed`](Outcome::StoreFailed) | nothing, or 503 |
//! | comes this far | [`Allowed`](Outcome::Allowed) | |

mod answer;
mod builder;
mod caller;
mod client_address;
mod compile;
mod compiled;
mod decide;
mod deciding;
mod decision;
mod descriptors;
mod error;
mod explain;
mod facts;
mod host;
mod key;
mod levels;
mod limit_report;
mod limiter;
pub mod observe;
mod path;
mod penalty;
pub mod reload;
mod request;
mod route_index;
mod secret;
pub mod store;
mod subjects;

pub(crate) use answer::{Answer, is_grpc, refusal, tell};
pub use builder::HttpLimiterBuilder;
pub use caller::Caller;
pub use deciding::Deciding;
pub use decision::{Decision, Outcome};
pub use descriptors::{
    DecidingDescriptors, Descriptor, DescriptorDecision, DescriptorsDecision, Matched,
};
pub use error::BuildError;
pub use explain::Explanation;
pub use facts::Facts;
pub use key::{Hashed, Key, KeyParts, ParseHashedError, Part};
pub use limit_report::LimitReport;
pub use limiter::HttpLimiter;
