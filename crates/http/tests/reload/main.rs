//! Reloading: what a new policy keeps, and what it changes (rules L1 to L5).

#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

mod changes;
mod concurrent;
mod invisible;
mod levels;
#[path = "../support/scene.rs"]
mod scene;
mod status;

use scene::{decide, facts, limiter, policy, wall_time};
use tollgate_http::HttpLimiter;

/// What is left of the first limit after `times` requests of `user`.
fn remaining_after(limiter: &HttpLimiter, user: &str, times: u64) -> u64 {
    let mut left = u64::MAX;
    for _ in 0..times {
        let decision = decide(limiter, &facts("/").user(user));
        left = decision.limits().next().expect("a limit").remaining();
    }
    left
}
