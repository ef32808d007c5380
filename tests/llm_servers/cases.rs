//! The cases of the trial (`tests/data/header_cases.json`), each with its right value.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tollgate::llm::{Counted, Error, LimitKind, Period, Reply, Tokens};

use crate::data::pairs;
use crate::greedy::{Client, read};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const REQUEST: Tokens = Tokens::new(0, 0);

fn cases() -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../data/header_cases.json")).unwrap();
    all.as_array().unwrap().clone()
}

fn case(id: &str) -> Value {
    cases().into_iter().find(|case| case["id"] == id).unwrap()
}

/// A limiter and a pool after one request that was answered as in this case.
fn after(id: &str) -> [Client; 2] {
    let case = case(id);
    let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
    let reply = Reply::new(status).limits(read(&pairs(&case["headers"]))).spent(0);
    let clients = Client::both();
    for client in &clients {
        client.answered(&reply);
    }
    clients
}

#[test]
fn each_case_has_a_test() {
    let tested = BTreeSet::from([
        "H01a", "H01d", "H02", "H04a", "H05", "H06", "H07a", "H09", "H10", "H12b", "H14a", "H15a",
        "H22a", "H22c", "H23", "H30", "H80",
    ]);
    let cases = cases();
    let ids: BTreeSet<_> = cases.iter().map(|case| case["id"].as_str().unwrap()).collect();
    assert_eq!(ids, tested);
}

#[test]
fn a_success_never_pauses() {
    for id in ["H01a", "H01d", "H12b"] {
        for client in after(id) {
            assert_eq!(client.usage().paused_for, None, "{id}");
            assert_eq!(client.next(Tokens::new(1_000, 0)), Duration::ZERO, "{id}");
        }
    }
}

#[test]
fn nothing_goes_before_the_time_that_was_said() {
    for (id, secs) in [("H15a", 295), ("H22a", 13), ("H22c", 60), ("H80", 42)] {
        for client in after(id) {
            assert_eq!(client.next(REQUEST), Duration::from_secs(secs), "{id}");
        }
    }
    for client in after("H07a") {
        let wait = client.next(REQUEST);
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(10), "{wait:?}");
    }
}

#[test]
fn a_greedy_client_gets_what_the_period_allows() {
    for (id, span, least, most) in [
        // Groq: 1,000 a day.
        ("H02", HOUR, 999, 1_042),
        // Azure: 9,000 per 10 seconds.
        ("H04a", MINUTE, 53_000, 54_000),
        // Cerebras: 5 a minute and 150 an hour.
        ("H06", HOUR, 149, 155),
        // Together: 10 per second, paced evenly, with three at once.
        ("H10", MINUTE, 590, 602),
    ] {
        for client in after(id) {
            let sent = client.greedy(Counted::Requests, span);
            assert!((least..=most).contains(&sent), "{id}: {sent}");
        }
    }
}

#[test]
fn tokens_wait_for_tokens() {
    let minute = LimitKind::Tokens(Period::MINUTE);
    for client in after("H05") {
        client.clock().advance(Duration::from_secs(1));
        let Err(Error::Denied { limit, .. }) = client.send(Tokens::from(1_400)) else { panic!() };
        assert_eq!(limit, minute);
        // Evenly refilled, they would be there after 16.8 s; in a window, at its end.
        let wait = client.next(Tokens::from(1_400));
        assert!(wait >= Duration::from_millis(15_800) && wait <= MINUTE, "{wait:?}");
    }
    let generated = LimitKind::OutputTokens(Period::MINUTE);
    let prompt = LimitKind::InputTokens(Period::MINUTE);
    for client in after("H09") {
        let limits = client.usage();
        // Of 11,250,000 prompt tokens, 5,400,000 may be new to the cache.
        assert_eq!(limits.of(prompt).map(|it| it.limit), Some(5_400_000));
        assert_eq!(limits.of(generated).map(|it| (it.limit, it.remaining)), Some((36_000, 0)));
        let Err(Error::Denied { limit, .. }) = client.send(Tokens::new(10, 1_000)) else {
            panic!()
        };
        assert_eq!(limit, generated);
    }
}

#[test]
fn of_joined_lines_the_stricter_counts() {
    let said = read(&pairs(&case("H14a")["headers"]));
    assert_eq!(said.on(Counted::Requests).and_then(|it| it.remaining), Some(98));
    let limits = tollgate::llm::Limits::new().requests_per_minute(1_000);
    let client = Client::limiter(limits);
    client.answered(&Reply::new(200).limits(said).spent(0));
    let left = client.usage().of(LimitKind::Requests(Period::MINUTE)).unwrap().remaining;
    assert!(left <= 98, "{left}");
}

#[test]
fn a_reset_may_be_a_moment() {
    let said = read(&pairs(&case("H23")["headers"]));
    let reset = said.on(Counted::Tokens).and_then(|it| it.reset_after);
    assert_eq!(reset, Some(5 * HOUR));
}

/// Each model has limits of its own: one limiter a model.
#[test]
fn two_models_have_two_sets_of_limits() {
    let case = case("H30");
    for (model, requests, tokens) in [(0, 5_000, 2_000_000), (1, 400, 200_000)] {
        let said = read(&pairs(&case["headers"][model]));
        for client in Client::both() {
            client.answered(&Reply::new(200).limits(said.clone()).spent(0));
            let usage = client.usage();
            let limit = |kind| usage.of(kind).map(|it| it.limit);
            assert_eq!(limit(LimitKind::Requests(Period::MINUTE)), Some(requests));
            assert_eq!(limit(LimitKind::Tokens(Period::MINUTE)), Some(tokens));
        }
    }
}
