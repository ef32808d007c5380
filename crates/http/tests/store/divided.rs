//! A policy over a store that charges one subject in an ask, as a cluster does.

use std::sync::Arc;
use std::time::Duration;

use tollgate::shared::store::{
    Answers, Ask, Buckets, Memory, Namespace, OpenError, Store, StoreError,
};
use tollgate_http::engine::store::SharedStore;
use tollgate_http::{Facts, HttpLimiter, Policy};

/// Memory that refuses asks of several subjects.
struct Divided(Memory);

struct DividedBuckets(Arc<dyn Buckets>);

impl Store for Divided {
    fn open(&self, namespaces: &[Namespace]) -> Result<Arc<dyn Buckets>, OpenError> {
        Ok(Arc::new(DividedBuckets(self.0.open(namespaces)?)))
    }
}

impl Buckets for DividedBuckets {
    fn ask(&self, asks: Vec<Ask>) -> Answers {
        if asks.iter().any(|ask| ask.parts.len() > 1) {
            let misfit = StoreError::Misfit("the subjects may be on several servers");
            return Box::pin(async move { vec![Err(misfit); asks.len()] });
        }
        self.0.ask(asks)
    }

    fn spans_subjects(&self) -> bool {
        false
    }
}

const POLICY: &str = "
version = 1
always = ['address', 'user', 'tried']
[limits.address]
quota = '5/h'
key = 'address'
[limits.user]
quota = '2/h'
key = 'user'
missing = 'skip'
[limits.tried]
quota = '1/h'
key = 'user'
missing = 'skip'
mode = 'shadow'
";

#[test]
fn a_request_is_charged_to_all_of_its_subjects_or_to_none() {
    let policy: Policy = POLICY.parse().expect("a policy");
    let store = SharedStore::new(Divided(Memory::new()));
    // A deadline would measure the machine, and each request is to be decided by the store.
    let store = store.deadline(Duration::from_secs(600)).trust_refusals_for(Duration::ZERO);
    let limiter = HttpLimiter::builder(&policy).store(store).build().expect("a limiter");
    let request = |user: &'static str| {
        let address = std::net::IpAddr::from([10, 0, 0, 1]);
        Facts::new("GET", "/").peer(address).user(user)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        for _ in 0..2 {
            assert!(limiter.decide(&request("alice")).await.is_allowed());
        }
        // The address is not charged for what the user's limit refuses.
        for _ in 0..20 {
            assert!(!limiter.decide(&request("alice")).await.is_allowed());
            // What is given back is a task.
            tokio::task::yield_now().await;
        }
        assert!(limiter.decide(&request("bob")).await.is_allowed());
        assert!(limiter.decide(&request("bob")).await.is_allowed());
        assert!(limiter.decide(&request("carol")).await.is_allowed());
        // Now the address is at its limit, and the user is not charged.
        assert!(!limiter.decide(&request("carol")).await.is_allowed());
    });
}
