//! Arbitrary limits: the fields are well-formed, never early, and as a naive reading of the rules.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, StatusCode};
use proptest::prelude::*;
use tollgate::Quota;
use tollgate_http::policy::{BodyForm, Dialect, ResetForm};
use tollgate_http::respond::{Refusal, Wait};

use crate::{BOTH, State, answer, shown, text};

/// The largest integer of a structured field (RFC 9651, section 3.3.1).
const MAX: u64 = 999_999_999_999_999;

/// Mostly everyday numbers, also the largest.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..20_u64, 4 => 0..20_000_u64, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

pub(crate) fn duration() -> impl Strategy<Value = Duration> {
    let nanos = prop_oneof![Just(0), Just(1), 0..1_000_000_000_u32];
    prop_oneof![
        9 => (number(), nanos).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
        1 => Just(Duration::MAX),
    ]
}

fn limit(refused: impl Strategy<Value = Option<Option<Duration>>>) -> impl Strategy<Value = State> {
    let quota = (number(), duration(), number())
        .prop_map(|(permits, period, burst)| Quota::per(permits, period).burst(burst));
    ("[a-z0-9][a-z0-9_.-]{0,63}", quota, number(), duration(), duration(), refused).prop_map(
        |(name, quota, remaining, full_after, next_after, refused)| {
            let state = State::new(&name, quota);
            State { remaining, full_after, next_after, refused, ..state }
        },
    )
}

/// The limits of one request: half of the requests are refused, by some of their limits.
fn limits() -> impl Strategy<Value = Vec<State>> {
    let wait = prop_oneof![9 => duration().prop_map(Some), 1 => Just(None)];
    let allowed = prop::collection::vec(limit(Just(None)), 1..6);
    let refused = prop::collection::vec(limit(prop::option::of(wait)), 1..6);
    prop_oneof![allowed, refused]
}

fn now() -> impl Strategy<Value = SystemTime> {
    (0..4_000_000_000_u64, 0..1_000_000_000_u32)
        .prop_map(|(secs, nanos)| UNIX_EPOCH + Duration::new(secs, nanos))
}

/// The items of a list, as name and parameters.
fn items(field: &str) -> Vec<(String, Vec<(String, u64)>)> {
    let list: sfv::List = sfv::Parser::new(field).parse().expect("a list");
    list.into_iter()
        .map(|entry| {
            let sfv::ListEntry::Item(item) = entry else { panic!("an inner list") };
            let name = item.bare_item.as_string().expect("a string").as_str().to_owned();
            let params = item.params.iter().map(|(key, value)| {
                let value = i64::from(value.as_integer().expect("an integer"));
                (key.as_str().to_owned(), u64::try_from(value).expect("not negative"))
            });
            (name, params.collect())
        })
        .collect()
}

fn any_refused(limits: &[State]) -> bool {
    limits.iter().any(|limit| limit.refused.is_some())
}

/// Whole seconds, rounded up, by another way than the crate's.
fn ceil(time: Duration) -> u64 {
    let seconds = time.as_nanos().div_ceil(1_000_000_000);
    u64::try_from(seconds).unwrap_or(u64::MAX).min(MAX)
}

/// The limit that `X-RateLimit` shows, found by asking of each whether another goes before it.
fn naive_tightest(limits: &[State]) -> &State {
    let refused = any_refused(limits);
    let candidates: Vec<&State> =
        limits.iter().filter(|limit| !refused || limit.refused.is_some()).collect();
    let is_longer = |a: Option<Duration>, b: Option<Duration>| match (a, b) {
        (None, Some(_)) => true,
        (Some(a), Some(b)) => a > b,
        (_, None) => false,
    };
    let goes_before = |a: &State, b: &State| match (a.refused, b.refused) {
        (Some(a), Some(b)) => is_longer(a, b),
        _ => a.remaining < b.remaining || a.remaining == b.remaining && a.full_after > b.full_after,
    };
    candidates
        .iter()
        .find(|limit| !candidates.iter().any(|other| goes_before(other, limit)))
        .expect("there is a limit")
}

proptest! {
    #[test]
    fn ratelimit_is_a_list_of_our_numbers(limits in limits()) {
        let headers = answer(&limits, &[Dialect::RateLimit], ResetForm::Seconds, UNIX_EPOCH);
        let refused = any_refused(&limits);
        let told: Vec<&State> =
            limits.iter().filter(|limit| !refused || limit.refused.is_some()).collect();
        let items = items(text(&headers, "ratelimit"));
        prop_assert_eq!(items.len(), told.len());
        for ((name, params), limit) in items.iter().zip(told) {
            prop_assert_eq!(name, limit.texts.name());
            let mut expected = vec![("r".to_owned(), limit.remaining.min(MAX))];
            let t = match limit.refused {
                Some(Some(wait)) => Some(ceil(wait).max(1)),
                Some(None) => None,
                None if limit.remaining == 0 => Some(ceil(limit.next_after).max(1)),
                None => Some(ceil(limit.full_after)).filter(|&seconds| seconds > 0),
            };
            expected.extend(t.map(|seconds| ("t".to_owned(), seconds)));
            prop_assert_eq!(params, &expected);
        }
    }

    #[test]
    fn the_policy_is_a_list_of_our_quotas(limits in limits()) {
        let headers = answer(&limits, &[Dialect::RateLimit], ResetForm::Seconds, UNIX_EPOCH);
        let items = items(text(&headers, "ratelimit-policy"));
        prop_assert_eq!(items.len(), limits.len());
        for ((name, params), limit) in items.iter().zip(&limits) {
            prop_assert_eq!(name, limit.texts.name());
            let [(q, quota), (w, window)] = &params[..] else { panic!("two parameters") };
            prop_assert_eq!((q.as_str(), w.as_str()), ("q", "w"));
            prop_assert_eq!(*quota, limit.quota.burst_size().min(MAX));
            prop_assert!((1..=MAX).contains(window));
            // The window is the least number of seconds in which the burst arrives. (A period that
            // is longer than 584 years is no valid quota, and may not fit the following.)
            if let Ok(period) = u64::try_from(limit.quota.period().as_nanos()) {
                let needed = u128::from(limit.quota.burst_size()) * u128::from(period);
                let per_second = u128::from(limit.quota.permits()) * 1_000_000_000;
                let arrives_in = |seconds: u64| {
                    per_second.checked_mul(seconds.into()).is_none_or(|given| given >= needed)
                };
                prop_assert!(arrives_in(*window) || *window == MAX);
                prop_assert!(!arrives_in(*window - 1) || *window == 1 || per_second == 0);
            }
        }
    }

    #[test]
    fn nobody_is_told_to_come_too_early(limits in limits()) {
        let headers = answer(&limits, &BOTH, ResetForm::Seconds, UNIX_EPOCH);
        let waits: Vec<Option<Duration>> =
            limits.iter().filter_map(|limit| limit.refused).collect();
        let never = waits.contains(&None);
        prop_assert_eq!(headers.contains_key("retry-after"), !waits.is_empty() && !never);
        if headers.contains_key("retry-after") {
            let seconds: u64 = text(&headers, "retry-after").parse().expect("a number");
            prop_assert!(seconds >= 1);
            let longest = waits.iter().flatten().max().expect("a wait");
            prop_assert!(Duration::from_secs(seconds) >= *longest || seconds == MAX);
            let early = Duration::from_secs(seconds - 1);
            prop_assert!(early < *longest || seconds == 1, "a second less is too early");
        }
    }

    #[test]
    fn x_ratelimit_is_the_naive_readings(limits in limits(), now in now()) {
        let tightest = naive_tightest(&limits);
        for form in [ResetForm::Seconds, ResetForm::Epoch] {
            let headers = answer(&limits, &BOTH, form, now);
            let field = |name| text(&headers, name).parse::<u64>().expect("a number");
            prop_assert_eq!(field("x-ratelimit-limit"), tightest.quota.burst_size().min(MAX));
            prop_assert_eq!(field("x-ratelimit-remaining"), tightest.remaining.min(MAX));
            let since = now.duration_since(UNIX_EPOCH).expect("after 1970");
            let reset = match form {
                ResetForm::Seconds => ceil(tightest.full_after),
                ResetForm::Epoch => ceil(since.saturating_add(tightest.full_after)),
                form => panic!("another form: {form:?}"),
            };
            prop_assert_eq!(field("x-ratelimit-reset"), reset);
        }
    }

    #[test]
    fn draft_7_tells_of_the_same_limit(limits in limits()) {
        let dialects = [Dialect::RateLimit07, Dialect::XRateLimit];
        let headers = answer(&limits, &dialects, ResetForm::Seconds, UNIX_EPOCH);
        let field = |name| text(&headers, name);
        let expected = format!(
            "limit={}, remaining={}, reset={}",
            field("x-ratelimit-limit"), field("x-ratelimit-remaining"), field("x-ratelimit-reset"),
        );
        prop_assert_eq!(field("ratelimit"), expected);
        let policies: sfv::List =
            sfv::Parser::new(field("ratelimit-policy")).parse().expect("a list");
        prop_assert_eq!(policies.len(), limits.len());
    }

    #[test]
    fn refusals_are_whole(limits in limits()) {
        let shown = shown(&limits);
        let refusal = Refusal::limits(StatusCode::TOO_MANY_REQUESTS, &shown);
        let names: Vec<&str> = limits.iter().filter(|limit| limit.refused.is_some())
            .map(|limit| limit.texts.name()).collect();
        prop_assert_eq!(refusal.violated(), &names[..]);
        prop_assert_eq!(refusal.wait() == Wait::Unknown, names.is_empty());
        for form in [BodyForm::Problem, BodyForm::Json] {
            let (_, text) = refusal.body(form).expect("a body");
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok());
        }
        let mut headers = HeaderMap::new();
        refusal.write(&mut headers);
        prop_assert_eq!(headers.len(), 1 + usize::from(refusal.retry_after().is_some()));
    }
}
