//! The recordings, played back at their dates: one limiter for each account that they are of. What
//! the server let pass in reality, no limiter holds back.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tollgate::ManualClock;
use tollgate::llm::{Bound, Limiter, Reply, ServerLimits, Tokens};

use crate::data::{Recorded, all};
use crate::greedy::read;

/// A small request.
const SMALL: Tokens = Tokens::new(100, 50);

/// What responses of one account have in common: the provider, and the limits that it states.
fn account(response: &Recorded, said: &ServerLimits) -> String {
    let limits: Vec<_> = said
        .iter()
        .filter_map(|limit| {
            Some((limit.counted, limit.period, limit.limit.and_then(Bound::count)?))
        })
        .collect();
    let key = response.header("x-ratelimit-key").unwrap_or_default();
    format!("{} {key} {limits:?}", response.provider)
}

/// The responses of each account, in the order of their dates.
fn accounts() -> BTreeMap<String, Vec<(SystemTime, Recorded, ServerLimits)>> {
    let mut accounts = BTreeMap::<_, Vec<_>>::new();
    for response in all().into_iter().filter(|response| response.status == 200) {
        let date = response.header("date").map(|date| httpdate::parse_http_date(date).unwrap());
        let Some(date) = date else { continue };
        let said = read(&response.headers);
        accounts.entry(account(&response, &said)).or_default().push((date, response, said));
    }
    for responses in accounts.values_mut() {
        responses.sort_by_key(|(date, ..)| *date);
    }
    accounts
}

#[test]
fn no_recorded_request_is_held_back() {
    let (mut played, mut held) = (0, Vec::new());
    for (account, responses) in accounts() {
        let clock = ManualClock::new();
        let limiter = Limiter::builder().clock(clock.clone()).build().unwrap();
        let mut now = responses[0].0;
        for (date, response, said) in responses {
            clock.advance(date.duration_since(now).unwrap());
            now = date;
            played += 1;
            // What the request used is not recorded.
            match limiter.try_acquire(SMALL) {
                Ok(permit) => permit.end(&Reply::new(200).limits(said).spent(SMALL)),
                Err(error) => held.push(format!("{account} {}: {error}", response.source)),
            }
        }
    }
    assert!(played > 150, "{played}");
    assert!(held.is_empty(), "{} of {played}: {held:#?}", held.len());
}

/// One request after another can be sent while something is left.
#[test]
fn what_is_left_can_be_sent_at_once() {
    for response in all().into_iter().filter(|response| response.status == 200) {
        let said = read(&response.headers);
        if said.iter().any(|limit| limit.remaining.is_some_and(|left| left < 3)) {
            continue;
        }
        let clock = ManualClock::new();
        let limiter = Limiter::builder().clock(clock).build().unwrap();
        limiter.try_acquire(0).unwrap().end(&Reply::new(200).limits(said).spent(0));
        let next = limiter.try_acquire(SMALL);
        assert!(next.is_ok(), "{} {}: {next:?}", response.provider, response.source);
        assert_eq!(limiter.usage().paused_for, None::<Duration>);
    }
}
