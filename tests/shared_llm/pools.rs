//! Several keys in several processes.

use tokio::time::Instant;
use tollgate::llm::{self, Error, Limits, Reply};
use tollgate::shared::ClientBuilder;
use tollgate::shared_llm::KeyPool;
use tollgate::{Quota, TokioClock};

use crate::workers::{SECOND, client, store, told, used_of};

fn pool(store: &ClientBuilder) -> KeyPool<&'static str, TokioClock> {
    let local = llm::KeyPool::builder().clock(TokioClock::new()).build();
    let pool = KeyPool::new(local, store.clone(), "openai");
    pool.add("main", "sk-1", Limits::new().requests_per_minute(60)).unwrap();
    pool.add("spare", "sk-2", Limits::new().requests_per_minute(30)).unwrap();
    pool
}

#[tokio::test(start_paused = true)]
async fn all_keys_are_used_by_all_processes_together() {
    let store = client(&store());
    let (one, other) = (pool(&store), pool(&store));
    let mut of_key = [0, 0];
    for turn in 0..90 {
        let pool = if turn % 2 == 0 { &one } else { &other };
        let permit = pool.try_acquire(0).await.unwrap();
        of_key[usize::from(permit.id() == "spare")] += 1;
        permit.settle(0);
    }
    assert_eq!(of_key, [60, 30]);
    for pool in [&one, &other] {
        let error = pool.try_acquire(0).await.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_gets_the_first_key_that_is_free() {
    let store = client(&store());
    let (one, other) = (pool(&store), pool(&store));
    for _ in 0..90 {
        one.try_acquire(0).await.unwrap().settle(0);
    }
    tokio::time::sleep(SECOND / 5).await;
    let started = Instant::now();
    let mut waiting = Vec::new();
    let (one, other) = (std::sync::Arc::new(one), std::sync::Arc::new(other));
    for turn in 0..30_u32 {
        let pool = if turn % 2 == 0 { one.clone() } else { other.clone() };
        waiting.push(tokio::spawn(async move {
            let permit = pool.acquire(0).await.unwrap();
            permit.settle(0);
            started.elapsed()
        }));
        told().await;
    }
    let mut waited = Vec::new();
    for waiter in waiting {
        waited.push(waiter.await.unwrap());
    }
    // 1.5 permits a second, less the fifth of a second that has passed.
    let last = waited.iter().max().unwrap();
    assert!(*last >= 19 * SECOND && *last <= 22 * SECOND, "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_one_key_leaves_the_other() {
    let store = client(&store());
    let (one, other) = (pool(&store), pool(&store));
    let permit = one.acquire(0).await.unwrap();
    let paused = permit.id().to_owned();
    permit.end(&Reply::new(429).headers([("retry-after", "30")]));
    told().await;
    for _ in 0..20 {
        let permit = other.try_acquire(0).await.unwrap();
        assert_ne!(permit.id(), paused);
        permit.settle(0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_rests_everywhere() {
    let store = client(&store());
    let (one, other) = (pool(&store), pool(&store));
    let permit = one.acquire(0).await.unwrap();
    let refused = permit.id().to_owned();
    permit.unauthorized();
    told().await;
    for pool in [&one, &other] {
        for _ in 0..10 {
            let permit = pool.try_acquire(0).await.unwrap();
            assert_ne!(permit.id(), refused);
            permit.settle(0);
        }
    }
    assert!(one.restore(&refused) && other.restore(&refused));
    told().await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        let permit = other.try_acquire(0).await.unwrap();
        ids.push(permit.id().to_owned());
        permit.settle(0);
    }
    assert!(ids.contains(&refused));
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_account_share_it_and_not_their_refusal() {
    let memory = store();
    let store = client(&memory);
    let pool = || {
        let local = llm::KeyPool::builder().clock(TokioClock::new()).build();
        let pool = KeyPool::new(local, store.clone(), "team");
        pool.add("a", "sk-1", Limits::new().requests_per_day(100)).unwrap();
        pool.add_sharing("a", "b", "sk-2").unwrap();
        pool
    };
    let (one, other) = (pool(), pool());
    for _ in 0..10 {
        one.acquire(0).await.unwrap().settle(0);
        other.acquire(0).await.unwrap().settle(0);
    }
    let requests = llm::LimitKind::Requests(llm::Period::DAY);
    assert_eq!(used_of(&memory, "team/a", requests, Quota::per_day(100)), 20);
    one.acquire(0).await.unwrap().unauthorized();
    told().await;
    one.acquire(0).await.unwrap().settle(0);
    other.acquire(0).await.unwrap().settle(0);
}

#[tokio::test(start_paused = true)]
async fn a_call_tries_another_key() {
    let store = client(&store());
    let pool = pool(&store);
    let mut tried = Vec::new();
    let send = |key: llm::PoolKey<&'static str>| {
        tried.push(key.id().to_owned());
        let status = if tried.len() == 1 { 401 } else { 200 };
        async move { Ok::<u16, std::io::Error>(status) }
    };
    let status = pool.call(10, 3, send, |status| Reply::new(*status).spent(5)).await.unwrap();
    assert_eq!(status, 200);
    assert!(tried.len() == 2 && tried[0] != tried[1], "{tried:?}");
}

#[tokio::test(start_paused = true)]
async fn keys_come_and_go() {
    let store = client(&store());
    let pool = pool(&store);
    assert!(pool.add("main", "sk-9", Limits::new()).is_err());
    assert!(pool.add_sharing("nobody", "new", "sk-9").is_err());
    assert!(pool.remove("main") && pool.remove("spare") && !pool.remove("spare"));
    let error = pool.try_acquire(0).await.unwrap_err();
    assert_eq!(error, Error::NoKeys);
    pool.add("main", "sk-3", Limits::new()).unwrap();
    assert_eq!(*pool.acquire(0).await.unwrap().secret(), "sk-3");
    pool.close();
    assert!(pool.acquire(0).await.is_err());
}
