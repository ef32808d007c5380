//! One suite for all stores of buckets, and the stores that there are.

#[cfg(feature = "shared")]
#[path = "store/divided.rs"]
mod divided;
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
    use std::time::Duration;

    use stores::OnRuntime;
    use tollgate::shared::store::Memory;
    use tollgate_http::engine::store::{SharedStore, Store};

    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_time().build().expect("a runtime");
    suite::levels_and_decisions(&|clock: ManualClock| -> Box<dyn Store> {
        let memory = Memory::builder().clock(clock).build();
        // The suite's clock moves, and that of the client does not. A deadline would measure the
        // machine.
        let store = SharedStore::new(memory).trust_refusals_for(Duration::ZERO);
        let store = store.deadline(Duration::from_secs(600)).key_secret([7; 16]);
        Box::new(OnRuntime { store, runtime: runtime.handle().clone() })
    });
}

#[cfg(feature = "shared")]
#[test]
fn keys_with_hashed_parts_need_a_secret_that_all_processes_have() {
    use tollgate::shared::store::Memory;
    use tollgate_http::engine::store::{SharedStore, StoreError};
    use tollgate_http::{Facts, HttpLimiter, Policy};

    let policy: Policy =
        "version = 1\nalways = ['a']\n[limits.a]\nquota = '1/h'\nkey = 'api-key'\nmissing = 'share'"
            .parse()
            .expect("a policy");
    let memory = Memory::new();
    let error = HttpLimiter::builder(&policy).store(SharedStore::new(memory.clone())).build();
    let Err(error) = error else { panic!("there is no secret") };
    let error = error.to_string();
    let expected = StoreError::NeedsSecret { limit: "a".into() }.to_string();
    assert_eq!(error, expected);
    // Two processes with the same secret count a key together; one with another does not.
    let process = |secret| {
        let store = SharedStore::new(memory.clone()).key_secret([secret; 16]);
        HttpLimiter::builder(&policy).store(store).build().expect("a limiter")
    };
    let (one, two, stranger) = (process(1), process(1), process(2));
    let passes = |limiter: &HttpLimiter| {
        let facts = Facts::new("GET", "/").api_key("secret");

        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let decision = runtime.expect("a runtime").block_on(limiter.decide(&facts));
        decision.is_allowed()
    };
    assert!(passes(&one) && !passes(&two) && passes(&stranger));
}

#[test]
fn a_store_that_copies_is_one() {
    suite(|clock| CopyingStore(memory(clock)));
}
