//! How requests end: the store counts what the process itself counts.

use tollgate::llm::{LimitKind, OnDrop, Period, Reply, Tokens};
use tollgate::shared::store::Memory;
use tollgate::shared_llm::{Limiter, Permit};
use tollgate::{Quota, TokioClock};

use crate::workers::{builder, client, store, told, used, worker};

const KINDS: [(LimitKind, u64); 4] = [
    (LimitKind::Requests(Period::DAY), 1_000),
    (LimitKind::Tokens(Period::DAY), 100_000),
    (LimitKind::InputTokens(Period::DAY), 60_000),
    (LimitKind::OutputTokens(Period::DAY), 50_000),
];

/// A process with limits of all kinds.
fn process(store: &Memory<TokioClock>, on_drop: OnDrop) -> Limiter<TokioClock> {
    let limits = KINDS.iter().fold(builder(), |it, (kind, count)| it.limit(*kind, *count));
    worker(limits.on_drop(on_drop), &client(store))
}

/// Asserts that the store has the same in use as the limiter of the process, which has so many
/// requests in use.
async fn assert_same(store: &Memory<TokioClock>, model: &Limiter<TokioClock>, requests: u64) {
    told().await;
    let usage = model.local().usage();
    for (kind, count) in KINDS {
        let local = usage.of(kind).unwrap().used;
        assert_eq!(used(store, kind, Quota::per_day(count)), local, "{kind}");
        if kind == LimitKind::Requests(Period::DAY) {
            assert_eq!(local, requests);
        }
    }
}

type End = fn(Permit<TokioClock>);

#[tokio::test(start_paused = true)]
async fn every_end_counts_the_same_in_the_store() {
    let ends: [(&str, u64, End); 14] = [
        ("settled with less", 1, |it| it.settle(Tokens::new(700, 20))),
        ("settled with more", 1, |it| it.settle(Tokens::new(1_100, 900))),
        ("settled with more and less", 1, |it| it.settle(Tokens::new(1_100, 20))),
        ("settled exactly", 1, |it| it.settle(Tokens::new(1_000, 500))),
        ("cancelled", 0, Permit::cancel),
        ("dropped", 1, drop),
        ("answered", 1, |it| it.end(&Reply::new(200).spent(Tokens::new(900, 100)))),
        ("answered without usage", 1, |it| it.end(&Reply::new(200))),
        ("limited", 1, |it| it.end(&Reply::new(429).headers([("retry-after", "1")]))),
        ("limited, by its own method", 1, |it| it.limited([("retry-after", "1")])),
        ("overloaded, and some was used", 1, |it| it.end(&Reply::new(529).spent(300))),
        ("failed", 1, |it| it.end(&Reply::new(500))),
        ("refused key", 0, |it| it.end(&Reply::new(401))),
        ("refused request", 1, |it| it.end(&Reply::new(400))),
    ];
    for (name, requests, end) in ends {
        let store = store();
        let model = process(&store, OnDrop::Keep);
        let permit = model.acquire(Tokens::new(1_000, 500)).await.unwrap();
        assert_same(&store, &model, 1).await;
        end(permit);
        println!("{name}");
        assert_same(&store, &model, requests).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_dropped_can_give_everything_back() {
    let store = store();
    let model = process(&store, OnDrop::Refund);
    for reply in [None, Some(Reply::new(200)), Some(Reply::new(500))] {
        let permit = model.acquire(Tokens::new(1_000, 500)).await.unwrap();
        match reply {
            Some(reply) => permit.end(&reply),
            None => drop(permit),
        }
        assert_same(&store, &model, 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_estimate_that_was_lowered_is_taken_as_lowered() {
    let store = store();
    let limits = builder().tokens_per_day(1_000).clamp_estimates();
    let model = worker(limits, &client(&store));
    let permit = model.acquire(5_000).await.unwrap();
    assert_eq!((permit.asked(), permit.estimate()), (5_000.into(), 1_000.into()));
    let tokens = LimitKind::Tokens(Period::DAY);
    assert_eq!(used(&store, tokens, Quota::per_day(1_000)), 1_000);
    permit.settle(400);
    told().await;
    assert_eq!(used(&store, tokens, Quota::per_day(1_000)), 400);
}
