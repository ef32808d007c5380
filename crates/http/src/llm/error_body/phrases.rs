//! Phrases in the messages of errors, for those whose codes say little or nothing.

use std::borrow::Cow;

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phrase {
    /// The account is out of money. Providers say so with codes that mean something else.
    Spent,
    /// The request is larger than what the limit allows at once, so no wait helps.
    TooLarge,
    /// It amounts to this status, if no code says otherwise.
    Likely(u16),
}

/// What a message says; `None` if it contains no phrase that is known.
///
/// With `is_message`, quoted parts are left out, because servers quote what clients have sent.
pub(super) fn meaning(text: &str, is_message: bool) -> Option<Phrase> {
    let text = text.get(..most(text)).unwrap_or_default();
    let text = if is_message { without_quotes(text) } else { Cow::Borrowed(text) };
    let text = text.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    // OpenAI, Groq and Anthropic say it with a 429 and the code of a limit.
    let too_large = ["request too large for", "extra usage is required for long context"];
    if too_large.iter().any(|phrase| text.trim_start().starts_with(phrase)) {
        return Some(Phrase::TooLarge);
    }
    if says(SPENT) {
        return Some(Phrase::Spent);
    }
    LIKELY.iter().find(|(_, phrases)| says(phrases)).map(|(status, _)| Phrase::Likely(*status))
}

/// Whether the message of `insufficient_quota` is about tokens per minute: Alibaba uses OpenAI's
/// code and words for that, and adds a link.
pub(super) fn is_about_a_rate(text: &str) -> bool {
    text.contains("error-code#token-limit")
}

/// No more of a message is read than this.
const MOST_BYTES: usize = 4 * 1024;

/// The length up to which a text is read.
fn most(text: &str) -> usize {
    let mut end = text.len().min(MOST_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

const SPENT: &[&str] = &[
    // Anthropic.
    "credit balance is too low",
    // Gemini.
    "credits are depleted",
    "credit balance is depleted",
    // xAI.
    "used all available credits",
    "reached its monthly spending limit",
    // DeepSeek, Moonshot, SiliconFlow.
    "insufficient balance",
    "account balance is insufficient",
    // Hugging Face.
    "your monthly included credits",
    // OpenRouter.
    "insufficient credits",
    "requires more credits",
    // OpenAI.
    "billing hard limit",
    "account is not active, please check your billing",
    // Fireworks.
    "account is suspended",
    // Zhipu: the balance does not suffice.
    "余额不足",
];

const LIKELY: &[(u16, &[&str])] = &[
    (
        401,
        &[
            "incorrect api key",
            "invalid api key",
            "invalid x-api-key",
            "api key not valid",
            "api key is invalid",
            "api key expired",
            // Gemini.
            "api key was reported as leaked",
            // AWS.
            "security token included in the request is",
            // Azure.
            "invalid subscription key",
        ],
    ),
    (
        529,
        &[
            "overloaded",
            "capacity exceeded",
            "no capacity available",
            "at capacity",
            "experiencing high demand",
        ],
    ),
    (
        429,
        &[
            "rate limit",
            "rate-limit",
            "ratelimit",
            "too many requests",
            "too many tokens, please wait",
            "quota exceeded",
            "throttled",
            "throttling",
            "requests per minute",
            "tokens per minute",
            // Cohere.
            "api calls / minute",
            // Cloudflare.
            "error code: 1015",
        ],
    ),
    // OpenAI without its code; Gemini says the same with the code of a limit.
    (402, &["exceeded your current quota"]),
];

/// A text without its quoted parts. An apostrophe inside of a word is no quote.
fn without_quotes(text: &str) -> Cow<'_, str> {
    if !text.contains(['\'', '"', '`']) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut quote = None;
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_mark = matches!(letter, '\'' | '"' | '`');
        match quote {
            None if is_mark && !before.is_alphanumeric() => quote = Some(letter),
            None => kept.push(letter),
            Some(mark) => {
                let is_followed = letters.peek().is_some_and(|next| next.is_alphanumeric());
                if letter == mark && !is_followed {
                    quote = None;
                    // What stood on both sides must not grow together.
                    kept.push('\'');
                }
            }
        }
        before = letter;
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_of_providers() {
        for (text, right) in [
            ("Your credit balance is too low to access the Anthropic API.", Phrase::Spent),
            ("Request too large for gpt-4o on tokens per min: Limit 30000", Phrase::TooLarge),
            ("The model is overloaded. Please try again later.", Phrase::Likely(529)),
            ("You're being rate limited", Phrase::Likely(429)),
            ("You exceeded your current quota", Phrase::Likely(402)),
            ("error code: 1015", Phrase::Likely(429)),
        ] {
            assert_eq!(meaning(text, true), Some(right), "{text}");
        }
        for text in ["", "The model `x` does not exist", "Invalid schema for function 'f'"] {
            assert_eq!(meaning(text, true), None, "{text}");
        }
    }

    #[test]
    fn what_is_quoted_does_not_count() {
        for text in [
            "Invalid value: 'credit balance is too low'. Supported values are: 'a' and 'b'.",
            "The model `insufficient balance` does not exist",
            "Unknown name \"rate limit\": Cannot find field.",
            "Unknown name 'it's overloaded': Cannot find field.",
            "Not closed: 'overloaded",
        ] {
            assert_eq!(meaning(text, true), None, "{text}");
        }
        let python = "{'error': {'message': 'Insufficient Balance'}}";
        assert_eq!(meaning(python, false), Some(Phrase::Spent));
        assert_eq!(meaning("over'x'loaded", true), None);
    }

    #[test]
    fn a_long_text_is_read_up_to_a_bound() {
        let far = "é".repeat(MOST_BYTES / 2) + "rate limit";
        assert_eq!(meaning(&far, true), None);
        assert_eq!(meaning(&far[4..], true), None);
    }
}
