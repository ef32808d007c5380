//! Requests in flight, and slots that expire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tollgate::Quota;
use tollgate::shared::store::{Charge, LimitSpec, Namespace, Rule, SubjectAsk, Verb};
use tollgate::shared::{Client, Slots};

use crate::unruly_store::{Manner, Unruly};
use crate::workers::{SECOND, builder, client, store, told, worker};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn no_more_requests_than_slots_are_in_flight() {
    let store = client(&store());
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let mut tasks = Vec::new();
    for process in 0..3_u64 {
        let model = worker(builder().max_concurrent(4), &store);
        for task in 0..5 {
            let (model, now, most) = (model.clone(), Arc::clone(&now), Arc::clone(&most));
            tasks.push(tokio::spawn(async move {
                for turn in 0..2 {
                    let permit = model.acquire(10).await.unwrap();
                    most.fetch_max(1 + now.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                    // Some take longer than a slot lives.
                    let secs = 1 + (process * 31 + task * 17 + turn * 7) % 100;
                    tokio::time::sleep(SECOND * u32::try_from(secs).unwrap()).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    permit.settle(10);
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_held_for_as_long_as_needed() {
    let slots = Slots::new(client(&store()), "jobs", 2, MINUTE).unwrap();
    let (one, two) = (slots.acquire().await.unwrap(), slots.acquire().await.unwrap());
    for _ in 0..1_000 {
        tokio::time::sleep(SECOND).await;
        assert!(slots.try_acquire().await.unwrap().is_none());
    }
    drop(one);
    told().await;
    let three = slots.try_acquire().await.unwrap();
    assert!(three.is_some() && slots.try_acquire().await.unwrap().is_none());
    drop((two, three));
}

/// What a process that has died had taken: nobody renews it or hands it back.
#[tokio::test(start_paused = true)]
async fn the_slot_of_a_dead_process_expires() {
    let memory = store();
    let slots = Slots::new(client(&memory), "jobs", 1, MINUTE).unwrap();
    let limit = LimitSpec::new("slots", Rule::StrictWindow, Quota::per_minute(1));
    let dead = memory.buckets(&[Namespace::new("slots", vec![limit])]).unwrap();
    dead.ask_one(SubjectAsk::new(Verb::Take, 1, "jobs", &[Charge::new(1)])).unwrap();
    let started = Instant::now();
    let slot = slots.acquire().await.unwrap();
    let waited = started.elapsed();
    assert!(waited >= MINUTE && waited < MINUTE + 2 * SECOND, "{waited:?}");
    drop(slot);
}

#[tokio::test(start_paused = true)]
async fn a_slot_outlives_a_short_outage() {
    let store = Unruly::new();
    let slots = Slots::new(Client::builder(store.clone()), "jobs", 1, MINUTE).unwrap();
    let slot = slots.acquire().await.unwrap();
    tokio::time::sleep(25 * SECOND).await;
    store.set(Manner::Stopped);
    assert!(slots.try_acquire().await.is_err());
    tokio::time::sleep(10 * SECOND).await;
    store.set(Manner::Answers(Duration::ZERO));
    for _ in 0..100 {
        tokio::time::sleep(SECOND).await;
        assert!(slots.try_acquire().await.unwrap().is_none());
    }
    drop(slot);
    told().await;
    assert!(slots.try_acquire().await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_holds_no_slot() {
    let slots = Slots::new(client(&store()), "jobs", 1, MINUTE).unwrap();
    let slot = slots.acquire().await.unwrap();
    let waiting = tokio::time::timeout(10 * SECOND, slots.acquire()).await;
    assert!(waiting.is_err());
    drop(slot);
    told().await;
    assert!(slots.try_acquire().await.unwrap().is_some());
    assert!(Slots::new(client(&store()), "jobs", 0, MINUTE).is_err());
}
