//! Limiters of several processes over one store, and what the store says of their account.

use std::time::Duration;

use tollgate::llm::{self, LimitKind, LimiterBuilder};
use tollgate::shared::store::{
    Charge, LimitSpec, Memory, MemoryBuckets, Namespace, Rule, SubjectAsk, Verb,
};
use tollgate::shared::{Client, ClientBuilder};
use tollgate::shared_llm::Limiter;
use tollgate::{Quota, TokioClock};

pub(crate) const ACCOUNT: &str = "openai/gpt";
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn store() -> Memory<TokioClock> {
    Memory::builder().clock(TokioClock::new()).build()
}

pub(crate) fn client(store: &Memory<TokioClock>) -> ClientBuilder {
    Client::builder(store.clone())
}

pub(crate) fn builder() -> LimiterBuilder<TokioClock> {
    llm::Limiter::builder().clock(TokioClock::new())
}

/// The limiter of one process.
pub(crate) fn worker(
    local: LimiterBuilder<TokioClock>,
    store: &ClientBuilder,
) -> Limiter<TokioClock> {
    Limiter::new(local.build().unwrap(), store, ACCOUNT).unwrap()
}

/// Lets the tasks run that tell the store something.
pub(crate) async fn told() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// What is in use of a limit of the account, as the store knows it.
pub(crate) fn used(store: &Memory<TokioClock>, kind: LimitKind, quota: Quota) -> u64 {
    used_of(store, ACCOUNT, kind, quota)
}

pub(crate) fn used_of(
    store: &Memory<TokioClock>,
    account: &str,
    kind: LimitKind,
    quota: Quota,
) -> u64 {
    let (counted, period) = kind.metered().unwrap();
    let name = format!("{counted}/{}s", period.as_secs());
    let limit = LimitSpec::new(name.as_str(), Rule::TokenBucket, quota);
    let buckets: MemoryBuckets<TokioClock> =
        store.buckets(&[Namespace::new(format!("llm/{name}"), vec![limit])]).unwrap();
    let charges = [Charge::new(1)];
    let look = SubjectAsk::new(Verb::Look, 0, account, &charges);
    buckets.ask_one(look).unwrap().levels[0].used
}
