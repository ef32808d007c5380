//! Asks over several subjects, to a store that can charge only one of them in a call.

use std::pin::pin;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;
use tollgate::Quota;
use tollgate::shared::store::{
    Answer, Ask, Charge, LimitSpec, Namespace, Outcome, Part, Rule, Verb, Verdict,
};
use tollgate::shared::{AskError, Client, ClientBuilder, Outage, Source};

use crate::divided_store::Divided;
use crate::unruly_store::{Manner, Unruly};

const MILLI: Duration = Duration::from_millis(1);

/// Ten permits, of which nearly none comes back within a test.
fn ten_a_day() -> Vec<Namespace> {
    vec![Namespace::new("users", vec![LimitSpec::new("n", Rule::TokenBucket, Quota::per_day(10))])]
}

fn builder(store: &Divided) -> ClientBuilder {
    Client::builder(store.clone()).deadline(50 * MILLI)
}

fn client(store: &Divided) -> Client {
    builder(store).open(&ten_a_day()).unwrap()
}

fn part(subject: &str, cost: u64) -> Part {
    Part::new(0, subject, [Charge::new(cost)])
}

fn shadow(subject: &str, cost: u64) -> Part {
    let mut part = part(subject, cost);
    part.shadow = true;
    part
}

fn take(parts: impl IntoIterator<Item = Part>) -> Ask {
    Ask::over(Verb::Take, 1, parts)
}

/// A permit of each of three servers.
fn one_of_each() -> Ask {
    take(["alice", "bob", "carol"].map(|subject| part(subject, 1)))
}

async fn ask(client: &Client, ask: Ask) -> Answer {
    client.ask(ask).await.unwrap().answer
}

/// The permits in use of a subject.
async fn used(client: &Client, subject: &str) -> u64 {
    ask(client, Ask::new(Verb::Look, 0, part(subject, 1))).await.levels[0].used
}

async fn used_of_each(client: &Client) -> [u64; 3] {
    [used(client, "alice").await, used(client, "bob").await, used(client, "carol").await]
}

fn verdicts(answer: &Answer) -> Vec<Verdict> {
    answer.levels.iter().map(|level| level.verdict).collect()
}

fn remaining(answer: &Answer) -> Vec<u64> {
    answer.levels.iter().map(|level| level.remaining).collect()
}

fn is_done(answer: &Answer) -> bool {
    matches!(answer.outcome, Outcome::Done { .. })
}

#[tokio::test(start_paused = true)]
async fn all_are_charged_or_none_whichever_refuses() {
    for (at, subject) in ["alice", "bob", "carol"].iter().enumerate() {
        let store = Divided::new();
        let client = client(&store);
        assert_eq!(remaining(&ask(&client, one_of_each()).await), [9, 9, 9]);
        ask(&client, take([part(subject, 9)])).await;
        store.calls();
        let decision = client.ask(one_of_each()).await.unwrap();
        assert_eq!(decision.source, Source::Shared);
        let answer = decision.answer;
        assert_eq!((answer.outcome, answer.count), (Outcome::Refused, 0), "{subject}");
        let refuses: Vec<_> =
            verdicts(&answer).iter().map(|verdict| *verdict == Verdict::Refused).collect();
        assert_eq!(refuses, [0, 1, 2].map(|other| other == at), "{subject}");
        assert_eq!(remaining(&answer), [0, 1, 2].map(|other| if other == at { 0 } else { 9 }));
        // One call for each subject, and one for each that is given back. These are tasks.
        tokio::time::sleep(MILLI).await;
        let calls = store.calls().map(|calls| calls.iter().sum::<usize>());
        assert_eq!(calls, [0, 1, 2].map(|other| 1 + usize::from(other < at)), "{subject}");
        let used = used_of_each(&client).await;
        assert_eq!(used, [0, 1, 2].map(|other| if other == at { 10 } else { 1 }), "{subject}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subject_that_is_known_to_be_refused_lets_nobody_be_charged() {
    let store = Divided::new();
    let client = client(&store);
    ask(&client, take([part("carol", 10)])).await;
    assert_eq!(ask(&client, take([part("carol", 1)])).await.outcome, Outcome::Refused);
    store.calls();
    let decision = client.ask(one_of_each()).await.unwrap();
    assert_eq!((decision.answer.outcome, decision.source), (Outcome::Refused, Source::Cached));
    assert_eq!(remaining(&decision.answer), [10, 10, 0]);
    tokio::time::sleep(MILLI).await;
    assert_eq!(store.calls(), [vec![1], vec![1], vec![]]);
    let stats = client.stats();
    assert_eq!((stats.cached, stats.shared), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn shadows_take_last_and_refuse_nobody() {
    let store = Divided::new();
    let client = client(&store);
    let parts = || [shadow("alice", 4), part("bob", 1), shadow("carol", 1)];
    for left in [6, 2] {
        assert_eq!(ask(&client, take(parts())).await.levels[0].remaining, left);
    }
    let answer = ask(&client, take(parts())).await;
    assert!(is_done(&answer));
    assert_eq!(verdicts(&answer), [Verdict::Refused, Verdict::Granted, Verdict::Granted]);
    assert_eq!(remaining(&answer), [2, 7, 7]);
    // If another part refuses, a shadow takes nothing.
    let mut refused = parts();
    refused[1].charges[0].cost = 8;
    let answer = ask(&client, take(refused)).await;
    assert_eq!((answer.outcome, remaining(&answer)), (Outcome::Refused, vec![2, 7, 7]));
    assert_eq!(used_of_each(&client).await, [8, 3, 3]);
}

#[tokio::test(start_paused = true)]
async fn one_subject_in_two_parts_is_charged_twice_or_not_at_all() {
    let client = client(&Divided::new());
    let twice = |one, other| take([part("alice", one), part("alice", other)]);
    assert_eq!(remaining(&ask(&client, twice(3, 4)).await), [7, 3]);
    // Each would pass by itself, but not both.
    let answer = ask(&client, twice(2, 2)).await;
    assert_eq!((answer.outcome, verdicts(&answer)[1]), (Outcome::Refused, Verdict::Refused));
    tokio::time::sleep(MILLI).await;
    assert_eq!(used(&client, "alice").await, 7);
    assert!(is_done(&ask(&client, twice(1, 2)).await));
    let back = Ask::over(Verb::Credit, 1, [part("alice", 1), part("alice", 2)]);
    assert!(is_done(&ask(&client, back).await));
    assert_eq!(used(&client, "alice").await, 7);
}

#[tokio::test(start_paused = true)]
async fn permits_are_taken_for_later_and_cancelled() {
    let store = Divided::new();
    let quota = Quota::per_second(10);
    let namespace = Namespace::new("users", vec![LimitSpec::new("n", Rule::TokenBucket, quota)]);
    let client = builder(&store).open(&[namespace]).unwrap();
    ask(&client, take([part("alice", 10)])).await;
    ask(&client, take([part("bob", 10)])).await;
    for server in &store.servers {
        server.set(Manner::Answers(10 * MILLI));
    }
    let patient = |costs: [u64; 2], patience| {
        let mut ask = take([part("alice", costs[0]), part("bob", costs[1])]);
        ask.patience = patience;
        ask
    };
    // The longest wait counts, and the time that was spent on the first part.
    let answer = ask(&client, patient([1, 2], 200 * MILLI)).await;
    assert_eq!(answer.outcome, Outcome::Done { after: 190 * MILLI });
    // Now bob's permit comes after 280 ms, 10 ms after alice is asked after 10 ms more.
    let refused = ask(&client, patient([1, 1], 279 * MILLI)).await;
    assert_eq!(verdicts(&refused), [Verdict::Granted, Verdict::Refused]);
    tokio::time::sleep(10 * MILLI).await;
    // Alice's permit is there again.
    assert!(is_done(&ask(&client, patient([1, 0], 200 * MILLI)).await));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_puts_the_whole_ask_into_the_outage_mode() {
    for (outage, source) in [(Outage::Open, Some(Source::Open)), (Outage::Closed, None)] {
        let store = Divided::new();
        let client = builder(&store).on_outage(outage).open(&ten_a_day()).unwrap();
        store.servers[0].set(Manner::Answers(5 * MILLI));
        store.servers[1].set(Manner::Stopped);
        let asked = Instant::now();
        let decision = client.ask(one_of_each()).await;
        assert!(asked.elapsed() <= 51 * MILLI, "{:?}", asked.elapsed());
        assert_eq!(decision.as_ref().ok().map(|decision| decision.source), source);
        if let Err(error) = decision {
            assert!(matches!(error, AskError::Unavailable { .. }), "{error}");
        }
        tokio::time::sleep(10 * MILLI).await;
        assert_eq!(used(&client, "alice").await, 0, "it was given back");
        assert!(client.is_in_outage());
        // From then on, nobody is charged in vain.
        store.calls();
        let decision = client.ask(one_of_each()).await;
        assert_eq!(decision.ok().map(|decision| decision.source), source);
        assert_eq!(store.calls(), [const { Vec::<usize>::new() }; 3]);
        store.servers[1].set(Manner::Answers(Duration::ZERO));
        tokio::time::sleep(200 * MILLI).await;
        assert_eq!(used_of_each(&client).await, [0, 0, 0], "nothing is charged late");
        assert!(is_done(&ask(&client, one_of_each()).await));
        assert_eq!(used_of_each(&client).await, [1, 1, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_tells_does_not_need_its_server() {
    let store = Divided::new();
    let client = client(&store);
    store.servers[2].set(Manner::Stopped);
    // A shadow,
    let decision = client.ask(take([part("alice", 1), shadow("carol", 1)])).await.unwrap();
    assert_eq!((decision.source, is_done(&decision.answer)), (Source::Shared, true));
    assert_eq!(remaining(&decision.answer), [9, 10]);
    // and whoever would be asked after a refusal.
    let decision = client.ask(take([part("bob", 11), part("carol", 1)])).await;
    assert!(matches!(decision, Err(AskError::Unavailable { .. })), "{decision:?}");
    store.servers[2].set(Manner::Answers(Duration::ZERO));
    tokio::time::sleep(200 * MILLI).await;
    store.servers[2].set(Manner::Stopped);
    let answer = ask(&client, take([part("bob", 11), part("carol", 1)])).await;
    assert_eq!((answer.outcome, remaining(&answer)), (Outcome::Refused, vec![10, 10]));
    assert_eq!(verdicts(&answer), [Verdict::Never, Verdict::Granted]);
}

#[tokio::test(start_paused = true)]
async fn what_refuses_nothing_is_done_by_each_server_that_answers() {
    let store = Divided::new();
    let client = client(&store);
    store.servers[0].set(Manner::Stopped);
    let each = |verb, count| {
        let parts = ["alice", "bob", "carol"].map(|subject| part(subject, 1));
        client.ask(Ask::over(verb, count, parts))
    };
    let asked = Instant::now();
    let consumed = each(Verb::Consume, 12).await;
    assert!(matches!(consumed, Err(AskError::Unavailable { .. })), "{consumed:?}");
    assert!(asked.elapsed() <= 51 * MILLI, "{:?}", asked.elapsed());
    assert_eq!([used(&client, "bob").await, used(&client, "carol").await], [12, 12]);
    store.servers[0].set(Manner::Answers(Duration::ZERO));
    tokio::time::sleep(200 * MILLI).await;
    // The debt counts as soon as the server is there.
    assert_eq!(used_of_each(&client).await, [12, 12, 12]);
    for (verb, count, left) in [(Verb::Credit, 5, 7), (Verb::Reset, 1, 0)] {
        let answer = each(verb, count).await.unwrap().answer;
        assert!(answer.levels.iter().all(|level| level.used == left), "{verb:?}: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_takes_nothing() {
    let client = client(&Divided::new());
    let parts = [part("alice", 1), part("bob", 1)];
    let misfit = client.ask(Ask::over(Verb::TakeUpTo, 5, parts)).await;
    assert!(matches!(misfit, Err(AskError::Misfit(_))), "{misfit:?}");
    let misfit = client.ask(take([part("alice", 1), Part::new(7, "bob", [])])).await;
    assert!(matches!(misfit, Err(AskError::Misfit(_))), "{misfit:?}");
    tokio::time::sleep(MILLI).await;
    assert_eq!(used_of_each(&client).await, [0, 0, 0]);
}

/// The subjects, costs and shadows of some parts, one for each server or less.
fn some_parts() -> impl Strategy<Value = Vec<Part>> {
    let each = prop::collection::vec((any::<bool>(), 0_u64..6, prop::bool::weighted(0.2)), 3);
    each.prop_map(|each| {
        let each = ["alice", "bob", "carol"].into_iter().zip(each);
        let there = each.filter(|(_, (is_there, ..))| *is_there);
        there
            .map(
                |(subject, (_, cost, is_shadow))| {
                    if is_shadow { shadow(subject, cost) } else { part(subject, cost) }
                },
            )
            .collect()
    })
    .prop_filter("an ask has a part", |parts: &Vec<Part>| !parts.is_empty())
}

fn some_ask() -> impl Strategy<Value = Ask> {
    let verb = prop_oneof![
        8 => Just(Verb::Take),
        2 => Just(Verb::Look),
        1 => Just(Verb::Consume),
        1 => Just(Verb::Credit),
        1 => Just(Verb::Reset),
    ];
    (verb, 0_u64..3, some_parts(), prop_oneof![Just(0), 0_u64..500]).prop_map(
        |(verb, count, parts, patience)| {
            let mut ask = Ask::over(verb, count, parts);
            ask.patience = Duration::from_millis(patience);
            ask
        },
    )
}

/// An answer without the time that a refusal may tell too long.
fn comparable(mut answer: Answer) -> Answer {
    if answer.outcome == Outcome::Refused {
        answer.levels.iter_mut().for_each(|level| level.full_after = Duration::ZERO);
    }
    answer
}

/// Polls a future so many times, a millisecond apart, and drops it. Returns its output, if it ends.
async fn poll_times<F: Future>(future: F, times: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        if let Ok(output) = tokio::time::timeout(MILLI, future.as_mut()).await {
            return Some(output);
        }
    }
    None
}

fn in_paused_time<F: Future>(test: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The answers are those of a store that does all parts in one call.
    #[test]
    fn the_answers_are_those_of_one_server(
        rule in prop_oneof![
            Just(Rule::TokenBucket),
            Just(Rule::FixedWindow),
            Just(Rule::SlidingWindow),
            Just(Rule::StrictWindow),
        ],
        asks in prop::collection::vec((some_ask(), 1_u64..400), 1..40),
    ) {
        in_paused_time(async {
            let limits = vec![LimitSpec::new("n", rule, Quota::per_second(10))];
            let namespaces = [Namespace::new("users", limits)];
            let open = |builder: ClientBuilder| {
                builder.trust_refusals_for(Duration::ZERO).open(&namespaces).unwrap()
            };
            let (divided, whole) =
                (open(builder(&Divided::new())), open(Client::builder(Unruly::new())));
            for (asked, pause) in asks {
                let expected = ask(&whole, asked.clone()).await;
                let answer = ask(&divided, asked.clone()).await;
                assert_eq!(comparable(answer), comparable(expected), "{asked:?}");
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        });
    }

    /// Whenever asks are dropped, the permits that are in use in the end are those of the asks that
    /// were granted.
    #[test]
    fn asks_that_are_dropped_keep_no_permits(
        asks in prop::collection::vec((some_parts(), 0_u32..16), 1..40),
        delays in prop::array::uniform3(0_u64..4),
    ) {
        in_paused_time(async {
            let store = Divided::new();
            for (server, delay) in store.servers.iter().zip(delays) {
                server.set(Manner::Answers(Duration::from_millis(delay)));
            }
            // A token bucket gives back less if others have taken permits behind, a window does not.
            let limit = LimitSpec::new("n", Rule::FixedWindow, Quota::per_day(10));
            let client = builder(&store).open(&[Namespace::new("users", vec![limit])]).unwrap();
            let mut tasks = tokio::task::JoinSet::new();
            for (parts, polls) in asks {
                let client = client.clone();
                tasks.spawn(async move {
                    let ask = take(parts.clone());
                    let answer = poll_times(client.ask(ask), polls).await?.unwrap().answer;
                    is_done(&answer).then_some((parts, answer))
                });
            }
            let mut granted = [0; 3];
            for (parts, answer) in tasks.join_all().await.into_iter().flatten() {
                for (part, level) in parts.iter().zip(&answer.levels) {
                    let server = usize::from(part.subject.as_bytes()[0] - b'a');
                    if level.verdict == Verdict::Granted {
                        granted[server] += part.charges[0].cost;
                    }
                }
            }
            tokio::time::sleep(50 * MILLI).await;
            assert_eq!(used_of_each(&client).await, granted);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn an_ask_that_is_dropped_at_any_moment_keeps_nothing() {
    for times in 1..=15 {
        let store = Divided::new();
        for server in &store.servers {
            server.set(Manner::Answers(3 * MILLI));
        }
        let client = client(&store);
        let parts = [part("alice", 1), part("bob", 1), shadow("carol", 1), shadow("alice", 2)];
        let is_granted = poll_times(client.ask(take(parts)), times).await.is_some();
        assert_eq!(is_granted, times >= 9, "after {times} ms");
        tokio::time::sleep(10 * MILLI).await;
        let expected = if is_granted { [3, 1, 1] } else { [0, 0, 0] };
        assert_eq!(used_of_each(&client).await, expected, "after {times} ms");
    }
}
