//! A store whose asks have one subject, such as a cluster.

use std::sync::Arc;

use tollgate::TokioClock;
use tollgate::llm::{Error, Reply};
use tollgate::shared::Client;
use tollgate::shared::store::{
    Answers, Ask, Buckets, Memory, Namespace, OpenError, Store, StoreError,
};

use crate::workers::{SECOND, builder, store, told, worker};

/// A store in memory that refuses asks of several parts.
struct OneSubject(Memory<TokioClock>);

struct OfOneSubject(Arc<dyn Buckets>);

impl Store for OneSubject {
    fn open(&self, namespaces: &[Namespace]) -> Result<Arc<dyn Buckets>, OpenError> {
        Ok(Arc::new(OfOneSubject(self.0.open(namespaces)?)))
    }
}

impl Buckets for OfOneSubject {
    fn ask(&self, asks: Vec<Ask>) -> Answers {
        if asks.iter().any(|ask| ask.parts.len() > 1) {
            let misfit = Err(StoreError::Misfit("several subjects"));
            return Box::pin(std::future::ready(vec![misfit; asks.len()]));
        }
        self.0.ask(asks)
    }

    fn spans_subjects(&self) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn limits_and_pauses_are_shared_there_too() {
    let store = Client::builder(OneSubject(store()));
    let limits = || builder().requests_per_minute(60).tokens_per_minute(6_000).max_concurrent(9);
    let (one, other) = (worker(limits(), &store), worker(limits(), &store));
    let permit = one.acquire(5_000).await.unwrap();
    let refused = other.try_acquire(2_000).await.unwrap_err();
    assert!(refused.retry_after().is_some_and(|wait| wait > 9 * SECOND), "{refused}");
    permit.settle(1_000);
    told().await;
    let permit = other.acquire(4_000).await.unwrap();
    // A limit that was not configured is this process's own.
    let headers = [("anthropic-ratelimit-output-tokens-limit", "500"), ("retry-after", "30")];
    permit.end(&Reply::new(429).headers(headers));
    told().await;
    let Error::Denied { retry_after, .. } = one.try_acquire(1).await.unwrap_err() else {
        panic!("the account is paused")
    };
    assert!(retry_after.is_some_and(|wait| wait > 29 * SECOND));
    one.acquire(100).await.unwrap().settle(100);
    other.acquire(100).await.unwrap().settle(100);
}
