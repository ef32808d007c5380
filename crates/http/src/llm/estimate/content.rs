//! The content of a prompt: messages, parts of messages, and what they contain.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::llm::lenient::Text;

/// What was counted of a prompt.
#[derive(Debug, Default)]
pub(super) struct Counter<'a> {
    pub(super) characters: u64,
    /// The texts, if somebody else counts them.
    pub(super) texts: Vec<Cow<'a, str>>,
    keeps_texts: bool,
    /// Tokens that are known without counting a text.
    pub(super) tokens: u64,
    /// Images, sounds and files.
    pub(super) media: u64,
}

/// The tokens that each message has beside its text.
const OF_A_MESSAGE: u64 = 4;

impl<'a> Counter<'a> {
    pub(super) fn new(keeps_texts: bool) -> Self {
        Self { keeps_texts, ..Self::default() }
    }

    fn text(&mut self, text: Cow<'a, str>) {
        if self.keeps_texts {
            self.texts.push(text);
        } else {
            let characters = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
            self.characters = self.characters.saturating_add(characters);
        }
    }

    /// Counts a token of an embedding's input, or a number in the input of a tool.
    fn number(&mut self) {
        self.tokens = self.tokens.saturating_add(1);
    }

    fn add(&mut self, other: Self) {
        self.characters = self.characters.saturating_add(other.characters);
        self.texts.extend(other.texts);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.media = self.media.saturating_add(other.media);
    }

    /// Counts a schema as long as its JSON is.
    pub(super) fn schema(&mut self, json: &'a str) {
        if json != "null" {
            self.text(Cow::Borrowed(json));
        }
    }
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the list of messages or inputs.
    Messages,
    /// It is a message or an input, or something inside of it.
    Inside,
    /// It describes an image or the like: `source`, which may contain a text.
    Source,
}

/// Counts a value and all that is inside of it.
pub(super) struct Content<'c, 'a> {
    counter: &'c mut Counter<'a>,
    place: Place,
}

impl<'c, 'a> Content<'c, 'a> {
    pub(super) fn of(counter: &'c mut Counter<'a>, place: Place) -> Self {
        Self { counter, place }
    }
}

impl<'a> DeserializeSeed<'a> for Content<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Content<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the content of a prompt")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<(), E> {
        self.counter.text(Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.counter.keeps_texts {
            self.counter.text(Cow::Owned(text.to_owned()));
        } else {
            let characters = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
            self.counter.characters = self.counter.characters.saturating_add(characters);
        }
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.counter.number();
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.counter.number();
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.counter.number();
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<(), A::Error> {
        let place = if self.place == Place::Messages { Place::Messages } else { Place::Inside };
        while items.next_element_seed(Content { counter: self.counter, place })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut fields: A) -> Result<(), A::Error> {
        let counter = self.counter;
        match self.place {
            Place::Messages => counter.tokens = counter.tokens.saturating_add(OF_A_MESSAGE),
            Place::Inside => {}
            Place::Source => return source(counter, fields),
        }
        while let Some(Text(name)) = fields.next_key()? {
            match kind_of(name.as_deref().unwrap_or_default()) {
                Kind::Content => {
                    fields.next_value_seed(Content { counter, place: Place::Inside })?;
                }
                Kind::Medium => {
                    counter.media = counter.media.saturating_add(1);
                    fields.next_value::<IgnoredAny>()?;
                }
                Kind::Source => {
                    fields.next_value_seed(Content { counter, place: Place::Source })?;
                }
                Kind::Ignored => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Anthropic's and Bedrock's `source` of an image or a document, which may be a plain text.
fn source<'a, A: MapAccess<'a>>(counter: &mut Counter<'a>, mut fields: A) -> Result<(), A::Error> {
    let (mut is_text, mut data) = (false, None);
    let mut inside = Counter::new(counter.keeps_texts);
    let mut has_content = false;
    while let Some(Text(name)) = fields.next_key()? {
        match name.as_deref().unwrap_or_default() {
            "type" => {
                let Text(kind) = fields.next_value()?;
                is_text = kind.as_deref() == Some("text");
            }
            "data" => {
                let Text(text) = fields.next_value()?;
                data = text;
            }
            "content" | "text" => {
                has_content = true;
                let content = Content { counter: &mut inside, place: Place::Inside };
                fields.next_value_seed(content)?;
            }
            _ => {
                fields.next_value::<IgnoredAny>()?;
            }
        }
    }
    match data {
        Some(text) if is_text => counter.text(text),
        None if has_content => counter.add(inside),
        _ => counter.media = counter.media.saturating_add(1),
    }
    Ok(())
}

/// What a field of a message or of a part of it contains.
enum Kind {
    Content,
    /// An image, a sound or a file.
    Medium,
    Source,
    /// Something that is not text of the prompt.
    Ignored,
}

fn kind_of(name: &str) -> Kind {
    match name {
        // OpenAI; Gemini; Bedrock.
        "image_url" | "video_url" | "input_audio" | "file" | "file_data" | "file_id"
        | "inline_data" | "inlineData" | "fileData" | "audio" => Kind::Medium,
        "source" => Kind::Source,
        "role" | "type" | "id" | "call_id" | "tool_call_id" | "tool_use_id" | "toolUseId"
        | "status" | "detail" | "format" | "mime_type" | "mimeType" | "media_type" | "filename"
        | "cache_control" | "signature" | "thoughtSignature" | "encrypted_content" | "model" => {
            Kind::Ignored
        }
        _ => Kind::Content,
    }
}
