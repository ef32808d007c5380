//! How long to wait, as the text of an error says it: `Please try again in 1m2.5s`.

use std::time::Duration;

use super::headers::duration::{self, Decimal};

/// The words that a wait follows, in any case. Each space stands for any white space.
const BEFORE_A_WAIT: [&str; 18] = [
    "again in",
    "again after",
    "retry in",
    "retry after",
    "retry-after",
    "retry_after",
    "retry_after_seconds",
    "retryafter",
    "retrying in",
    "retrying after",
    "retrydelay",
    "quotaresetdelay",
    "reset in",
    "resets in",
    "reset after",
    "resets after",
    "available in",
    "wait",
];

/// Those of [`BEFORE_A_WAIT`] after which a number without a unit is in seconds, as in the header
/// `retry-after`.
const BEFORE_SECONDS: [&str; 6] =
    ["retry after", "retry-after", "retry_after", "retry_after_seconds", "retryafter", "wait"];

/// Words that may stand between those words and the wait.
const FILLERS: [&str; 7] =
    ["for", "at least", "about", "another", "approximately", "around", "up to"];

/// Words for the number 1.
const ONE: [&str; 3] = ["a", "an", "one"];

/// The names of units in nanoseconds, from the longest unit to the shortest. After a name, there
/// must be no letter.
static UNITS: [Unit; 7] = [
    (&["d", "day", "days"], 86_400 * duration::SECOND),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600 * duration::SECOND),
    (&["m", "min", "mins", "minute", "minutes"], 60 * duration::SECOND),
    (&["s", "sec", "secs", "second", "seconds"], duration::SECOND),
    (&["ms", "msec", "msecs", "millisecond", "milliseconds"], duration::MILLISECOND),
    (&["us", "µs", "μs", "microsecond", "microseconds"], 1_000),
    (&["ns", "nanosecond", "nanoseconds"], 1),
];

type Unit = (&'static [&'static str], u128);

/// No more of a text is read than this.
const MOST_BYTES: usize = 16 * 1024;

/// Reads how long to wait from the text of an error, such as `Please try again in 20s`.
///
/// Providers often say a wait only there, or say it more exactly there than in `retry-after`. The
/// wait is a number with a unit, or several, after words such as `try again in`, `retry after`,
/// `reset after`, `wait` or `retryDelay`. It may be written as `1m2.5s`, `34 seconds`, `1 minute
/// and 30 seconds` or `1,200 ms`. After `retry after` and `wait`, a number alone is in seconds.
///
/// The first wait in the text counts. It is rounded up to a nanosecond. `None` if the text names no
/// wait, or only waits of 10⁹ s (31 years) or more.
///
/// Texts come from servers: at most 16 KiB are read, in time linear in their length, and no text
/// causes a panic. There is no other bound on the wait, so decide how long a server may make you
/// wait.
///
/// ```
/// use std::time::Duration;
/// use tollgate::llm::wait_in_text;
///
/// let text = "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29937, \
///             Requested 385. Please try again in 644ms.";
/// assert_eq!(wait_in_text(text), Some(Duration::from_millis(644)));
/// let text = "Rate limit of 50 per 86400s exceeded. Please wait 5631 seconds before retrying.";
/// assert_eq!(wait_in_text(text), Some(Duration::from_secs(5_631)));
/// assert_eq!(wait_in_text("Rate limit of 50 per 86400s exceeded."), None);
/// ```
#[must_use]
pub fn wait_in_text(text: &str) -> Option<Duration> {
    let mut end = text.len().min(MOST_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut rest = &text[..end];
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_alphabetic()) {
        rest = &rest[start..];
        let wait = BEFORE_A_WAIT.iter().find_map(|words| {
            let after = skip_fillers(after_words(rest, words)?);
            wait_at_start(after, BEFORE_SECONDS.contains(words))
        });
        if wait.is_some() {
            return wait;
        }
        rest = rest.trim_start_matches(is_part_of_word);
    }
    None
}

fn is_part_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// What follows `words`, if the text starts with them.
fn after_words<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let mut rest = text;
    for (index, word) in words.split(' ').enumerate() {
        if index > 0 {
            let next = rest.trim_start();
            if next.len() == rest.len() {
                return None;
            }
            rest = next;
        }
        let start = rest.get(..word.len())?;
        if !start.eq_ignore_ascii_case(word) {
            return None;
        }
        rest = &rest[word.len()..];
        if rest.starts_with(is_part_of_word) {
            return None;
        }
    }
    Some(rest)
}

/// Skips what may stand before the wait: quotes and the like (`"retryDelay": "34s"`), and words
/// such as `for`.
fn skip_fillers(text: &str) -> &str {
    let mut rest = text;
    loop {
        let is_mark = |letter: char| letter.is_whitespace() || "\"'`\\:=~≈(*".contains(letter);
        rest = rest.trim_start_matches(is_mark);
        match FILLERS.iter().find_map(|filler| after_words(rest, filler)) {
            Some(after) => rest = after,
            None => return rest,
        }
    }
}

/// Reads the wait that the text starts with: numbers with units, each unit shorter than the one
/// before.
fn wait_at_start(text: &str, is_in_seconds: bool) -> Option<Duration> {
    let mut rest = text;
    let mut total: u128 = 0;
    let mut units = &UNITS[..];
    let mut is_first = true;
    while let Some((number, after)) = take_number(rest) {
        let Some((nanos, shorter, after)) = take_unit(after.trim_start(), units) else {
            if is_first && is_in_seconds && ends_a_number(after) {
                return duration::from_nanos(number.nanos(duration::SECOND)?);
            }
            break;
        };
        total = total.saturating_add(number.nanos(nanos)?);
        units = shorter;
        is_first = false;
        let after =
            after.trim_start_matches(|letter: char| letter.is_whitespace() || letter == ',');
        rest = after_words(after, "and").map_or(after, str::trim_start);
    }
    if is_first { None } else { duration::from_nanos(total) }
}

/// Whether a number without a unit can end here: it is not part of a date, and does not count
/// something else (`wait 5 requests`).
fn ends_a_number(after: &str) -> bool {
    let is_joined =
        after.starts_with(|letter: char| is_part_of_word(letter) || "-:/".contains(letter));
    !is_joined && !after.trim_start().starts_with(char::is_alphabetic)
}

/// A number of the text.
enum Number<'a> {
    Plain(Decimal<'a>),
    /// With separators between the thousands, which are removed here.
    Grouped(String),
    One,
}

impl Number<'_> {
    /// The number times a unit in nanoseconds.
    fn nanos(&self, unit: u128) -> Option<u128> {
        match self {
            Self::Plain(number) => number.times(unit),
            Self::Grouped(digits) => Decimal::parse(digits)?.times(unit),
            Self::One => Some(unit),
        }
    }
}

/// Splits the text into the number that it starts with, and the rest.
fn take_number(text: &str) -> Option<(Number<'_>, &str)> {
    if let Some(after) = ONE.iter().find_map(|word| after_words(text, word)) {
        return Some((Number::One, after));
    }
    let (number, mut rest) = Decimal::take(text)?;
    let mut digits = String::new();
    // `86,400`: each comma is followed by three digits.
    while let Some(group) = rest.strip_prefix(',').and_then(|rest| rest.get(..3)) {
        let after = &rest[4..];
        let is_group = group.bytes().all(|byte| byte.is_ascii_digit());
        if !is_group || after.starts_with(|letter: char| letter.is_ascii_digit()) {
            break;
        }
        if digits.is_empty() {
            digits.push_str(&text[..text.len() - rest.len()]);
        }
        digits.push_str(group);
        rest = after;
    }
    let number = if digits.is_empty() { Number::Plain(number) } else { Number::Grouped(digits) };
    Some((number, rest))
}

/// Splits the text into the unit that it starts with and the rest. Returns also which of the units
/// are shorter.
fn take_unit<'a>(
    text: &'a str,
    units: &'static [Unit],
) -> Option<(u128, &'static [Unit], &'a str)> {
    units.iter().enumerate().find_map(|(index, (names, nanos))| {
        let after = names.iter().find_map(|name| {
            let start = text.get(..name.len())?;
            let after = &text[name.len()..];
            // A digit may follow, as in `1m2s`.
            let is_name = start.eq_ignore_ascii_case(name);
            (is_name && !after.starts_with(char::is_alphabetic)).then_some(after)
        })?;
        Some((*nanos, &units[index + 1..], after))
    })
}

#[cfg(test)]
mod tests;
