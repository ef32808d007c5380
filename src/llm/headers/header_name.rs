//! What each header is about, by its name, in the dialects of all providers.

use crate::llm::{Counted, Period};

/// No known name is longer.
const LONGEST: usize = 64;

/// A header's name in lower case, without an allocation.
#[derive(Clone, Copy)]
pub(super) struct Name {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Name {
    /// `None` if no known name begins with the same letter or is as long: most headers of a
    /// response are about something else.
    pub(super) fn new(name: &[u8]) -> Option<Self> {
        let name = name.trim_ascii();
        if !matches!(name.first()?.to_ascii_lowercase(), b'a' | b'd' | b'l' | b'r' | b'x') {
            return None;
        }
        let mut bytes = [0; LONGEST];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        bytes.make_ascii_lowercase();
        Some(Self { bytes, length: name.len() })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The name as text; empty if it is not UTF-8.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// What a header is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Limit(Target, Part),
    RetryAfter,
    RetryAfterMs,
    Date,
    /// `RateLimit` of the IETF drafts from 7 on: the state of one or more policies.
    IetfState,
    /// `RateLimit-Policy` of the IETF drafts.
    IetfPolicy,
    /// Whether the account of an Anthropic subscription may send requests.
    UnifiedStatus,
    /// When an Anthropic subscription may send requests again.
    UnifiedReset,
    /// It looks like a limit, but its name is not known.
    Unknown,
}

/// Which limit a header is about, as far as its name says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `None` if the name does not say what is limited.
    pub(super) counted: Option<Counted>,
    /// `None` if the name does not say over which period.
    pub(super) period: Option<Period>,
    pub(super) dialect: Dialect,
}

/// A family of names that says more than the words of a name do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Any,
    /// Limits are refilled evenly, and remaining tokens are rounded to thousands
    /// ([Anthropic](https://docs.anthropic.com/en/api/rate-limits)).
    Anthropic,
    /// Tokens; all limits of the response without a period are per second
    /// ([Together](https://docs.together.ai/docs/rate-limits)).
    Together,
    /// Tokens, per minute if the name says no period (Mistral until 2025).
    BySize,
}

/// What a header reports about a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Limit,
    /// The name does not say it (`x-ratelimit-requests`): a limit, if what remains of it is
    /// reported too.
    LimitOrUse,
    Remaining,
    Reset,
    Period,
}

/// The prefixes of headers about limits, and what each of them says about the response.
const PREFIXES: [(&[u8], Dialect); 7] = [
    (b"x-ratelimit-", Dialect::Any),
    // Seen from Azure (openai-python#937).
    (b"x-rate-limit-", Dialect::Any),
    // The IETF drafts 0 to 6.
    (b"ratelimit-", Dialect::Any),
    (b"anthropic-ratelimit-", Dialect::Anthropic),
    (b"x-tokenlimit-", Dialect::Together),
    (b"ratelimitbysize-", Dialect::BySize),
    (b"x-ratelimitbysize-", Dialect::BySize),
];

/// What the header with this name (in lower case) is about; `None` if it is not about limits.
pub(super) fn subject(name: &[u8]) -> Option<Subject> {
    // LiteLLM passes the provider's headers on under this prefix.
    let name = name.strip_prefix(b"llm_provider-").unwrap_or(name);
    let known = |counted, period, part| {
        Some(Subject::Limit(Target { counted: Some(counted), period, dialect: Dialect::Any }, part))
    };
    match name {
        b"retry-after" => return Some(Subject::RetryAfter),
        b"retry-after-ms" | b"x-ms-retry-after-ms" => return Some(Subject::RetryAfterMs),
        b"date" => return Some(Subject::Date),
        b"ratelimit" => return Some(Subject::IetfState),
        b"ratelimit-policy" => return Some(Subject::IetfPolicy),
        b"anthropic-ratelimit-unified-status" => return Some(Subject::UnifiedStatus),
        b"anthropic-ratelimit-unified-reset" => return Some(Subject::UnifiedReset),
        // Cohere's trial keys: calls per minute, and per month.
        b"x-trial-endpoint-call-limit" => {
            return known(Counted::Requests, Some(Period::MINUTE), Part::Limit);
        }
        b"x-trial-endpoint-call-remaining" => {
            return known(Counted::Requests, Some(Period::MINUTE), Part::Remaining);
        }
        b"x-endpoint-monthly-call-limit" => {
            return known(Counted::Requests, Some(Period::MONTH), Part::Limit);
        }
        _ => {}
    }
    let (rest, dialect) = PREFIXES
        .iter()
        .find_map(|(prefix, dialect)| Some((name.strip_prefix(*prefix)?, *dialect)))?;
    Some(Words::read(rest, dialect).map_or(Subject::Unknown, |(t, part)| Subject::Limit(t, part)))
}

/// The words of a name, in any order: `limit-tokens-minute`, `input-tokens-remaining`.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a word")]
struct Words {
    part: Option<Part>,
    period: Option<Period>,
    /// The number of a period, such as the 10 of `10-second`.
    number: Option<u32>,
    requests: bool,
    tokens: bool,
    input: bool,
    output: bool,
    project: bool,
}

impl Words {
    fn read(text: &[u8], dialect: Dialect) -> Option<(Target, Part)> {
        let tokens = matches!(dialect, Dialect::Together | Dialect::BySize);
        let mut words = Self { tokens, ..Self::default() };
        for word in text.split(|byte| matches!(byte, b'-' | b'_')) {
            words.add(word)?;
        }
        // A number without a unit.
        if words.number.is_some() {
            return None;
        }
        let counted = words.counted().ok()?;
        // Anthropic's interface for clients of OpenAI has limits without the word.
        let part = words.part.or_else(|| counted.map(|_| Part::LimitOrUse))?;
        let minute = (dialect == Dialect::BySize).then_some(Period::MINUTE);
        Some((Target { counted, period: words.period.or(minute), dialect }, part))
    }

    /// `None` if the word is not known, or says the same as another one.
    fn add(&mut self, word: &[u8]) -> Option<()> {
        match word {
            b"limit" => return set(&mut self.part, Part::Limit),
            b"remaining" => return set(&mut self.part, Part::Remaining),
            b"reset" => return set(&mut self.part, Part::Reset),
            b"renewalperiod" => return set(&mut self.part, Part::Period),
            // Mistral writes `req`.
            b"requests" | b"request" | b"req" => self.requests = true,
            b"tokens" | b"token" => self.tokens = true,
            b"input" | b"prompt" => self.input = true,
            b"output" | b"generated" => self.output = true,
            b"project" => self.project = true,
            // OpenAI has sent `tokens_usage_based` since 2023, always with the same numbers;
            // Fireworks sends `tokens-cache-adjusted-prompt` and `tokens-uncached-prompt`.
            b"usage" | b"based" | b"cache" | b"adjusted" | b"uncached" if self.tokens => {}
            b"second" | b"seconds" | b"sec" => return self.add_period(1),
            b"minute" | b"minutes" | b"min" => return self.add_period(60),
            b"hour" | b"hours" => return self.add_period(3_600),
            b"day" | b"days" => return self.add_period(24 * 3_600),
            b"month" | b"months" => return self.add_period(Period::MONTH.as_secs()),
            number => {
                // (A parser of numbers would accept a sign.)
                let digits = number.iter().all(u8::is_ascii_digit).then_some(number)?;
                let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
                return set(&mut self.number, number);
            }
        }
        Some(())
    }

    /// Adds a unit of time, of which there may be a number.
    fn add_period(&mut self, seconds: u32) -> Option<()> {
        let seconds = self.number.take().unwrap_or(1).checked_mul(seconds)?;
        set(&mut self.period, Period::seconds(seconds)?)
    }

    /// What is limited; `None` if the name does not say it.
    ///
    /// # Errors
    ///
    /// The name says several things, or a thing that is not counted here.
    fn counted(&self) -> Result<Option<Counted>, NotCounted> {
        let Self { requests, tokens, input, output, project, .. } = *self;
        Ok(match (requests, tokens, input, output, project) {
            (false, false, false, false, false) => None,
            (true, false, false, false, false) => Some(Counted::Requests),
            (false, true, false, false, false) => Some(Counted::Tokens),
            (false, true, true, false, false) => Some(Counted::InputTokens),
            (false, true, false, true, false) => Some(Counted::OutputTokens),
            (false, true, false, false, true) => Some(Counted::ProjectTokens),
            _ => return Err(NotCounted),
        })
    }
}

/// A name is about something that is not counted here.
struct NotCounted;

/// Sets what no word has said before; `None` if another word has.
fn set<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> Option<Subject> {
        subject(Name::new(name.as_bytes())?.as_bytes())
    }

    #[test]
    fn names_of_every_dialect() {
        use Counted::{InputTokens, OutputTokens, ProjectTokens, Requests, Tokens};
        let ten_seconds = Period::seconds(10);
        let five_minutes = Period::seconds(300);
        for (name, counted, period, part) in [
            ("x-ratelimit-limit-requests", Some(Requests), None, Part::Limit),
            ("X-RateLimit-Remaining-Tokens", Some(Tokens), None, Part::Remaining),
            (" x-ratelimit-reset-project-tokens ", Some(ProjectTokens), None, Part::Reset),
            ("x-rate-limit-reset-tokens", Some(Tokens), None, Part::Reset),
            ("x-ratelimit-renewalperiod-tokens", Some(Tokens), None, Part::Period),
            ("x-ratelimit-limit-tokens_usage_based", Some(Tokens), None, Part::Limit),
            ("x-ratelimit-limit-requests-day", Some(Requests), Some(Period::DAY), Part::Limit),
            ("x-ratelimit-limit-tokens-hour", Some(Tokens), Some(Period::HOUR), Part::Limit),
            (
                "x-ratelimit-remaining-tokens-month",
                Some(Tokens),
                Some(Period::MONTH),
                Part::Remaining,
            ),
            (
                "x-ratelimit-remaining-req-minute",
                Some(Requests),
                Some(Period::MINUTE),
                Part::Remaining,
            ),
            ("x-ratelimit-limit-req-10-second", Some(Requests), ten_seconds, Part::Limit),
            ("x-ratelimit-limit-tokens-5-minute", Some(Tokens), five_minutes, Part::Limit),
            ("x-ratelimit-limit-output-tokens", Some(OutputTokens), None, Part::Limit),
            ("x-ratelimit-limit-tokens-prompt", Some(InputTokens), None, Part::Limit),
            (
                "x-ratelimit-limit-tokens-cache-adjusted-prompt",
                Some(InputTokens),
                None,
                Part::Limit,
            ),
            ("x-ratelimit-remaining-tokens-generated", Some(OutputTokens), None, Part::Remaining),
            ("x-ratelimit-limit", None, None, Part::Limit),
            ("ratelimit-remaining", None, None, Part::Remaining),
            ("x-tokenlimit-limit", Some(Tokens), None, Part::Limit),
            ("ratelimitbysize-reset", Some(Tokens), Some(Period::MINUTE), Part::Reset),
            ("x-ratelimitbysize-limit-month", Some(Tokens), Some(Period::MONTH), Part::Limit),
            ("x-ratelimit-requests", Some(Requests), None, Part::LimitOrUse),
            ("ANTHROPIC-RATELIMIT-INPUT-TOKENS-RESET", Some(InputTokens), None, Part::Reset),
            ("anthropic-ratelimit-requests-limit", Some(Requests), None, Part::Limit),
            ("llm_provider-x-ratelimit-limit-requests", Some(Requests), None, Part::Limit),
            ("x-trial-endpoint-call-limit", Some(Requests), Some(Period::MINUTE), Part::Limit),
        ] {
            let Some(Subject::Limit(target, found)) = read(name) else { panic!("{name}") };
            assert_eq!((target.counted, target.period, found), (counted, period, part), "{name}");
        }
        assert_eq!(read("Retry-After"), Some(Subject::RetryAfter));
        assert_eq!(read("retry-after-ms"), Some(Subject::RetryAfterMs));
        assert_eq!(read("x-ms-retry-after-ms"), Some(Subject::RetryAfterMs));
        assert_eq!(read("Date"), Some(Subject::Date));
        assert_eq!(read("RateLimit"), Some(Subject::IetfState));
        assert_eq!(read("RateLimit-Policy"), Some(Subject::IetfPolicy));
        let status = "anthropic-ratelimit-unified-status";
        assert_eq!(read(status), Some(Subject::UnifiedStatus));
    }

    #[test]
    fn names_that_look_like_limits_are_told_apart_from_others() {
        for name in [
            "x-ratelimit-",
            "x-ratelimit-type",
            "x-ratelimit-minute",
            "x-ratelimit-limit-",
            "x-ratelimit-limit-10-requests",
            "x-ratelimit-limit-requests-minute-hour",
            "x-ratelimit-limit-limit",
            "x-ratelimit-used-tokens",
            "x-ratelimit-limit-project-requests",
            "x-ratelimit-limit-requests-99999999-day",
            "x-ratelimit-limit-audio-seconds-minute",
            "x-ratelimit-limit-input-characters-minute",
            "x-ratelimit-tokens-query-cost",
            "x-ratelimit-abusepenalty-active",
            "x-ratelimit-over-limit",
            "anthropic-ratelimit-",
            "anthropic-ratelimit-unified-overage-status",
            "anthropic-ratelimit-unified-5h-reset",
        ] {
            assert_eq!(read(name), Some(Subject::Unknown), "{name}");
        }
        for name in [
            "",
            "-",
            "x-ratelimit",
            "anthropic-priority-input-tokens-limit",
            "anthropic-fast-output-tokens-limit",
            "retry-after-mss",
            "dated",
        ] {
            assert_eq!(read(name), None, "{name}");
        }
        assert_eq!(read(&"x-ratelimit-limit-tokens".repeat(1000)), None);
        assert!(Name::new(b"x-\xff").is_some_and(|name| name.as_str().is_empty()));
    }

    /// A name that does not fit into the buffer would never be recognised.
    #[test]
    fn the_longest_known_name_fits() {
        let longest = "llm_provider-x-ratelimit-remaining-tokens-cache-adjusted-prompt";
        assert!(longest.len() <= LONGEST);
    }
}
