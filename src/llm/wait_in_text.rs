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
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Texts of errors that providers sent, as users of other clients reported them.
    #[test]
    fn texts_of_providers() {
        for (text, nanos) in [
            // OpenAI.
            (
                "on tokens per min (TPM): Limit 30000, Used 28039, Requested 3906. Please try again in 3.89s. Visit https://platform.openai.com/account/rate-limits to learn more.",
                3_890_000_000,
            ),
            (
                "on tokens per min. Limit: 10000 / min. Please try again in 6ms. Contact us through our help center",
                6_000_000,
            ),
            ("Limit 3, Used 3, Requested 1. Please try again in 20s.", 20_000_000_000),
            // Groq.
            (
                "on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in 9m38.016s. Need more tokens? Upgrade",
                578_016_000_000,
            ),
            ("Requested ~12903. Please try again in 50.597142857s. Visit", 50_597_142_857),
            ("Used 99000, Requested 5000. Please try again in 1h28m. Need", 5_280_000_000_000),
            // Azure.
            (
                "your current OpenAI S0 pricing tier. Please retry after 86400 seconds. Please contact",
                86_400_000_000_000,
            ),
            ("Rate limit is exceeded. Try again in 30 seconds.", 30_000_000_000),
            // Gemini, and Google's Code Assist.
            ("input_token_count, limit: 4000000\nPlease retry in 47.434392449s.", 47_434_392_449),
            ("'google.rpc.RetryInfo', 'retryDelay': '47s'}]}}", 47_000_000_000),
            (r#""retryDelay": "34.074824224s""#, 34_074_824_224),
            (r#"\"retryDelay\": \"58.9s\""#, 58_900_000_000),
            (
                "You have exhausted your capacity on this model. Your quota will reset after 15h51m26s.",
                57_086_000_000_000,
            ),
            (r#""quotaResetDelay": "135h9m46s""#, 486_586_000_000_000),
            // Moonshot.
            (
                "request reached organization max RPM: 20, please try again after 1 seconds",
                1_000_000_000,
            ),
            // GitHub Models.
            (
                "Rate limit of 8 per 86400s exceeded for UserByModelByDay. Please wait 85841 seconds before retrying.",
                85_841_000_000_000,
            ),
            // Forms that clients are tested with.
            ("rate limit; retry after 2500 ms", 2_500_000_000),
            ("Please try\nagain in 11.455s. Need more", 11_455_000_000),
            ("Retry-After: 20", 20_000_000_000),
            (r#"{"error": "slow down", "retry_after": 7.5}"#, 7_500_000_000),
            ("please wait for at least 1 minute and 30 seconds", 90_000_000_000),
            ("Try again in 2 hours, 5 minutes", 7_500_000_000_000),
            ("Please wait 86,400 seconds", 86_400_000_000_000),
            ("please wait a few minutes, or retry after 1,234,567ms", 1_234_567_000_000),
            ("try again in an hour", 3_600_000_000_000),
            ("Resets in: ~3 days.", 259_200_000_000_000),
            ("TRY AGAIN IN 5 SECONDS", 5_000_000_000),
            ("wait 30.", 30_000_000_000),
            // The first counts, and what follows it does not belong to it.
            ("retry in 2s 30 requests, then retry in 9s", 2_000_000_000),
            ("retry in 2s 1m", 2_000_000_000),
            ("wait 1m2ms3", 60_002_000_000),
        ] {
            assert_eq!(wait_in_text(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn texts_without_a_wait() {
        for text in [
            "",
            "Rate limit of 50 per 86400s exceeded",
            "Limit 30000, Requested 31538. The input or output tokens must be reduced",
            "Please reduce the prompt length or the maximum tokens requested, or try again later.",
            "Too many tokens, please wait before trying again.",
            "please wait a few minutes before you try again",
            "please try again in a moment",
            "try again in 5",
            "wait 5 requests",
            "please reduce your message size and try again. Visit",
            "retry after 2026-08-13T15:37:13Z",
            "Retry-After: Thu, 13 Aug 2026 15:37:13 GMT",
            "try again at 3:45 PM",
            "await 5s",
            "waiting 5s",
            "wait -5s",
            "wait 5sm",
            "wait 5 mother",
            "retry in NaN s",
            "try again in 1000000000s",
            "try again in 99999999999999999999999999999999999999999 hours",
            "available in 20 regions",
        ] {
            assert_eq!(wait_in_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_long_text_is_read_up_to_a_bound() {
        let wait = "retry in 5s";
        let read = Some(Duration::from_secs(5));
        assert_eq!(wait_in_text(&(" ".repeat(MOST_BYTES - wait.len()) + wait)), read);
        assert_eq!(wait_in_text(&(" ".repeat(MOST_BYTES) + wait)), None);
        // The bound falls into a letter.
        assert_eq!(wait_in_text(&("\u{20ac}".repeat(MOST_BYTES / 3) + "€€")), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,200}") {
            let wait = wait_in_text(&text);
            prop_assert!(wait.is_none_or(|wait| wait.as_secs() < duration::TOO_LONG));
        }

        #[test]
        fn pieces_in_any_order_are_read(pieces in prop::collection::vec(
            prop::sample::select(vec![
                "retry", " ", "after", "in", "wait", "1", ",000", "s", "m", ".", "\"", ":", "and",
                "9999999999999999999999", "ms", "day", "a", "for", "é", "µs", "-", "_", "\n",
            ]),
            0..40,
        )) {
            let text = pieces.concat();
            let wait = wait_in_text(&text);
            prop_assert!(wait.is_none_or(|wait| wait.as_secs() < duration::TOO_LONG));
        }

        #[test]
        fn what_is_written_is_read(hours in 0_u64..1_000, minutes in 0_u64..60, ms in 0_u64..60_000) {
            let wait = Duration::from_millis((hours * 3_600 + minutes * 60) * 1_000 + ms);
            let (secs, millis) = (ms / 1_000, ms % 1_000);
            let short = format!("{hours}h{minutes}m{secs}.{millis:03}s");
            prop_assert_eq!(wait_in_text(&format!("Please try again in {short}.")), Some(wait));
            let long = format!("{hours} hours, {minutes} minutes and {secs}.{millis:03} seconds");
            prop_assert_eq!(wait_in_text(&format!("retry after {long}, please")), Some(wait));
        }
    }
}
