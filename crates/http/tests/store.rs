//! One suite for all stores of buckets, and the stores that there are.

#[path = "store/levels.rs"]
mod levels;
#[path = "store/quotas.rs"]
mod quotas;
#[path = "store/reload.rs"]
mod reload;
#[path = "store/room.rs"]
mod room;
#[path = "store/scene.rs"]
mod scene;
#[path = "support/stores.rs"]
mod stores;
#[path = "store/suite.rs"]
mod suite;
#[path = "store/together.rs"]
mod together;

use std::sync::Arc;

use stores::{CopyingStore, LaterStore};
use suite::suite;
use tollgate::ManualClock;
use tollgate_http::engine::store::Memory;

fn memory(clock: ManualClock) -> Memory {
    Memory::with_clock(Arc::new(clock))
}

#[test]
fn memory_is_a_store() {
    suite(memory);
}

#[test]
fn a_store_that_answers_later_is_one() {
    suite(|clock| LaterStore::new(memory(clock), 3));
}

#[cfg(feature = "shared")]
#[test]
fn a_store_that_processes_share_is_one() {
    use tollgate::shared::store::Memory;
    use tollgate_http::engine::store::{SharedStore, Store};

    suite::levels_and_decisions(&|clock: ManualClock| -> Box<dyn Store> {
        let memory = Memory::builder().clock(clock).build();
        // The suite's clock moves, and that of the client does not.
        Box::new(SharedStore::new(memory).trust_refusals_for(std::time::Duration::ZERO))
    });
}

#[test]
fn a_store_that_copies_is_one() {
    suite(|clock| CopyingStore(memory(clock)));
}
