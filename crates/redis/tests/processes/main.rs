//! Four processes that share limits through a real server.
//!
//! A process is this program again, which runs [`one_process`] alone. `TOLLGATE_SECONDS=10` makes
//! each run longer than its usual two or three seconds.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what fails here is a failed test, tests share modules, and their numbers are small"
)]

mod bound;
mod clock;
mod crew;
mod log;
mod traffic;
mod traffic_worker;
mod waiters;
mod waiters_worker;

#[path = "../support/mod.rs"]
mod support;

/// Not a test: what each of the processes does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the other tests start it, in processes of its own"]
async fn one_process() {
    let orders = crew::Orders::from_environment();
    match orders.job {
        crew::Job::Traffic => traffic_worker::work(&orders).await,
        crew::Job::Waiters => waiters_worker::work(&orders).await,
    }
}
