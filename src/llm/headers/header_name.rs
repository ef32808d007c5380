//! What each header is about, by its name, in the dialects of all providers.

/// No known name is longer.
const LONGEST: usize = 48;

/// A header's name in lower case, without an allocation.
#[derive(Clone, Copy)]
pub(super) struct Name {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Name {
    /// `None` if it is longer than any known name.
    pub(super) fn new(name: &[u8]) -> Option<Self> {
        let name = name.trim_ascii();
        let mut bytes = [0; LONGEST];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        bytes.make_ascii_lowercase();
        Some(Self { bytes, length: name.len() })
    }

    /// The name as text; empty if it is not UTF-8.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

/// What a header is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Limit(Kind, Part),
    RetryAfter,
    RetryAfterMs,
    Date,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Requests,
    RequestsPerDay,
    Tokens,
    TokensPerDay,
    InputTokens,
    OutputTokens,
    ProjectTokens,
    /// The name does not say what is limited.
    Unnamed,
}

impl Kind {
    pub(super) const COUNT: usize = Self::Unnamed as usize + 1;
}

/// What a header reports about a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Limit,
    Remaining,
    Reset,
    Period,
}

/// What the header with this name (in lower case) is about; `None` if it is not about limits.
pub(super) fn subject(name: &str) -> Option<Subject> {
    // `x-rate-limit-` was seen from Azure (openai-python#937).
    for prefix in ["x-ratelimit-", "x-rate-limit-"] {
        if let Some(rest) = name.strip_prefix(prefix) {
            // For example `reset-tokens`, or just `reset`.
            let (part, kind) = rest.split_once('-').map_or((rest, None), |(p, k)| (p, Some(k)));
            let kind = kind.map_or(Some(Kind::Unnamed), kind_of)?;
            return Some(Subject::Limit(kind, part_of(part)?));
        }
    }
    if let Some(rest) = name.strip_prefix("anthropic-ratelimit-") {
        // For example `input-tokens-reset`.
        let (kind, part) = rest.rsplit_once('-')?;
        return Some(Subject::Limit(kind_of(kind)?, part_of(part)?));
    }
    match name {
        "retry-after" => Some(Subject::RetryAfter),
        "retry-after-ms" | "x-ms-retry-after-ms" => Some(Subject::RetryAfterMs),
        "date" => Some(Subject::Date),
        _ => None,
    }
}

fn kind_of(text: &str) -> Option<Kind> {
    Some(match text {
        // Mistral writes `req`.
        "requests" | "requests-minute" | "req-minute" => Kind::Requests,
        "requests-day" | "req-day" => Kind::RequestsPerDay,
        // OpenAI has sent `tokens_usage_based` since 2023, always with the same numbers.
        "tokens" | "tokens-minute" | "tokens_usage_based" => Kind::Tokens,
        "tokens-day" => Kind::TokensPerDay,
        "input-tokens" => Kind::InputTokens,
        "output-tokens" => Kind::OutputTokens,
        "project-tokens" => Kind::ProjectTokens,
        _ => return None,
    })
}

fn part_of(text: &str) -> Option<Part> {
    Some(match text {
        "limit" => Part::Limit,
        "remaining" => Part::Remaining,
        "reset" => Part::Reset,
        "renewalperiod" => Part::Period,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> Option<Subject> {
        subject(Name::new(name.as_bytes())?.as_str())
    }

    #[test]
    fn names_of_every_dialect() {
        for (name, kind, part) in [
            ("x-ratelimit-limit-requests", Kind::Requests, Part::Limit),
            ("X-RateLimit-Remaining-Tokens", Kind::Tokens, Part::Remaining),
            (" x-ratelimit-reset-project-tokens ", Kind::ProjectTokens, Part::Reset),
            ("x-rate-limit-reset-tokens", Kind::Tokens, Part::Reset),
            ("x-ratelimit-renewalperiod-tokens", Kind::Tokens, Part::Period),
            ("x-ratelimit-limit-tokens_usage_based", Kind::Tokens, Part::Limit),
            ("x-ratelimit-limit-requests-day", Kind::RequestsPerDay, Part::Limit),
            ("x-ratelimit-remaining-tokens-day", Kind::TokensPerDay, Part::Remaining),
            ("x-ratelimit-remaining-req-minute", Kind::Requests, Part::Remaining),
            ("x-ratelimit-limit-output-tokens", Kind::OutputTokens, Part::Limit),
            ("x-ratelimit-limit", Kind::Unnamed, Part::Limit),
            ("ANTHROPIC-RATELIMIT-INPUT-TOKENS-RESET", Kind::InputTokens, Part::Reset),
            ("anthropic-ratelimit-requests-limit", Kind::Requests, Part::Limit),
        ] {
            assert_eq!(read(name), Some(Subject::Limit(kind, part)), "{name}");
        }
        assert_eq!(read("Retry-After"), Some(Subject::RetryAfter));
        assert_eq!(read("retry-after-ms"), Some(Subject::RetryAfterMs));
        assert_eq!(read("x-ms-retry-after-ms"), Some(Subject::RetryAfterMs));
        assert_eq!(read("Date"), Some(Subject::Date));
    }

    #[test]
    fn other_names_are_ignored() {
        for name in [
            "",
            "-",
            "x-ratelimit",
            "x-ratelimit-",
            "x-ratelimit-type",
            "x-ratelimit-limit-",
            "x-ratelimit-used-tokens",
            "x-ratelimit-limit-project-requests",
            "x-ratelimit-limit-tokens-hour",
            "x-ratelimit-tokens-query-cost",
            "x-ratelimit-abusepenalty-active",
            "anthropic-ratelimit-",
            "anthropic-ratelimit-limit",
            "anthropic-priority-input-tokens-limit",
            "anthropic-fast-output-tokens-limit",
            "retry-after-mss",
            "dated",
        ] {
            assert_eq!(read(name), None, "{name}");
        }
        assert_eq!(read(&"x-ratelimit-limit-tokens".repeat(1000)), None);
        assert!(Name::new(&[0xff; 9]).is_some_and(|name| name.as_str().is_empty()));
    }

    /// A name that does not fit into the buffer would never be recognised.
    #[test]
    fn the_longest_known_name_fits() {
        assert!("x-rate-limit-renewalperiod-tokens_usage_based".len() <= LONGEST);
    }
}
