//! Descriptors of Envoy's rate limit service: several of one request, decided all or none.
//!
//! A descriptor is a list of entries. `rules.rs` finds the rule of the policy for it, and
//! `facts.rs` says what its entries tell of a request. `decide.rs` makes the charges of all
//! descriptors, and `asking.rs` asks the store about them.

mod asking;
mod decide;
mod decision;
mod facts;
mod rules;

pub use decide::{DecidingDescriptors, Descriptor};
pub use decision::{DescriptorDecision, DescriptorsDecision, Matched};
pub(crate) use rules::Rules;
