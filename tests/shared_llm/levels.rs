//! What all processes together may send.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tollgate::llm::Burst;

use crate::workers::{SECOND, builder, client, store, worker};

/// When requests were sent, and their tokens: estimated, and used.
type Sent = Arc<Mutex<Vec<(Instant, u64, u64)>>>;

/// Four processes that send as much as they may for some minutes. Returns what they have sent.
async fn send_for(minutes: u32, burst: Burst) -> Vec<(Instant, u64, u64)> {
    let (store, sent) = (client(&store()), Sent::default());
    let started = Instant::now();
    let mut tasks = Vec::new();
    for process in 0..4_u64 {
        let limits = builder().requests_per_minute(60).tokens_per_minute(12_000).burst(burst);
        let model = worker(limits, &store);
        for task in 0..12_u64 {
            let (model, sent) = (model.clone(), Arc::clone(&sent));
            tasks.push(tokio::spawn(async move {
                let mut size = 50 + 37 * (process + 3 * task) % 200;
                loop {
                    let permit = model.acquire(size).await.unwrap();
                    if started.elapsed() > SECOND * 60 * minutes {
                        return permit.cancel();
                    }
                    sent.lock().unwrap().push((Instant::now(), size, size / 2));
                    tokio::time::sleep(Duration::from_millis(700 + 10 * size)).await;
                    permit.settle(size / 2);
                    size = 50 + (size * 31 + 7) % 200;
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    Arc::into_inner(sent).unwrap().into_inner().unwrap()
}

/// The most that was sent in any window of this length.
fn most(sent: &[(Instant, u64, u64)], window: Duration, of: impl Fn(u64, u64) -> u64) -> u64 {
    let from = |at: usize| {
        let inside = sent[at..].iter().take_while(|other| other.0 - sent[at].0 < window);
        inside.map(|(_, estimate, used)| of(*estimate, *used)).sum()
    };
    (0..sent.len()).map(from).max().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn all_processes_together_keep_the_limits_and_use_them() {
    let minutes = 10;
    let sent = send_for(minutes, Burst::Full).await;
    for secs in [1, 10, 60, 300] {
        let window = SECOND * secs;
        let requests = most(&sent, window, |_, _| 1);
        assert!(requests <= 60 + u64::from(secs) + 1, "{requests} requests in {window:?}");
        let tokens = most(&sent, window, |_, used| used);
        let limit = 12_000 + 200 * u64::from(secs) + 200;
        assert!(tokens <= limit, "{tokens} tokens in {window:?}");
    }
    // The requests are the limit here: a minute's worth at once, and one a second.
    let all = 60 + 60 * u64::from(minutes);
    let requests = sent.len() as u64;
    assert!(requests >= all - all / 100, "{requests} of {all}");
}

#[tokio::test(start_paused = true)]
async fn a_strict_limit_is_kept_in_every_window() {
    let minutes = 10;
    let sent = send_for(minutes, Burst::Strict).await;
    let requests = most(&sent, SECOND * 60, |_, _| 1);
    assert!(requests <= 60, "{requests} in a minute");
    let all = 60 * u64::from(minutes);
    let requests = sent.len() as u64;
    assert!(requests >= all - all / 20, "{requests} of {all}");
}

#[tokio::test(start_paused = true)]
async fn tokens_are_limited_together_and_what_is_not_used_is_used_by_others() {
    let store = client(&store());
    let limits = || builder().requests_per_minute(10_000).tokens_per_minute(6_000);
    let (one, other) = (worker(limits(), &store), worker(limits(), &store));
    let large = one.acquire(6_000).await.unwrap();
    let refused = other.try_acquire(1_000).await.unwrap_err();
    assert!(refused.retry_after().is_some_and(|wait| wait > 9 * SECOND), "{refused}");
    large.settle(1_000);
    crate::workers::told().await;
    for _ in 0..5 {
        other.try_acquire(1_000).await.unwrap().settle(1_000);
    }
    assert!(one.try_acquire(1_000).await.is_err());
}
