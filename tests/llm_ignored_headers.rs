//! Headers that are ignored are told. A subscriber hears all events only if no other thread of the
//! process makes the same ones without a subscriber, so this is the only test of its process.
#![cfg(all(feature = "llm", feature = "tracing"))]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "support/recorder.rs"]
mod recorder;

use std::time::SystemTime;

use recorder::Recorder;
use tollgate::llm::ServerLimits;
use tracing::Level;

#[test]
fn what_is_ignored_is_told_with_its_name_and_never_a_value() {
    let recorder = Recorder::default();
    tracing::subscriber::with_default(recorder.clone(), || {
        let headers = [
            ("authorization", "secret-1"),
            ("X-RateLimit-Limit-Requests", "secret-2"),
            ("x-ratelimit-remaining-requests", "-77"),
            ("x-ratelimit-limit-tokens", "5555"),
            ("x-ratelimit-limit-tokens", "6666"),
            ("x-ratelimit-limit-tokens", "5555"),
            ("x-ratelimit-remaining-tokens", "7777"),
            ("x-ratelimit-limit-tokens-day", "0"),
            ("x-ratelimit-remaining-tokens-day", "0"),
            ("x-ratelimit-limit", "8888"),
            ("retry-after", "9e9"),
        ];
        let _read = ServerLimits::from_headers(headers, SystemTime::now());
    });
    let events = recorder.events();
    let text: Vec<_> = events.iter().map(|(_, text)| text.as_str()).collect();
    assert!(events.iter().all(|(level, _)| *level == Level::DEBUG), "{text:?}");
    let expected = [
        "header=\"x-ratelimit-limit-requests\" why=\"not a whole number\"",
        "header=\"x-ratelimit-remaining-requests\" why=\"negative\"",
        "header=\"retry-after\" why=\"neither a wait nor a date\"",
        "do not say what they limit",
    ];
    assert_eq!(text.len(), expected.len(), "{text:?}");
    for (event, part) in text.iter().zip(expected) {
        assert!(event.contains(part), "{event}");
    }
    let all = text.concat();
    for value in ["secret", "77", "5555", "6666", "8888", "9e9"] {
        assert!(!all.contains(value), "{all}");
    }
}
