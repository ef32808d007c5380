//! Pauses that one process is told of hold for all.

use tokio::time::Instant;
use tollgate::llm::{Error, LimitKind, Reply};

use crate::workers::{SECOND, builder, client, store, told, worker};

fn wait(secs: &'static str) -> Reply {
    Reply::new(429).headers([("retry-after", secs)])
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_one_process_is_a_pause_of_all() {
    let store = client(&store());
    let limits = || builder().requests_per_minute(600);
    let workers = [worker(limits(), &store), worker(limits(), &store), worker(limits(), &store)];
    let started = Instant::now();
    workers[0].acquire(10).await.unwrap().end(&wait("20"));
    told().await;
    for other in &workers[1..] {
        let Error::Denied { limit, retry_after } = other.try_acquire(10).await.unwrap_err() else {
            panic!("the account is paused")
        };
        assert_eq!(limit, LimitKind::ServerWait);
        assert!(retry_after.is_some_and(|wait| wait > 19 * SECOND));
    }
    // Who waits goes on when the pause ends, and passing it on has not made it longer.
    for worker in &workers {
        worker.acquire(10).await.unwrap().settle(10);
    }
    let paused = started.elapsed();
    assert!(paused >= 20 * SECOND && paused < 21 * SECOND, "{paused:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_long_pause() {
    let store = client(&store());
    let (one, other) = (worker(builder(), &store), worker(builder(), &store));
    one.acquire(10).await.unwrap().end(&wait("3600"));
    told().await;
    let error = other.acquire(10).await.unwrap_err();
    assert!(matches!(error, Error::ServerWait { .. }), "{error}");
    one.resume();
    other.local().resume();
    told().await;
    other.acquire(10).await.unwrap().settle(10);
}

/// A request that has taken permits for later when the pause begins is not sent during the pause.
#[tokio::test(start_paused = true)]
async fn who_waits_for_permits_hears_of_a_pause() {
    let store = client(&store());
    let limits = || builder().requests_per_minute(60).tokens_per_minute(600);
    let (one, other) = (worker(limits(), &store), worker(limits(), &store));
    let first = one.acquire(600).await.unwrap();
    let started = Instant::now();
    let waiting = tokio::spawn(async move {
        let permit = other.acquire(100).await.unwrap();
        let at = started.elapsed();
        permit.settle(100);
        at
    });
    told().await;
    tokio::time::sleep(SECOND).await;
    first.end(&wait("60").spent(600));
    let sent_after = waiting.await.unwrap();
    assert!(sent_after >= 61 * SECOND, "{sent_after:?}");
    assert!(sent_after < 75 * SECOND, "{sent_after:?}");
}
