//! The usage that a response reports, in the words of each provider.

use tollgate::llm::Spent;

use super::text::{End, end_of_string, skip_blank, value_length};

/// The counts of one response so far. Each is the largest that was reported: streams report counts
/// that grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    input: Option<u64>,
    /// Gemini's tokens of tool results, which are in addition to those of the prompt.
    tool_input: u64,
    cache_writes: u64,
    cache_reads: u64,
    output: Option<u64>,
    /// Gemini's tokens of thoughts, which are in addition to those of the output.
    thoughts: u64,
    total: Option<u64>,
}

impl Numbers {
    /// Adds what an object such as `usage` says. What cannot be read changes nothing.
    pub(super) fn add(&mut self, json: &[u8]) {
        let mut added = *self;
        if added.read(json, false).is_some() {
            *self = added;
        }
    }

    /// The counts of the object with which `json` begins, and what follows it.
    pub(super) fn take(json: &[u8]) -> Option<(Self, &[u8])> {
        let mut numbers = Self::default();
        let after = numbers.read(json, false)?;
        Some((numbers, after))
    }

    /// Reads an object, and returns what follows it. It is short, and is read for each answer, so it
    /// is not worth a parser.
    fn read<'a>(&mut self, json: &'a [u8], is_nested: bool) -> Option<&'a [u8]> {
        let mut rest = json.strip_prefix(b"{")?;
        loop {
            rest = skip_blank(rest);
            rest = rest.strip_prefix(b",").map_or(rest, skip_blank);
            if let Some(after) = rest.strip_prefix(b"}") {
                return Some(after);
            }
            let (name, after) = take_name(rest)?;
            let value = skip_blank(skip_blank(after).strip_prefix(b":")?);
            let field = Field::named(name);
            rest = match value.first()? {
                b'0'..=b'9' => {
                    let (count, after) = take_count(value);
                    self.set(field, count);
                    after
                }
                b'{' | b'[' => {
                    let (inside, after) = value.split_at(value_length(value)?);
                    if field == Field::Nested && !is_nested && inside.starts_with(b"{") {
                        self.read(inside, true)?;
                    }
                    after
                }
                b'"' => take_name(value)?.1,
                // `null` and the like, and negative numbers.
                _ => skip_word(value),
            };
        }
    }

    /// The usage, if any was reported.
    pub(super) fn spent(&self) -> Option<Spent> {
        if self.input.is_none() && self.output.is_none() && self.total.is_none() {
            return None;
        }
        let thoughts = self.thoughts;
        let output = self.output.unwrap_or(0).saturating_add(thoughts);
        let rest = self.total.map(|total| total.saturating_sub(output));
        let input = self.input.map(|input| input.saturating_add(self.tool_input)).or(rest);
        let input = input.unwrap_or(0);
        // What a total contains beyond input and output is output: xAI's tokens of reasoning.
        let beyond = self.total.map_or(0, |total| total.saturating_sub(input));
        Some(Spent {
            input,
            cache_writes: self.cache_writes,
            cache_reads: self.cache_reads,
            output: output.max(beyond),
        })
    }

    fn set(&mut self, field: Field, count: u64) {
        let optional = match field {
            Field::Input => &mut self.input,
            Field::Output => &mut self.output,
            Field::Total => &mut self.total,
            Field::ToolInput => return raise(&mut self.tool_input, count),
            Field::CacheWrites => return raise(&mut self.cache_writes, count),
            Field::CacheReads => return raise(&mut self.cache_reads, count),
            Field::Thoughts => return raise(&mut self.thoughts, count),
            Field::Nested | Field::Other => return,
        };
        *optional = Some(optional.map_or(count, |before| before.max(count)));
    }
}

fn raise(number: &mut u64, to: u64) {
    *number = (*number).max(to);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Input,
    ToolInput,
    CacheWrites,
    CacheReads,
    Output,
    Thoughts,
    Total,
    /// Cohere's object of these counts.
    Nested,
    Other,
}

impl Field {
    fn named(name: &[u8]) -> Self {
        match name {
            // OpenAI and those like it; the responses API and Anthropic; Gemini; Bedrock; Gemini's
            // interactions.
            b"prompt_tokens"
            | b"input_tokens"
            | b"promptTokenCount"
            | b"inputTokens"
            | b"total_input_tokens" => Self::Input,
            b"completion_tokens"
            | b"output_tokens"
            | b"candidatesTokenCount"
            | b"outputTokens"
            | b"total_output_tokens" => Self::Output,
            b"total_tokens" | b"totalTokenCount" | b"totalTokens" => Self::Total,
            // Anthropic, and Claude on Bedrock. OpenAI's and Gemini's cached tokens are part of
            // the input.
            b"cache_creation_input_tokens" | b"cacheWriteInputTokens" => Self::CacheWrites,
            b"cache_read_input_tokens" | b"cacheReadInputTokens" => Self::CacheReads,
            b"toolUsePromptTokenCount" | b"total_tool_use_tokens" => Self::ToolInput,
            b"thoughtsTokenCount" | b"total_thought_tokens" => Self::Thoughts,
            b"tokens" => Self::Nested,
            _ => Self::Other,
        }
    }
}

/// Splits off a string.
fn take_name(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let after = json.strip_prefix(b"\"")?;
    let End::Quote(length) = end_of_string(after) else { return None };
    Some((&after[..length - 1], &after[length..]))
}

/// Splits off a number of at least 0, rounded up; at most [`u64::MAX`].
fn take_count(json: &[u8]) -> (u64, &[u8]) {
    let after = skip_word(json);
    let number = &json[..json.len() - after.len()];
    let digits = number.iter().take_while(|byte| byte.is_ascii_digit());
    let count = digits.clone().fold(0_u64, |count, digit| {
        count.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    });
    if digits.count() == number.len() {
        return (count, after);
    }
    let number = std::str::from_utf8(number).ok().and_then(|number| number.parse::<f64>().ok());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let count = number.map_or(count, |number| number.ceil() as u64);
    (count, after)
}

/// What follows a number, `null` and the like.
fn skip_word(json: &[u8]) -> &[u8] {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let length = json.iter().take_while(|byte| is_part(byte)).count();
    // Something else is passed over byte by byte.
    &json[length.max(1).min(json.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(usages: &[&str]) -> Option<Spent> {
        let mut numbers = Numbers::default();
        for usage in usages {
            numbers.add(usage.as_bytes());
        }
        numbers.spent()
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is compared with what was reported")]
    fn tokens(input: u64, output: u64) -> Option<Spent> {
        Some(Spent { input, output, ..Spent::default() })
    }

    /// As recorded from the providers.
    #[test]
    fn each_provider_has_its_words() {
        for (usage, right) in [
            // OpenAI, chat completions.
            (
                r#"{"prompt_tokens":12,"completion_tokens":24,"total_tokens":36,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":8}}"#,
                tokens(12, 24),
            ),
            // OpenAI, responses.
            (
                r#"{"input_tokens":75,"input_tokens_details":{"cached_tokens":64},"output_tokens":23,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":98}"#,
                tokens(75, 23),
            ),
            // Embeddings, and those who only say the total.
            (r#"{"prompt_tokens":8,"total_tokens":8}"#, tokens(8, 0)),
            (r#"{"total_tokens":15}"#, tokens(15, 0)),
            // Gemini.
            (
                r#"{"promptTokenCount":32,"candidatesTokenCount":477,"totalTokenCount":1513,"toolUsePromptTokenCount":764,"thoughtsTokenCount":240}"#,
                tokens(796, 717),
            ),
            // Gemini, interactions.
            (
                r#"{"total_tokens":242,"total_input_tokens":9,"total_cached_tokens":0,"total_output_tokens":13,"total_tool_use_tokens":0,"total_thought_tokens":220}"#,
                tokens(9, 233),
            ),
            // xAI, whose output does not contain the reasoning.
            (
                r#"{"prompt_tokens":12,"completion_tokens":9,"total_tokens":321,"completion_tokens_details":{"reasoning_tokens":300}}"#,
                tokens(12, 309),
            ),
            // Cohere.
            (
                r#"{"billed_units":{"input_tokens":65,"output_tokens":63},"tokens":{"input_tokens":508,"output_tokens":86},"cached_tokens":144}"#,
                tokens(508, 86),
            ),
            // Bedrock.
            (r#"{"inputTokens":7,"outputTokens":5,"totalTokens":12}"#, tokens(7, 5)),
            (r#"{"prompt_tokens":7.0,"completion_tokens":null,"total_tokens":"x"}"#, tokens(7, 0)),
        ] {
            assert_eq!(spent(&[usage]), right, "{usage}");
        }
        let anthropic = r#"{"input_tokens":400,"cache_creation_input_tokens":100,"cache_read_input_tokens":600,"cache_creation":{"ephemeral_5m_input_tokens":100},"output_tokens":250}"#;
        let right = Spent { input: 400, cache_writes: 100, cache_reads: 600, output: 250 };
        assert_eq!(spent(&[anthropic]), Some(right));
    }

    #[test]
    fn counts_of_a_stream_grow() {
        let start = r#"{"input_tokens":25,"cache_creation_input_tokens":3,"output_tokens":1}"#;
        let right = Spent { input: 25, cache_writes: 3, cache_reads: 0, output: 15 };
        assert_eq!(spent(&[start, r#"{"output_tokens":15}"#]), Some(right));
        // A proxy that repeats the field without its value.
        assert_eq!(spent(&[start, r#"{"input_tokens":0,"output_tokens":15}"#]), Some(right));
        // Gemini's last event, as recorded, says less than those before.
        let first = r#"{"promptTokenCount":30,"totalTokenCount":97,"thoughtsTokenCount":67}"#;
        let last = r#"{"candidatesTokenCount":23,"thoughtsTokenCount":67}"#;
        assert_eq!(spent(&[first, last]), tokens(30, 90));
    }

    #[test]
    fn what_is_no_usage_changes_nothing() {
        for usage in [
            "null",
            "[]",
            "{}",
            "7",
            "\"x\"",
            "",
            "{",
            r#"{"input_tokens":"#,
            r#"{"type":"duration","seconds":7}"#,
            r#"{"input_tokens":-1}"#,
            r#"{"tokens":{"tokens":{"input_tokens":3}}}"#,
        ] {
            assert_eq!(spent(&[usage]), None, "{usage}");
        }
        let good = r#"{"prompt_tokens":1,"completion_tokens":2}"#;
        assert_eq!(spent(&[good, r#"{"prompt_tokens":9"#]), tokens(1, 2));
    }

    #[test]
    fn large_numbers_saturate() {
        let usage = r#"{"promptTokenCount":18446744073709551615,"thoughtsTokenCount":1e300,"candidatesTokenCount":1,"toolUsePromptTokenCount":1}"#;
        assert_eq!(spent(&[usage]), tokens(u64::MAX, u64::MAX));
    }
}
