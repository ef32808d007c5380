//! The store in memory: the suite of all stores, and what is its own.
#![cfg(feature = "shared")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unchecked_time_subtraction,
    reason = "what fails here is a failed test"
)]

#[path = "../support/shared_store/mod.rs"]
#[macro_use]
mod shared_store;

mod memory;

use std::sync::Arc;
use std::time::Duration;

use shared_store::StoreUnderTest;
use tollgate::ManualClock;
use tollgate::shared::store::{Answer, Answers, Memory, Store, StoreError};

struct InMemory;

impl StoreUnderTest for InMemory {
    fn empty(&self, clock: &ManualClock) -> Arc<dyn Store> {
        Arc::new(Memory::builder().clock(clock.clone()).build())
    }

    fn wait_for(&self, answers: Answers) -> Vec<Result<Answer, StoreError>> {
        futures_lite::future::block_on(answers)
    }

    fn tick(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn random_decisions(&self) -> u32 {
        8_000
    }
}

shared_store_suite!(crate::InMemory);
