//! The promise of every limiter, held by one checker that knows nothing of how limiters work.
//!
//! A script asks in every way there is, holds what it was promised for any time, cancels it late or
//! never, lets nobody look for long, steps the clock back. What was really used is written down
//! with the time at which it was granted; then the definition is checked for every window, in exact
//! rationals. What was cancelled is not used.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bounds;
mod quotas;
mod script;
mod stalls;
mod threads;
