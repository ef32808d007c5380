//! Bugs that other Rust rate limiters had: none of them here.
//!
//! One test per bug, by its number in a survey of peers made in 2026; the first line of each says
//! who had it. Not here, because what they were in does not exist in this crate yet:
//!
//! | bug | what it was in |
//! |---|---|
//! | 32 | Redis connections, a runtime per call |
//!
//! Of 4, 13 and 24 the parts about Redis and HTTP headers are left out, of 33 the one about a
//! remote roll-back.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

/// One module per kind of harm.
mod regressions {
    mod clocks;
    mod keys;
    mod limiters;
    mod over_admission;
    mod quota_changes;
    mod reporting;
    mod under_admission;
    mod waiting;
}
