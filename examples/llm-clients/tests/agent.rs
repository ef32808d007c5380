//! What the agent promises: who has which limit, what a refused caller gets, and what is told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::{StreamExt as _, stream};
use tokio::time::Instant;
use tollgate::{ManualClock, TokioClock, WaitError};
use tollgate_llm_clients::agent::{
    Agent, AgentBuilder, AskError, Context, Kind, Model, PacedModel, Pieces, Refusal,
};

const SECOND: Duration = Duration::from_secs(1);

/// Two full answers at once, and one a second.
fn builder() -> AgentBuilder {
    Agent::builder().rate_limit_per_minute(60, 2)
}

fn instant_model() -> PacedModel {
    PacedModel::new(Duration::ZERO)
}

fn refusal(error: AskError) -> Refusal {
    match error {
        AskError::Refused(refusal) => refusal,
        AskError::Model(error) => panic!("the model has failed: {error}"),
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_caller_gets_what_the_limit_says_and_no_other_is_concerned() {
    let clock = ManualClock::new();
    let agent = builder().clock(clock.clone()).build(instant_model()).unwrap();
    let (alice, bob) = (Context::of_user("alice"), Context::of_user("bob"));
    for remaining in [1, 0] {
        let answer = agent.ask(&alice, "Why?").await.unwrap();
        assert_eq!(answer.metadata.kind, Kind::Full);
        assert_eq!(answer.metadata.rate_limit.remaining, remaining);
        assert_eq!(answer.metadata.rate_limit.limit, 2);
    }
    let refusal = refusal(agent.ask(&alice, "Why?").await.unwrap_err());
    assert_eq!(refusal.retry_after(), Some(SECOND));
    assert_eq!(refusal.stats.remaining, 0);
    assert_eq!(refusal.stats.reset_after, 2 * SECOND);
    assert_eq!(agent.ask(&bob, "Why?").await.unwrap().metadata.rate_limit.remaining, 1);
    clock.advance(SECOND);
    assert_eq!(agent.ask(&alice, "Why?").await.unwrap().metadata.kind, Kind::Full);
}

#[tokio::test]
async fn a_refused_caller_gets_a_cached_answer_then_a_short_one_then_none() {
    let clock = ManualClock::new();
    let agent = builder()
        .cache(10, 60 * SECOND)
        .short_answers_per_minute(1, 1)
        .short_answer_words(3)
        .clock(clock.clone())
        .build(instant_model())
        .unwrap();
    let alice = Context::of_user("alice");
    let first = agent.ask(&alice, "Why?").await.unwrap();
    agent.ask(&alice, "Why not?").await.unwrap();
    clock.advance(SECOND / 2);

    let cached = agent.ask(&alice, "why?").await.unwrap();
    assert_eq!(cached.metadata.kind, Kind::Cached { age: SECOND / 2 });
    assert_eq!(cached.text, first.text);
    let short = agent.ask(&alice, "What else?").await.unwrap();
    assert_eq!((short.metadata.kind, short.text.split_whitespace().count()), (Kind::Short, 3));
    // Neither a short answer is kept, nor is there another one.
    assert_eq!(
        refusal(agent.ask(&alice, "What else?").await.unwrap_err()).retry_after(),
        Some(SECOND / 2)
    );
    // Somebody else's answer is not given away, whatever was asked.
    let bob = Context::of_user("bob");
    for _ in 0..2 {
        agent.ask(&bob, "Where?").await.unwrap();
    }
    assert_eq!(agent.ask(&bob, "Why?").await.unwrap().metadata.kind, Kind::Short);

    let statistics = agent.statistics();
    assert_eq!((statistics.full, statistics.cached, statistics.short), (4, 1, 2));
    assert_eq!((statistics.refused, statistics.keys), (1, 2));
    assert_eq!(statistics.most_refused, [("user:alice".to_owned(), 3), ("user:bob".to_owned(), 1)]);
}

#[tokio::test]
async fn a_cached_answer_grows_too_old() {
    let clock = ManualClock::new();
    let agent = Agent::builder().rate_limit_per_minute(1, 1).cache(10, 10 * SECOND);
    let agent = agent.clock(clock.clone()).build(instant_model()).unwrap();
    let alice = Context::of_user("alice");
    agent.ask(&alice, "Why?").await.unwrap();
    clock.advance(10 * SECOND);
    assert!(agent.ask(&alice, "Why?").await.is_ok());
    clock.advance(SECOND);
    assert!(agent.ask(&alice, "Why?").await.is_err());
}

#[tokio::test]
async fn who_is_blocked_gets_no_lesser_answer() {
    let agent = builder().cache(10, SECOND).short_answers_per_minute(9, 9);
    let agent = agent.clock(ManualClock::new()).build(instant_model()).unwrap();
    let mallory = Context::of_user("mallory");
    agent.ask(&mallory, "Why?").await.unwrap();
    agent.rate_limit().limiter().block("user:mallory").unwrap();
    let refusal = refusal(agent.ask(&mallory, "Why?").await.unwrap_err());
    assert_eq!((refusal.reason, refusal.retry_after()), (WaitError::Blocked, None));
}

#[tokio::test]
async fn made_up_names_do_not_fill_the_memory() {
    let agent = builder().max_keys(2).clock(ManualClock::new()).build(instant_model()).unwrap();
    let mut served = 0;
    for number in 0..100 {
        let made_up = Context::of_user(format!("user {number}"));
        served += usize::from(agent.ask(&made_up, "Why?").await.is_ok());
    }
    assert_eq!((served, agent.statistics().keys), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_patient_caller_waits_exactly_as_long_as_needed() {
    let agent = builder().short_answers_per_minute(9, 9).clock(TokioClock::new());
    let agent = agent.build(instant_model()).unwrap();
    let alice = Context::of_user("alice").with_patience(SECOND);
    let start = Instant::now();
    for (kind, waited) in [
        (Kind::Full, Duration::ZERO),
        (Kind::Full, Duration::ZERO),
        (Kind::Full, SECOND),
        (Kind::Full, SECOND),
    ] {
        let metadata = agent.ask(&alice, "Why?").await.unwrap().metadata;
        assert_eq!((metadata.kind, metadata.waited), (kind, waited));
    }
    assert_eq!(start.elapsed(), 2 * SECOND);
    assert_eq!(agent.statistics().waited, 2 * SECOND);
    // A wait that would be too long is none: the lesser answer comes at once.
    let impatient = Context::of_user("alice").with_patience(SECOND / 2);
    let metadata = agent.ask(&impatient, "Why?").await.unwrap().metadata;
    assert_eq!((metadata.kind, metadata.waited), (Kind::Short, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_not_overtaken() {
    let agent = Arc::new(builder().clock(TokioClock::new()).build(instant_model()).unwrap());
    let alice = Context::of_user("alice");
    for _ in 0..2 {
        agent.ask(&alice, "Why?").await.unwrap();
    }
    let waiter = tokio::spawn({
        let (agent, patient) = (Arc::clone(&agent), alice.clone().with_patience(5 * SECOND));
        async move { agent.ask(&patient, "Why?").await.unwrap().metadata.waited }
    });
    while agent.rate_limit().limiter().usage("user:alice").waiting == 0 {
        tokio::task::yield_now().await;
    }
    let refusal = refusal(agent.ask(&alice, "Why?").await.unwrap_err());
    assert_eq!(refusal.retry_after(), Some(2 * SECOND));
    assert_eq!(waiter.await.unwrap(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_reserved_answer_comes_at_its_time_and_a_cancelled_one_makes_room() {
    let agent = builder().clock(TokioClock::new()).build(instant_model()).unwrap();
    let alice = Context::of_user("alice");
    let key = agent.key_of(&alice);
    let reserve = || agent.rate_limit().reserve(&key).unwrap();
    let reserved = [reserve(), reserve(), reserve(), reserve()];
    let delays = reserved.each_ref().map(|reservation| reservation.delay().unwrap());
    assert_eq!(delays, [Duration::ZERO, Duration::ZERO, SECOND, 2 * SECOND]);
    let [first, second, third, fourth] = reserved;
    second.cancel();
    assert_eq!(fourth.delay(), Some(SECOND));
    let start = Instant::now();
    for (reservation, at) in [(first, Duration::ZERO), (third, Duration::ZERO), (fourth, SECOND)] {
        let answer = agent.ask_reserved(reservation, &alice, "Why?").await.unwrap();
        assert_eq!(start.elapsed(), at);
        assert_eq!(answer.metadata.kind, Kind::Full);
    }
    assert_eq!(agent.rate_limit().stats(&key).remaining, 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_gives_up_takes_nothing() {
    let agent = builder().clock(TokioClock::new()).build(instant_model()).unwrap();
    let alice = Context::of_user("alice").with_patience(60 * SECOND);
    for _ in 0..2 {
        agent.ask(&alice, "Why?").await.unwrap();
    }
    let ask = agent.ask(&alice, "Why?");
    assert!(tokio::time::timeout(SECOND / 2, ask).await.is_err());
    assert_eq!(agent.rate_limit().stats("user:alice").reset_after, 3 * SECOND / 2);
}

/// A model that counts how often it was asked, and breaks off after two pieces.
struct Broken(Arc<AtomicUsize>);

impl Model for Broken {
    fn answer(&self, _prompt: &str, _most_words: usize) -> Pieces {
        self.0.fetch_add(1, Ordering::Relaxed);
        let pieces = [Ok("It is ".to_owned()), Err("out of memory".into()), Ok("red".to_owned())];
        Box::pin(stream::iter(pieces))
    }
}

#[tokio::test]
async fn a_model_that_fails_ends_the_stream_and_nothing_is_kept() {
    let asked = Arc::new(AtomicUsize::new(0));
    let agent = Agent::builder().rate_limit_per_minute(1, 1).cache(10, SECOND);
    let agent = agent.clock(ManualClock::new()).build(Broken(Arc::clone(&asked))).unwrap();
    let alice = Context::of_user("alice");
    let mut answer = agent.stream(&alice, "Why?").await.unwrap();
    assert_eq!(answer.next().await.unwrap().unwrap(), "It is ");
    assert_eq!(answer.next().await.unwrap().unwrap_err().to_string(), "out of memory");
    assert!(answer.next().await.is_none() && answer.next().await.is_none());
    // The request counts, and half an answer is not given to anybody.
    assert!(agent.ask(&alice, "Why?").await.is_err());
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let statistics = agent.statistics();
    assert_eq!((statistics.full, statistics.failed, statistics.refused), (1, 1, 1));
}

#[tokio::test]
async fn a_stream_that_is_not_read_to_its_end_is_not_kept() {
    let agent = Agent::builder().rate_limit_per_minute(1, 1).cache(10, SECOND);
    let agent = agent.clock(ManualClock::new()).build(instant_model()).unwrap();
    let alice = Context::of_user("alice");
    let mut answer = agent.stream(&alice, "Why?").await.unwrap();
    assert!(answer.next().await.unwrap().is_ok());
    drop(answer);
    assert!(agent.ask(&alice, "Why?").await.is_err());
}

#[tokio::test]
async fn without_settings_nothing_is_limited_and_the_metadata_says_so() {
    let agent = Agent::builder().build(instant_model()).unwrap();
    let mut last = None;
    for _ in 0..1_000 {
        last = Some(agent.ask(&Context::anonymous(), "Why?").await.unwrap());
    }
    let json = last.unwrap().metadata.to_json();
    assert_eq!(json, serde_json::json!({"kind": "full", "waited": 0.0, "rate_limit": null}));
}
