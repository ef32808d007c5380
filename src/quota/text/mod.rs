//! Quotas as text: `"600/min burst 100"`, and the spellings of other programs.

mod count;
mod error;
mod period;
mod settings;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use count::BadCount;
pub use error::ParseQuotaError;

use super::Quota;

/// Words that separate the permits from the period.
const SEPARATORS: [&str; 5] = ["per", "every", "each", "a", "an"];

/// Words for a whole rate, as in `600 rpm`, and the periods that they mean.
const RATES: [(&str, &str); 12] = [
    ("rps", "s"),
    ("qps", "s"),
    ("tps", "s"),
    ("rpm", "min"),
    ("qpm", "min"),
    ("tpm", "min"),
    ("rph", "h"),
    ("qph", "h"),
    ("tph", "h"),
    ("rpd", "day"),
    ("qpd", "day"),
    ("tpd", "day"),
];

impl FromStr for Quota {
    type Err = ParseQuotaError;

    /// Reads `<permits>/<period>[ burst <permits>]` or `unlimited`, and the other spellings in the
    /// table at [`Quota`](Quota#as-text).
    ///
    /// # Errors
    ///
    /// If the text is not a quota. The message says which part can't be read, and what to write
    /// instead.
    ///
    /// ```
    /// use tollgate::Quota;
    /// assert_eq!("10 per 5 minutes".parse::<Quota>()?.to_string(), "10/5min");
    /// # Ok::<(), tollgate::ParseQuotaError>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, ParseQuotaError> {
        let text = text.trim().trim_end_matches([',', ';']).trim_end();
        if text.eq_ignore_ascii_case("unlimited") {
            return Ok(Self::unlimited());
        }
        let parts = match settings::parts(text)? {
            Some(parts) => parts,
            None => parts(text)?,
        };
        parts.quota()
    }
}

/// The parts of the text of a quota, each as it was written.
struct Parts<'a> {
    permits: &'a str,
    period: Cow<'a, str>,
    /// The text after the word `burst`.
    burst: Option<&'a str>,
}

impl Parts<'_> {
    fn quota(&self) -> Result<Quota, ParseQuotaError> {
        let permits = count::parse(self.permits);
        let period = period::parse(&self.period);
        // The message for a fraction needs the period, so a mistake in the period is reported
        // first.
        if let (Err(BadCount::Fraction(_)), Err(message)) = (permits, &period) {
            return Err(bad_period(&self.period, message.clone()));
        }
        let permits = permits.map_err(|bad| {
            let text = self.permits.trim();
            let mut message = bad.message(text);
            if let Some(spelling) = self.whole_rate(bad, period.as_ref().ok()) {
                message = format!("{message}: write `{spelling}`");
            }
            ParseQuotaError::Permits { text: text.to_owned(), message }
        })?;
        let period = period.map_err(|message| bad_period(&self.period, message))?;
        let mut quota = Quota::per(permits, period);
        if let Some(burst) = self.burst {
            quota = quota.burst(burst_size(burst)?);
        }
        quota.validate()?;
        Ok(quota)
    }

    /// A rate with a fraction of a permit, as a rate with whole permits: `0.5/s` is `1/2s`.
    fn whole_rate(&self, bad: BadCount, period: Option<&Duration>) -> Option<Quota> {
        let BadCount::Fraction(decimal) = bad else { return None };
        let factor = match self.permits.trim_start_matches(|c: char| !c.is_ascii_alphabetic()) {
            thousands if thousands.starts_with(['k', 'K']) => 1_000,
            millions if millions.starts_with('M') => 1_000_000,
            _ => 1,
        };
        let (permits, periods) = decimal.times(factor)?;
        let period = period?.checked_mul(u32::try_from(periods).ok()?)?;
        let mut quota = Quota::per(u64::try_from(permits).ok()?, period);
        if let Some(burst) = self.burst {
            quota = quota.burst(burst_size(burst).ok()?);
        }
        quota.validate().ok().map(|()| quota)
    }
}

/// Splits `10/s burst 5` and its variants.
fn parts(text: &str) -> Result<Parts<'_>, ParseQuotaError> {
    let (rate, burst) = split_burst(without_key(text, "rate").unwrap_or(text));
    let (permits, period) = split_rate(rate).ok_or(ParseQuotaError::Form)?;
    if holds_a_rate(period) || burst.is_some_and(holds_a_rate) {
        return Err(ParseQuotaError::Several { text: text.to_owned() });
    }
    Ok(Parts { permits, period: period.into(), burst })
}

/// Splits a rate into its permits and its period.
fn split_rate(rate: &str) -> Option<(&str, &str)> {
    let slash = rate.find('/').map(|at| (at, at + 1));
    let word = find_word(rate, |word| is_one_of(word, &SEPARATORS));
    if let Some((start, end)) = [slash, word].into_iter().flatten().min() {
        let (permits, separator) = (&rate[..start], &rate[start..end]);
        // `every 100ms` has no number of permits and means one.
        let one = separator.eq_ignore_ascii_case("every") && permits.is_empty();
        let permits = if one { "1" } else { permits };
        return Some((permits, rate[end..].trim()));
    }
    for (word, period) in RATES {
        if let Some(permits) = without_end(rate, word) {
            return Some((permits, period));
        }
    }
    // The form `10-M`, with one letter for the unit.
    let (permits, letter) = rate.split_once('-')?;
    (is_one_of(letter, &["s", "m", "h", "d"]) && !permits.is_empty()).then_some((permits, letter))
}

/// Whether `text`, which follows a rate, contains another rate: a number of permits and a period.
fn holds_a_rate(text: &str) -> bool {
    split_rate(text).is_some_and(|(before, _)| {
        let before = before.trim_end();
        let number = before.trim_end_matches(|c: char| !c.is_ascii_digit());
        let start = number.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        count::parse(&before[start..]).is_ok()
    })
}

/// The text before the word `burst`, and the text after it.
fn split_burst(text: &str) -> (&str, Option<&str>) {
    let lower = text.to_ascii_lowercase();
    let found = lower.match_indices("burst").find(|&(at, word)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        before.is_some_and(|c| c.is_whitespace() || ",;(".contains(c))
            && !after.is_some_and(char::is_alphabetic)
    });
    let Some((at, word)) = found else { return (text, None) };
    let rate = text[..at].trim_end_matches(|c: char| c.is_whitespace() || ",;(".contains(c));
    let rate = without_end(rate, " with").unwrap_or(rate).trim_end();
    (rate, Some(&text[at + word.len()..]))
}

/// The size of the burst, from the text after the word `burst`.
fn burst_size(text: &str) -> Result<u64, ParseQuotaError> {
    let number = text.trim().trim_end_matches([')', ';']);
    let number = without_end(number, " nodelay").unwrap_or(number);
    let number = number.strip_prefix(['=', ':']).unwrap_or(number);
    let number = number.strip_prefix("of ").unwrap_or(number);
    count::parse(number).map_err(|bad| {
        let text = format!("burst {}", number.trim()).trim_end().to_owned();
        let message = match bad {
            BadCount::NotANumber | BadCount::Missing => {
                format!("`{text}` is not a burst: write `burst <permits>` or leave it out")
            }
            _ => format!("the burst can't be read: {}", bad.message(number.trim())),
        };
        ParseQuotaError::Burst { text, message }
    })
}

fn bad_period(text: &str, message: String) -> ParseQuotaError {
    ParseQuotaError::Period { text: text.trim().to_owned(), message }
}

/// The text after `key=` or `key:` at the start of `text`.
fn without_key<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let start = text.get(..key.len()).filter(|start| start.eq_ignore_ascii_case(key))?;
    let rest = text[start.len()..].trim_start();
    rest.strip_prefix(['=', ':']).map(str::trim)
}

/// `text` without `end` at its end; `None` if it ends differently.
fn without_end<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(end.len())?;
    text.get(at..).filter(|found| found.eq_ignore_ascii_case(end)).map(|_| &text[..at])
}

/// The start and the end of the first word that is `wanted`.
fn find_word(text: &str, wanted: impl Fn(&str) -> bool) -> Option<(usize, usize)> {
    let mut start = 0;
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        if wanted(word) {
            return Some((start, start + word.len()));
        }
        start += piece.len();
    }
    None
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unlimited() {
            return f.write_str("unlimited");
        }
        let (count, unit) = period::printed(self.period().as_nanos());
        write!(f, "{}/", self.permits())?;
        if count != 1 {
            write!(f, "{count}")?;
        }
        f.write_str(unit)?;
        if self.burst_size() != self.permits() {
            write!(f, " burst {}", self.burst_size())?;
        }
        Ok(())
    }
}
