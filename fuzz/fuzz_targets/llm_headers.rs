//! Any headers are read without a panic, and repeating one never loosens what the server said.
#![no_main]

#[path = "../../tests/support/looser.rs"]
mod looser;

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use tollgate::llm::ServerLimits;

/// Random bytes would hardly ever be one of them.
const NAMES: [&[u8]; 28] = [
    b"x-ratelimit-limit-requests",
    b"x-ratelimit-remaining-requests",
    b"x-ratelimit-reset-requests",
    b"x-ratelimit-renewalperiod-requests",
    b"x-ratelimit-limit-requests-hour",
    b"x-ratelimit-remaining-req-10-second",
    b"x-ratelimit-requests",
    b"anthropic-ratelimit-requests-limit",
    b"anthropic-ratelimit-requests-remaining",
    b"anthropic-ratelimit-requests-reset",
    b"anthropic-ratelimit-unified-status",
    b"anthropic-ratelimit-unified-reset",
    b"x-ratelimit-limit",
    b"x-ratelimit-remaining",
    b"x-ratelimit-reset",
    b"ratelimit-limit",
    b"ratelimit",
    b"ratelimit-policy",
    b"x-tokenlimit-limit",
    b"ratelimitbysize-limit",
    b"x-ratelimit-limit-tokens",
    b"x-ratelimit-remaining-tokens",
    b"x-ratelimit-reset-tokens",
    b"anthropic-ratelimit-tokens-reset",
    b"retry-after",
    b"retry-after-ms",
    b"date",
    b"x-ms-retry-after-ms",
];

fuzz_target!(|input: (u64, u8, &[u8], &[u8], Vec<(u8, &[u8])>)| {
    let (received, repeated, again, other, values) = input;
    // Of any length that a system's clock can have.
    let received = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(received));
    let received = received.unwrap_or(SystemTime::UNIX_EPOCH);
    let name = |index: u8| NAMES.get(usize::from(index) % (NAMES.len() + 1)).unwrap_or(&other);
    let mut headers: Vec<_> = values.iter().map(|(index, value)| (name(*index), value)).collect();
    let before = ServerLimits::from_headers(headers.iter().copied(), received);
    looser::assert_not_looser(&before, &before);

    // A date replaces our clock by the server's, which is no repetition.
    let Some((name, _)) = headers.get(usize::from(repeated)).copied() else { return };
    let is_repetition =
        !name.trim_ascii().eq_ignore_ascii_case(b"date") && !looser::says_a_unit(again);
    if is_repetition {
        headers.push((name, &again));
        let after = ServerLimits::from_headers(headers, received);
        // Of more limits than are read, others may be read now.
        if after.iter().count() < 8 {
            looser::assert_not_looser(&before, &after);
        }
    }
});
