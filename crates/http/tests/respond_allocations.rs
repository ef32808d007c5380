//! The fields of a response make few allocations. (In a file of its own: its allocator counts.)

#![allow(
    clippy::option_option,
    reason = "as in `Shown`: whether refused, and the wait if one helps"
)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue};
use tollgate_http::policy::{Dialect, ResetForm};
use tollgate_http::respond::{Fields, LimitTexts, Refusal, Shown};

const QUOTAS: [(&str, &str); 3] =
    [("site", "5000/s burst 10000"), ("flood", "600/min"), ("calls", "10/min burst 20")];

fn texts() -> Vec<LimitTexts> {
    let limits = QUOTAS.iter().map(|(name, quota)| {
        LimitTexts::new(name, quota.parse().expect("a quota")).expect("not unlimited")
    });
    limits.collect()
}

fn states(
    texts: &[LimitTexts],
    remaining: u64,
    refused: Option<Option<Duration>>,
) -> Vec<Shown<'_>> {
    let (full_after, next_after) = (Duration::from_millis(1_500), Duration::from_millis(10));
    texts.iter().map(|texts| Shown { texts, remaining, full_after, next_after, refused }).collect()
}

/// How many allocations `write` makes for a response that has room for the fields.
fn allocations(write: impl Fn(&mut HeaderMap)) -> u64 {
    let mut headers = HeaderMap::with_capacity(24);
    headers.insert("content-type", HeaderValue::from_static("text/plain"));
    allocation_counter::measure(|| write(&mut headers)).count_total
}

fn no_clock() -> SystemTime {
    panic!("only the epoch form needs the time")
}

#[test]
fn one_allocation_for_any_number_of_limits() {
    let texts = texts();
    let all: Vec<&LimitTexts> = texts.iter().collect();
    let wait = Some(Some(Duration::from_secs(5)));
    for dialects in [
        &[Dialect::RateLimit, Dialect::XRateLimit][..],
        &[Dialect::RateLimit07, Dialect::XRateLimit][..],
    ] {
        let fields = Fields::new(dialects, ResetForm::Seconds);
        for count in 1..=3 {
            let policy = fields.policy(&all[..count]).expect("limits");
            for (remaining, refused) in [(9_999, None), (0, None), (0, wait), (0, Some(None))] {
                let shown = states(&texts[..count], remaining, refused);
                let made = allocations(|headers| {
                    fields.write(headers, &shown, Some(&policy), no_clock);
                });
                assert_eq!(made, 1, "{dialects:?}, {shown:?}");
            }
        }
    }
}

#[test]
fn x_ratelimit_alone_allocates_nothing() {
    let texts = texts();
    let fields = Fields::new(&[Dialect::XRateLimit], ResetForm::Seconds);
    let shown = states(&texts, 9_999, None);
    assert_eq!(allocations(|headers| fields.write(headers, &shown, None, no_clock)), 0);
}

#[test]
fn each_large_number_allocates_once() {
    let texts = texts();
    let fields = Fields::new(&[Dialect::XRateLimit], ResetForm::Epoch);
    let shown = states(&texts, 10_000, None);
    let now = || UNIX_EPOCH + Duration::from_secs(1_764_000_000);
    assert_eq!(allocations(|headers| fields.write(headers, &shown, None, now)), 2);
}

#[test]
fn a_policy_that_was_not_kept_allocates_once_more() {
    let texts = texts();
    let fields = Fields::new(&[Dialect::RateLimit], ResetForm::Seconds);
    let shown = states(&texts, 5, None);
    assert_eq!(allocations(|headers| fields.write(headers, &shown, None, no_clock)), 2);
}

#[test]
fn fields_of_a_refusal_allocate_nothing() {
    let texts = texts();
    let shown = states(&texts, 0, Some(Some(Duration::from_secs(5))));
    let made = allocations(|headers| {
        Refusal::limits(http::StatusCode::TOO_MANY_REQUESTS, &shown).write(headers);
    });
    assert_eq!(made, 0);
}

/// After a request without limits, such as that of a blocked user, the value of `RateLimit-Policy`
/// was made anew for each request of its route and tier.
#[test]
fn the_policy_is_kept_also_after_a_request_without_limits() {
    use std::task::{Context, Waker};
    use tollgate_http::{Caller, HttpLimiter, RateLimitLayer};
    use tower::{Layer, Service};

    let policy = "version = 1\nalways = ['calls']\n[limits.calls]\nquota = '1000/h'\n\
        [[subjects]]\nuser = 'mallory'\nblocked = true\n";
    let made_for = |users: &[&'static str]| {
        let policy: tollgate_http::Policy = policy.parse().expect("a policy");
        let layer = RateLimitLayer::new(HttpLimiter::new(policy).expect("a limiter"));
        let mut service = layer.layer(tower::service_fn(|_: http::Request<()>| {
            std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(())))
        }));
        let mut made = 0;
        for user in users {
            let mut request = http::Request::new(());
            request.extensions_mut().insert(Caller::user(*user));
            made = allocation_counter::measure(|| {
                let mut response = std::pin::pin!(service.call(request));
                let response = response.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(response.is_ready());
            })
            .count_total;
        }
        made
    };
    assert_eq!(made_for(&["mallory", "alice", "alice"]), made_for(&["alice", "alice", "alice"]));
}
