//! The suite of all stores, on real servers.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::unchecked_time_subtraction,
    reason = "what fails here is a failed test, and tests share modules"
)]

#[path = "../../../tests/support/shared_store/mod.rs"]
#[macro_use]
mod shared_store;
#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use shared_store::StoreUnderTest;
use support::server::{Server, is_installed};
use tokio::runtime::Runtime;
use tollgate::shared::store::{Answer, Answers, Memory, Store, StoreError};
use tollgate::{Clock, ManualClock, Timestamp};
use tollgate_redis::Redis;

/// A server for one test. If it is not installed, the test runs on the store in memory, and says
/// so.
struct OnServer {
    server: Option<Server>,
    runtime: Runtime,
}

impl OnServer {
    fn start(kind: &'static str) -> Self {
        let server = is_installed(kind).then(|| Server::start(kind));
        Self { server, runtime: Runtime::new().expect("a runtime") }
    }
}

/// No check leaves a key that would stay for ever.
impl Drop for OnServer {
    fn drop(&mut self) {
        let server = self.server.as_ref().filter(|_| !std::thread::panicking());
        let staying = server.map_or(0, Server::keys_without_expiry);
        assert_eq!(staying, 0, "keys without an expiry");
    }
}

impl StoreUnderTest for OnServer {
    fn empty(&self, clock: &ManualClock) -> Arc<dyn Store> {
        let clock = clock.clone();
        let Some(server) = &self.server else {
            return Arc::new(Memory::builder().clock(clock).build());
        };
        server.command(&["FLUSHALL"]);
        let builder = Redis::builder(&server.url())
            .deadline(Duration::from_secs(10))
            .connect_deadline(Duration::from_secs(10))
            .callers_clock(move || clock.now() - Timestamp::ZERO);
        Arc::new(self.runtime.block_on(builder.connect()).expect("the server is there"))
    }

    fn wait_for(&self, answers: Answers) -> Vec<Result<Answer, StoreError>> {
        self.runtime.block_on(answers)
    }

    fn tick(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn random_decisions(&self) -> u32 {
        20_000
    }
}

mod redis {
    shared_store_suite!(crate::OnServer::start("redis-server"));
}

mod valkey {
    shared_store_suite!(crate::OnServer::start("valkey-server"));
}
