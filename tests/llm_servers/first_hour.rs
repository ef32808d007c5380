//! After one response, a greedy client gets at most `limit x 3600 / period + limit / 24` in the
//! first hour, or `limit + limit / 24` if the period is longer than an hour.
//!
//! One response cannot always show that. It does not, and the bound does not hold, if no header
//! says the period, and
//!
//! * the reset is missing or rounded to zero: then the limit is read as one per minute;
//! * the server counts in windows, and its window ends so soon that the reset fits a shorter usual
//!   period: 40 s before the end of an hour, with half of the limit used, looks like the middle of
//!   a minute;
//! * the period is not a second, a minute, an hour, a day or a month.
//!
//! The next response shows it: a reset above the period that was assumed contradicts it.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use tollgate::llm::{Bound, Counted, Period, Reply, ServerLimit, Tokens};

use crate::data::all;
use crate::greedy::{Client, read};

const HOUR: Duration = Duration::from_secs(3_600);
const USUAL: [u64; 5] = [1, 60, 3_600, 86_400, 2_592_000];

/// The most that may pass in the first hour.
fn most(limit: u64, period: u64) -> u64 {
    (limit * period.max(HOUR.as_secs())).div_ceil(period) + limit.div_ceil(24)
}

/// A server's limit, and what its response says of it.
#[derive(Clone, Debug)]
struct Server {
    limit: u64,
    used: u64,
    period: u64,
    reset_millis: u64,
    stated: bool,
}

impl Server {
    /// An evenly refilled limit: the reset is when nothing is in use any more.
    fn even(limit: u64, used: u64, period: u64, stated: bool) -> Self {
        let reset = u128::from(period) * 1_000 * u128::from(used) / u128::from(limit);
        Self { limit, used, period, reset_millis: u64::try_from(reset).unwrap(), stated }
    }

    fn client(&self, counted: &str) -> Client {
        let header = |part: &str, value: String| (format!("x-ratelimit-{part}-{counted}"), value);
        let mut headers = vec![
            header("limit", self.limit.to_string()),
            header("remaining", (self.limit - self.used).to_string()),
            header("reset", format!("{}ms", self.reset_millis)),
        ];
        if self.stated {
            headers.push(header("renewalperiod", self.period.to_string()));
        }
        let client = Client::limiter(tollgate::llm::Limits::new());
        client.answered(&Reply::new(200).limits(read(&headers)).spent(0));
        client
    }

    fn most(&self) -> u64 {
        most(self.limit, self.period)
    }
}

fn used_of(limit: u64) -> impl Strategy<Value = u64> {
    prop_oneof![Just(1), Just(limit), 1..=limit]
}

fn even() -> impl Strategy<Value = Server> {
    let limit = prop_oneof![1_u64..2_000, 1..2_000_000_u64];
    let all = (limit, select(&USUAL[..]), any::<bool>());
    all.prop_flat_map(|(limit, period, stated)| {
        used_of(limit).prop_map(move |used| Server::even(limit, used, period, stated))
    })
    // A reset that is rounded to zero says nothing of the period.
    .prop_filter("no reset", |server| server.stated || server.reset_millis > 0)
}

/// Windows whose reset fits no usual period below theirs, unless their period is stated.
fn windows() -> impl Strategy<Value = Server> {
    let all = (1_u64..2_000_000, 0..USUAL.len(), any::<bool>(), 0_u64..=1_000);
    all.prop_flat_map(|(limit, which, stated, part)| {
        used_of(limit).prop_map(move |used| {
            let period = USUAL[which];
            let shorter = if which == 0 || stated { 0 } else { USUAL[which - 1] * 1_000 + 1_001 };
            let reset_millis = shorter + (period * 1_000 - shorter) * part / 1_000;
            Server { limit, used, period, reset_millis: reset_millis.max(1), stated }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn of_an_evenly_refilled_limit(server in even()) {
        let sent = server.client("tokens").greedy(Counted::Tokens, HOUR);
        prop_assert!(sent <= server.most(), "{} of {}", sent, server.most());
    }

    #[test]
    fn of_a_limit_that_counts_in_windows(server in windows()) {
        let sent = server.client("tokens").greedy(Counted::Tokens, HOUR);
        prop_assert!(sent <= server.most(), "{} of {}", sent, server.most());
    }

    /// Requests are taken one at a time.
    #[test]
    fn of_requests(limit in 1_u64..60, used in 1_u64..60, which in 1..USUAL.len()) {
        let server = Server::even(limit, used.min(limit), USUAL[which], false);
        let sent = server.client("requests").greedy(Counted::Requests, HOUR);
        prop_assert!(sent <= server.most(), "{} of {}", sent, server.most());
    }
}

/// The period in seconds of a limit of a recording: the one that is stated, or the usual one that
/// is nearest to `reset x limit / used`.
fn period_of(limit: &ServerLimit, most: u64) -> Option<u64> {
    if let Some(period) = limit.period {
        return Some(period.as_secs().into());
    }
    let used = most - limit.remaining?;
    let reset = limit.reset_after.filter(|reset| !reset.is_zero() && used > 0)?;
    let implied = reset.as_nanos() * u128::from(most) / u128::from(used);
    let far = |secs: &u64| {
        let nanos = u128::from(*secs) * 1_000_000_000;
        nanos.max(implied) * 1_000 / nanos.min(implied)
    };
    USUAL.into_iter().min_by_key(far)
}

#[test]
fn of_each_recorded_limit() {
    let mut checked = 0;
    for response in all() {
        let said = read(&response.headers);
        for limit in said.iter() {
            let Some(Bound::Of(count)) = limit.limit else { continue };
            let period = period_of(limit, count).unwrap_or(60);
            // Of requests, as many as can be counted quickly.
            if count == 0 || limit.counted == Counted::Requests && most(count, period) > 10_000 {
                continue;
            }
            let client = Client::limiter(tollgate::llm::Limits::new());
            client.answered(&Reply::new(200).limits(said.clone()).spent(0));
            let sent = client.greedy(limit.counted, HOUR);
            let most = most(count, period);
            let context = || format!("{} {}: {limit:?}", response.provider, response.source);
            assert!(sent <= most, "{sent} of {most}: {}", context());
            checked += 1;
        }
    }
    assert!(checked > 300, "{checked}");
}

/// A second response contradicts what the first one seemed to say.
#[test]
fn a_later_reset_shows_the_period_of_a_window() {
    let hour = Period::HOUR.as_secs().into();
    // 40 seconds before the end of an hour; then 5 seconds into the next hour.
    let first =
        Server { limit: 1_000, used: 500, period: hour, reset_millis: 40_000, stated: false };
    let client = first.client("tokens");
    client.clock().advance(Duration::from_secs(45));
    let second = [
        ("x-ratelimit-limit-tokens".to_owned(), "1000".to_owned()),
        ("x-ratelimit-remaining-tokens".to_owned(), "990".to_owned()),
        ("x-ratelimit-reset-tokens".to_owned(), "3595s".to_owned()),
    ];
    assert!(client.send(Tokens::from(10)).is_ok());
    client.answered(&Reply::new(200).limits(read(&second)).spent(0));
    let sent = client.greedy(Counted::Tokens, HOUR);
    assert!((980..=1_990).contains(&sent), "{sent}");
}
