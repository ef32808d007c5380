//! What the headers of one process's responses mean for the others.

use tollgate::Quota;
use tollgate::llm::{LimitKind, Limits, Period, Reply};

use crate::workers::{SECOND, builder, client, store, told, used, worker};

const TOKENS: LimitKind = LimitKind::Tokens(Period::MINUTE);

#[tokio::test(start_paused = true)]
async fn what_a_server_says_is_left_holds_for_all() {
    let memory = store();
    let limits = || builder().tokens_per_minute(10_000);
    let (one, other) = (worker(limits(), &client(&memory)), worker(limits(), &client(&memory)));
    // Somebody else uses the account.
    let permit = one.acquire(100).await.unwrap();
    let headers = [("x-ratelimit-limit-tokens", "10000"), ("x-ratelimit-remaining-tokens", "3000")];
    permit.end(&Reply::new(200).headers(headers).spent(100));
    told().await;
    let known = used(&memory, TOKENS, Quota::per_minute(10_000));
    assert_eq!(known, one.local().usage().of(TOKENS).unwrap().used);
    assert!(known >= 7_000, "{known}");
    let refused = other.try_acquire(4_000).await.unwrap_err();
    assert!(refused.retry_after().is_some_and(|wait| wait >= 5 * SECOND), "{refused}");
    // The other process hears the same, which is counted once.
    let permit = other.acquire(100).await.unwrap();
    permit.end(&Reply::new(200).headers(headers).spent(100));
    told().await;
    assert!(used(&memory, TOKENS, Quota::per_minute(10_000)) <= known + 200);
}

#[tokio::test(start_paused = true)]
async fn learned_limits_are_shared_once_both_have_learned_them() {
    let memory = store();
    let (one, other) = (worker(builder(), &client(&memory)), worker(builder(), &client(&memory)));
    let headers = |left: &'static str| {
        [("x-ratelimit-limit-tokens", "10000"), ("x-ratelimit-remaining-tokens", left)]
    };
    let first = one.acquire(1_000).await.unwrap();
    first.end(&Reply::new(200).headers(headers("9000")).spent(1_000));
    let second = other.acquire(1_000).await.unwrap();
    second.end(&Reply::new(200).headers(headers("8000")).spent(1_000));
    told().await;
    // From now on, each sees what the other takes.
    let held = one.try_acquire(5_000).await.unwrap();
    let refused = other.try_acquire(5_000).await.unwrap_err();
    assert!(refused.retry_after().is_some(), "{refused}");
    held.cancel();
    told().await;
    other.try_acquire(5_000).await.unwrap().cancel();
}

#[tokio::test(start_paused = true)]
async fn a_lowered_limit_carries_the_used_share_over() {
    let memory = store();
    let limits = || builder().tokens_per_minute(10_000);
    let (one, other) = (worker(limits(), &client(&memory)), worker(limits(), &client(&memory)));
    one.acquire(5_000).await.unwrap().settle(5_000);
    one.set_limits(Limits::new().tokens_per_minute(1_000)).unwrap();
    told().await;
    assert!(one.try_acquire(600).await.is_err());
    // The other process still counts under its own quota, of which the same share is used.
    assert!(other.try_acquire(6_000).await.is_err());
    other.try_acquire(4_000).await.unwrap().cancel();
}
