use std::time::UNIX_EPOCH;

use http::header::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

/// Reads an answer as it was recorded: a status, and a field a line.
fn asked(status: u16, recorded: &str) -> Option<Duration> {
    // A clock that is wrong by years. Only answers without a `Date` depend on it.
    asked_at(status, recorded, UNIX_EPOCH + Duration::from_secs(1_000_000_000))
}

fn asked_at(status: u16, recorded: &str, wall_clock: SystemTime) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    for line in recorded.lines().filter(|line| !line.trim().is_empty()) {
        let (name, value) = line.split_once(':').expect("a field");
        let name = HeaderName::from_bytes(name.trim().as_bytes()).expect("a name");
        headers.append(name, HeaderValue::from_str(value.trim()).expect("a value"));
    }
    pause(StatusCode::from_u16(status).expect("a status"), &headers, wall_clock)
}

#[allow(clippy::unnecessary_wraps, reason = "what an answer asks for is optional")]
fn secs(secs: u64) -> Option<Duration> {
    Some(Duration::from_secs(secs))
}

/// Answers of real servers, as their documentation shows them or as people and projects have
/// recorded them. Each comment says where.
#[test]
fn recorded_answers() {
    // GitHub, the hourly limit of an address (from GitHub's documentation). 50 minutes and 25 s.
    let exhausted = "Date: Tue, 20 Aug 2013 14:50:41 GMT
        x-ratelimit-limit: 60
        x-ratelimit-remaining: 0
        x-ratelimit-used: 60
        x-ratelimit-reset: 1377013266";
    assert_eq!(asked(403, exhausted), secs(3_025));
    // GitHub, a secondary limit of the search (an issue of the PHP client KnpLabs/php-github-api).
    // It says what is left of another limit, and no time.
    let secondary = "Date: Mon, 13 Jun 2022 11:48:53 GMT
        X-RateLimit-Limit: 30
        X-RateLimit-Remaining: 14
        X-RateLimit-Reset: 1655120964
        X-RateLimit-Used: 16
        X-RateLimit-Resource: search";
    assert_eq!(asked(403, secondary), None);
    // GitHub, a secondary limit that says how long (GitHub's documentation of best practices).
    assert_eq!(asked(403, &format!("{secondary}\nRetry-After: 30")), secs(30));
    // GitHub, an ordinary success (a talk about its API).
    let success = "Date: Sun, 11 Nov 2012 18:43:28 GMT
        X-RateLimit-Limit: 60
        X-RateLimit-Remaining: 57
        X-RateLimit-Reset: 1352660008";
    assert_eq!(asked(200, success), None);
    // GitLab (a log of curl), whose reset is a point in time; then with nothing left.
    let gitlab = "ratelimit-observed: 1
        ratelimit-remaining: 1999
        ratelimit-reset: 1634747638
        ratelimit-resettime: Wed, 20 Oct 2021 16:33:58 GMT
        ratelimit-limit: 2000";
    assert_eq!(asked(200, gitlab), None);
    let at = UNIX_EPOCH + Duration::from_secs(1_634_747_600);
    assert_eq!(asked_at(429, &gitlab.replace("1999", "0"), at), secs(38));
    let only_date = "ratelimit-remaining: 0\nratelimit-resettime: Wed, 20 Oct 2021 16:33:58 GMT";
    assert_eq!(asked_at(200, only_date, at), secs(38));
    // Yelp (recorded by a package's tests), with `4997` left replaced by 0.
    let yelp = "date: Wed, 26 Feb 2020 00:42:31 GMT
        ratelimit-dailylimit: 5000
        ratelimit-remaining: 0
        ratelimit-resettime: 2020-02-27T00:00:00+00:00";
    assert_eq!(asked(429, yelp), secs(83_849));
    // Shopify (its documentation): a fraction.
    let shopify = "X-Shopify-Shop-Api-Call-Limit: 40/40\nRetry-After: 2.0";
    assert_eq!(asked(429, shopify), secs(2));
    // Discord (its documentation), a route's limit: `Retry-After` is whole seconds.
    let discord = "Retry-After: 65
        X-RateLimit-Limit: 10
        X-RateLimit-Remaining: 0
        X-RateLimit-Reset: 1470173023.123
        X-RateLimit-Reset-After: 64.57
        X-RateLimit-Bucket: abcd1234";
    assert_eq!(asked(429, discord), secs(65));
    let success = discord.replace("Retry-After: 65", "");
    assert_eq!(asked(200, &success), Some(Duration::from_millis(64_570)));
    // Reddit without an account (seen by several projects): each success uses all there is.
    assert_eq!(asked(200, "x-ratelimit-remaining: 0.0\nx-ratelimit-reset: 58"), secs(58));
    // Reddit's remaining can be a fraction of more than one.
    assert_eq!(asked(200, "x-ratelimit-remaining: 59.99\nx-ratelimit-reset: 58"), None);
    // Gravitee (a trace of an API behind it), with `98` left replaced by 0: the reset is in
    // milliseconds since 1970.
    let gravitee = "date: Thu, 23 Mar 2023 15:59:57 GMT
        x-rate-limit-limit: 100
        x-rate-limit-remaining: 0
        x-rate-limit-reset: 1679587256800";
    assert_eq!(asked(429, gravitee), Some(Duration::from_millis(59_800)));
    // Cloud Foundry (issue 2544 of its controller): a point in time where seconds belong.
    let cloud_foundry = "Date: Thu, 21 Oct 2021 10:00:00 GMT\nRetry-After: 1634810460";
    assert_eq!(asked(429, cloud_foundry), secs(60));
    // crates.io says a date (the form in its source; the times of Belgif's guide to REST).
    let crates_io =
        "date: Thu, 05 Aug 2021 10:29:48 GMT\nretry-after: Thu, 05 Aug 2021 10:30:00 GMT";
    assert_eq!(asked(429, crates_io), secs(12));
    // regulations.gov (issue 28 of its developers): a 429 that claims that much is left.
    let contradiction = "X-RateLimit-Limit: 1000\nX-RateLimit-Remaining: 321";
    assert_eq!(asked(429, contradiction), None);
    // Stripe says nothing in header fields.
    assert_eq!(asked(429, "Stripe-Rate-Limited-Reason: global-rate"), None);
    // The newest draft's own example of a refusal, and Cloudflare's form of a success.
    let draft = "Retry-After: 5\nRateLimit-Policy: \"default\";q=100;w=60
        RateLimit: \"default\";r=0;t=5";
    assert_eq!(asked(429, draft), secs(5));
    assert_eq!(asked(200, "Ratelimit: \"default\";r=50;t=30"), None);
    // express-rate-limit's form of draft-07, with nothing left.
    let draft_7 = "RateLimit-Policy: 300;w=60\nRateLimit: limit=300, remaining=0, reset=42";
    assert_eq!(asked(200, draft_7), secs(42));
}

#[test]
fn retry_after_asks_for_a_pause_only_if_the_answer_refuses() {
    for status in [429, 503, 403] {
        assert_eq!(asked(status, "Retry-After: 120"), secs(120), "{status}");
        assert_eq!(asked(status, "Retry-After: 0"), secs(0), "{status}");
    }
    for status in [200, 202, 301, 304, 404, 413, 500, 502] {
        assert_eq!(asked(status, "Retry-After: 120"), None, "{status}");
    }
}

#[test]
fn dates_count_from_the_date_of_the_answer() {
    let recorded =
        "Date: Fri, 31 Dec 1999 23:59:00 GMT\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT";
    assert_eq!(asked(503, recorded), secs(59));
    let clock = UNIX_EPOCH + Duration::from_secs(946_684_790);
    let undated = "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT";
    assert_eq!(asked_at(503, undated, clock), secs(9));
    assert_eq!(asked_at(503, &format!("Date: now\n{undated}"), clock), secs(9));
    // A date that is over.
    assert_eq!(asked_at(503, undated, clock + Duration::from_secs(60)), secs(0));
}

#[test]
fn the_longest_believable_value_counts() {
    assert_eq!(asked(429, "Retry-After: 5\nRetry-After: 30\nRetry-After: 7"), secs(30));
    assert_eq!(asked(429, "Retry-After: 5\nRetry-After: 99999999999999"), secs(5));
    assert_eq!(asked(429, "Retry-After: -1\nRetry-After: soon"), None);
    let two = "X-RateLimit-Remaining: 9\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 5, 8";
    assert_eq!(asked(200, two), secs(8));
    let families = "RateLimit-Remaining: 0\nRateLimit-Reset: 3
        X-Rate-Limit-Remaining: 0\nX-Rate-Limit-Reset: 4";
    assert_eq!(asked(200, families), secs(4));
    assert_eq!(
        asked(200, "RateLimit: \"a\";r=0;t=3, \"b\";r=0;t=9\nRateLimit: \"c\";r=0;t=6"),
        secs(9)
    );
}

#[test]
fn the_more_certain_field_counts() {
    let all = "Retry-After: 1\nRateLimit: \"a\";r=0;t=2
        X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 60";
    assert_eq!(asked(429, all), secs(1));
    assert_eq!(asked(200, all), secs(2));
    // Without a readable `RateLimit`, the next field counts.
    let broken = "RateLimit: ???\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 60";
    assert_eq!(asked(200, broken), secs(60));
    // An unreadable `Retry-After` leaves the others.
    assert_eq!(asked(429, &all.replace("Retry-After: 1", "Retry-After: a while")), secs(2));
}

#[test]
fn a_refusal_makes_a_limit_count_that_does_not_say_what_is_left() {
    assert_eq!(asked(429, "RateLimit: limit=20, reset=37"), secs(37));
    assert_eq!(asked(200, "RateLimit: limit=20, reset=37"), None);
    assert_eq!(asked(429, "X-RateLimit-Reset: 37"), secs(37));
    assert_eq!(asked(200, "X-RateLimit-Reset: 37"), None);
    assert_eq!(asked(403, "X-RateLimit-Reset: 37"), None);
}

#[test]
fn bytes_that_are_no_text_say_nothing() {
    let mut headers = HeaderMap::new();
    for name in ["retry-after", "date", "ratelimit", "x-ratelimit-remaining"] {
        let value = HeaderValue::from_bytes(b"\xff\x80 0").expect("a value");
        headers.insert(HeaderName::from_static(name), value);
    }
    assert_eq!(pause(StatusCode::TOO_MANY_REQUESTS, &headers, UNIX_EPOCH), None);
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic_or_believe_too_much(
        status in 100..600_u16,
        fields in prop::collection::vec((0..9_usize, "[ -~]{0,40}|[0-9\",;=.rt -]{0,20}"), 0..8),
        clock in 0..20_000_000_000_u64,
    ) {
        let names = [
            "retry-after", "date", "ratelimit", "ratelimit-remaining", "ratelimit-reset",
            "x-ratelimit-remaining", "x-ratelimit-reset", "x-ratelimit-reset-after",
            "x-rate-limit-reset",
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let value = HeaderValue::from_str(&value).expect("visible characters");
            headers.append(HeaderName::from_static(names[name]), value);
        }
        let clock = UNIX_EPOCH + Duration::from_secs(clock);
        let status = StatusCode::from_u16(status).expect("a status");
        if let Some(pause) = pause(status, &headers, clock) {
            prop_assert!(pause <= LONGEST_BELIEVED);
        }
    }
}
