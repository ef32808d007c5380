//! Numbers as text: digits without `format!`, and without an allocation if the number is small.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

/// The largest integer that a structured field can hold (RFC 9651, section 3.3.1). Larger numbers
/// are sent as this one, also in fields that are not structured, so that all fields agree.
pub(super) const MAX: u64 = 999_999_999_999_999;

/// So many numbers, from 0 on, have their text in a table.
const SMALL: usize = 10_000;

/// The texts of small numbers, with leading zeros.
static SMALL_TEXTS: [[u8; 4]; SMALL] = small_texts();

#[allow(clippy::large_stack_arrays, reason = "only the compiler calls it")]
const fn small_texts() -> [[u8; 4]; SMALL] {
    let mut texts = [[b'0'; 4]; SMALL];
    let mut number = 0;
    while number < SMALL {
        let mut rest = number;
        let mut place = 4;
        while place > 0 {
            place -= 1;
            texts[number][place] = b"0123456789"[rest % 10];
            rest /= 10;
        }
        number += 1;
    }
    texts
}

/// The text of a small number.
fn small(number: u64) -> Option<&'static [u8]> {
    let text = SMALL_TEXTS.get(usize::try_from(number).ok()?)?;
    text.get(4_usize.saturating_sub(len(number))..)
}

/// The number of digits of `number`.
pub(super) fn len(number: u64) -> usize {
    match number {
        0..=9 => 1,
        10..=99 => 2,
        100..=999 => 3,
        1_000..=9_999 => 4,
        _ => number.ilog10() as usize + 1,
    }
}

/// Appends the digits of `number`.
pub(super) fn push(text: &mut Vec<u8>, number: u64) {
    match small(number) {
        Some(digits) => text.extend_from_slice(digits),
        None => text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
    }
}

/// `number` as a header's value; allocates from 10,000 on.
pub(super) fn value(number: u64) -> HeaderValue {
    ascii(match small(number) {
        Some(digits) => Bytes::from_static(digits),
        None => Bytes::copy_from_slice(itoa::Buffer::new().format(number).as_bytes()),
    })
}

/// `text` as a header's value. Every text of this module's users is visible ASCII and blanks, which
/// is always valid; a text that is not would become an empty value.
pub(super) fn ascii(text: Bytes) -> HeaderValue {
    let value = HeaderValue::from_maybe_shared(text);
    debug_assert!(value.is_ok(), "a header's value with control characters");
    value.unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// A value that many responses share: clones of it never allocate. (The first clone of a `Bytes`
/// that owns a buffer allocates a counter of its owners.)
pub(super) fn shared(value: HeaderValue) -> HeaderValue {
    drop(value.clone());
    value
}

/// Whole seconds, rounded up, so that whoever waits for so long is not early.
pub(super) fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).min(MAX)
}

/// Like [`seconds`], and at least 1: a client that is told 0 would come back at once.
pub(super) fn wait_seconds(wait: Duration) -> u64 {
    seconds(wait).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_display() {
        let edges = (0..20).flat_map(|exponent| {
            let power = 10_u64.pow(exponent);
            [power - 1, power, power + 1]
        });
        for number in (0..10_010).chain(edges).chain([MAX, u64::MAX]) {
            let text = number.to_string();
            assert_eq!(value(number), text);
            assert_eq!(len(number), text.len());
            let mut pushed = Vec::new();
            push(&mut pushed, number);
            assert_eq!(pushed, text.as_bytes());
        }
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!(seconds(Duration::ZERO), 0);
        assert_eq!(seconds(Duration::from_nanos(1)), 1);
        assert_eq!(seconds(Duration::from_secs(1)), 1);
        assert_eq!(seconds(Duration::from_nanos(1_000_000_001)), 2);
        assert_eq!(seconds(Duration::MAX), MAX);
        assert_eq!(wait_seconds(Duration::ZERO), 1);
    }
}
