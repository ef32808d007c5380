//! Headers that look like limits and are not known are told once in the life of a process. So this
//! is the only test of its process.
#![cfg(all(feature = "llm", feature = "tracing"))]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "support/recorder.rs"]
mod recorder;

use std::time::SystemTime;

use recorder::Recorder;
use tollgate::llm::ServerLimits;
use tracing::Level;

#[test]
fn unknown_names_are_told_once() {
    let recorder = Recorder::default();
    tracing::subscriber::with_default(recorder.clone(), || {
        let names =
            ["x-ratelimit-limit-input-images", "x-ratelimit-type", "content-length", "ratelimit-x"];
        for _ in 0..3 {
            let headers = names.map(|name| (name, "secret"));
            assert!(ServerLimits::from_headers(headers, SystemTime::now()).is_empty());
        }
    });
    let events = recorder.events();
    let [(Level::INFO, text)] = &events[..] else { panic!("{events:?}") };
    assert!(text.contains("header=\"x-ratelimit-limit-input-images\""), "{text}");
    assert!(!text.contains("secret"), "{text}");
}
