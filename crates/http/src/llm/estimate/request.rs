//! The body of a request: which of its fields matter.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::content::{Content, Counter, Place};
use crate::llm::lenient::{Count, Flag, Text};

/// What the body of a request says.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(super) struct Request<'a> {
    pub(super) model: Option<Cow<'a, str>>,
    pub(super) counter: Counter<'a>,
    /// The most tokens of the output.
    pub(super) max_output: Option<u64>,
    /// How many answers are asked for.
    pub(super) choices: Option<u64>,
    pub(super) is_stream: bool,
    pub(super) has_messages: bool,
    /// The form is Anthropic's.
    pub(super) is_anthropic: bool,
    /// There is something to count.
    pub(super) is_understood: bool,
}

impl<'a> Request<'a> {
    /// Reads a body; `None` if it is not a JSON object. With `keeps_texts`, the texts are kept to
    /// be counted later.
    pub(super) fn read(body: &'a [u8], keeps_texts: bool) -> Option<Self> {
        let mut request = Self { counter: Counter::new(keeps_texts), ..Self::default() };
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        Body(&mut request).deserialize(&mut deserializer).ok()?;
        deserializer.end().ok()?;
        Some(request)
    }
}

/// Reads the whole body.
struct Body<'r, 'a>(&'r mut Request<'a>);

impl<'a> DeserializeSeed<'a> for Body<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Body<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of a request")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut fields: A) -> Result<(), A::Error> {
        let request = self.0;
        while let Some(Text(name)) = fields.next_key()? {
            match name.as_deref().unwrap_or_default() {
                "model" => {
                    let Text(model) = fields.next_value()?;
                    request.model = model.or(request.model.take());
                }
                // Chat completions and Anthropic; Gemini.
                "messages" | "contents" => {
                    request.has_messages = true;
                    request.is_understood = true;
                    fields.next_value_seed(Content::of(&mut request.counter, Place::Messages))?;
                }
                // Responses and embeddings; completions; Gemini's embeddings; Cohere's.
                "input" | "prompt" | "content" | "requests" | "texts" | "inputs" => {
                    request.is_understood = true;
                    fields.next_value_seed(Content::of(&mut request.counter, Place::Messages))?;
                }
                // Anthropic and Bedrock; responses; Gemini.
                "system" => {
                    request.is_anthropic = true;
                    fields.next_value_seed(Content::of(&mut request.counter, Place::Inside))?;
                }
                "instructions" | "systemInstruction" | "system_instruction" => {
                    fields.next_value_seed(Content::of(&mut request.counter, Place::Inside))?;
                }
                "tools" | "functions" | "response_format" | "text" | "toolConfig" => {
                    let schema: &RawValue = fields.next_value()?;
                    request.counter.schema(schema.get());
                }
                "max_tokens" | "max_completion_tokens" | "max_output_tokens" | "maxTokens" => {
                    let Count(most) = fields.next_value()?;
                    request.max_output = request.max_output.max(most);
                }
                "generationConfig" | "generation_config" | "inferenceConfig" => {
                    fields.next_value_seed(Config(request))?;
                }
                "n" => {
                    let Count(choices) = fields.next_value()?;
                    request.choices = choices;
                }
                "stream" => {
                    let Flag(is_stream) = fields.next_value()?;
                    request.is_stream = is_stream;
                }
                "anthropic_version" => {
                    request.is_anthropic = true;
                    fields.next_value::<IgnoredAny>()?;
                }
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Reads Gemini's and Bedrock's settings of the output.
struct Config<'r, 'a>(&'r mut Request<'a>);

impl<'a> DeserializeSeed<'a> for Config<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Config<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings of the output")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = fields.next_key()? {
            match name.as_deref().unwrap_or_default() {
                "maxOutputTokens" | "max_output_tokens" | "maxTokens" => {
                    let Count(most) = fields.next_value()?;
                    self.0.max_output = self.0.max_output.max(most);
                }
                "candidateCount" | "candidate_count" => {
                    let Count(choices) = fields.next_value()?;
                    self.0.choices = choices;
                }
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
