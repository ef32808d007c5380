//! What an answer reports: the tokens that it used, and whether it is an error after all.

mod events;
mod numbers;
mod scanner;
mod text;
mod whole;

use http::StatusCode;
use tollgate::llm::Spent;

use super::error_body::ErrorBody;
use events::{EventListener, Events};
use numbers::Numbers;
use scanner::{Listener, Name, Scanner};

/// Reads the usage and the errors of an answer whose status was a success, while its body passes.
///
/// The body may be JSON or a stream of server-sent events; its first byte tells which. Bytes may be
/// split anywhere. Nothing of the body is kept but the few values that matter, of which each has at
/// most 16 KiB, so the memory is bounded whatever the size of the answer or of an event. Events
/// that contain neither `"usage"` nor `error` are passed over without being read.
///
/// # What is read
///
/// * OpenAI and those like it: `usage` of an answer, or of the last event if the request asked for
///   it with `stream_options.include_usage`. Without it, streams report no usage.
/// * The responses API: `usage`, or `response.usage` of the event `response.completed`.
/// * Anthropic: `usage`, or those of `message_start` and `message_delta`.
/// * Gemini: `usageMetadata`. Its tokens of thoughts are output.
/// * Cohere, Groq, Bedrock's `Converse` and others: the same names, or `usage.tokens`.
/// * Errors: `error` of an answer, of an event or of `response`, and events of type `error`.
///
/// Names count only where providers put them, so text and tool calls that a model writes are never
/// taken for usage. Compressed bodies are not read: decompress inside of this.
///
/// ```
/// use tollgate_http::llm::AnswerReader;
///
/// let mut reader = AnswerReader::new();
/// reader.feed(b"data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}],\"usage\":null}\n\nda");
/// assert_eq!(reader.spent(), None);
/// reader.feed(b"ta: {\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\n");
/// let spent = reader.spent().expect("reported");
/// assert_eq!((spent.input, spent.output), (9, 1));
/// assert!(reader.error().is_none());
/// ```
#[derive(Debug)]
pub struct AnswerReader {
    form: Form,
    scanner: Scanner,
    found: Found,
}

/// What kind of body it is.
#[derive(Debug)]
enum Form {
    /// Nothing but white space has been seen.
    Unknown,
    Json,
    Events(Events),
}

/// What was found so far.
#[derive(Debug, Default)]
struct Found {
    numbers: Numbers,
    reports: u32,
    error: Option<ErrorBody>,
    /// Whether the event that is being read has the type `error`.
    is_error_event: bool,
    document: Document,
}

/// The values of the document that is being read, as JSON.
#[derive(Debug, Default)]
struct Document {
    error: Option<Vec<u8>>,
    says_error: bool,
    /// `"code":"overloaded"` and so on, each followed by a comma.
    others: Vec<u8>,
}

impl Default for AnswerReader {
    fn default() -> Self {
        Self::new()
    }
}

impl AnswerReader {
    /// A reader of an answer of which nothing was read yet.
    #[must_use]
    pub fn new() -> Self {
        Self { form: Form::Unknown, scanner: Scanner::new(), found: Found::default() }
    }

    /// Reads a whole body at once. That is quicker than [`feed`](Self::feed), and comes to the
    /// same.
    ///
    /// ```
    /// use tollgate_http::llm::AnswerReader;
    /// let answer = br#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;
    /// let spent = AnswerReader::whole(answer).spent().expect("reported");
    /// assert_eq!((spent.input, spent.output), (9, 1));
    /// ```
    #[must_use]
    pub fn whole(body: &[u8]) -> Self {
        let mut reader = Self::new();
        match whole::usage(body) {
            Some(numbers) => reader.found.numbers = numbers,
            None => reader.feed(body),
        }
        reader
    }

    /// Reads the next bytes of the body.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        if matches!(self.form, Form::Unknown) {
            // White space and a byte order mark.
            let is_blank = |byte: &u8| byte.is_ascii_whitespace() || b"\xEF\xBB\xBF".contains(byte);
            let blank = bytes.iter().take_while(|byte| is_blank(byte)).count();
            bytes = &bytes[blank..];
            match bytes.first() {
                None => return,
                Some(b'{' | b'[') => self.form = Form::Json,
                Some(_) => self.form = Form::Events(Events::default()),
            }
        }
        match &mut self.form {
            Form::Events(events) => events.feed(bytes, &mut self.scanner, &mut self.found),
            _ => self.scanner.feed(bytes, &mut self.found),
        }
    }

    /// The usage that was reported so far, of the whole answer. `None` if none was.
    ///
    /// [`TokenCost::Anthropic`](tollgate::llm::TokenCost::Anthropic) makes the tokens of it that
    /// count, also for the other providers: only Anthropic's usage has tokens beside its input.
    #[must_use]
    pub fn spent(&self) -> Option<Spent> {
        self.found.numbers.spent()
    }

    /// How often usage was reported.
    pub(super) fn reports(&self) -> u32 {
        self.found.reports
    }

    /// What error the answer reported, in spite of its status; the first one, if there were
    /// several.
    #[must_use]
    pub fn error(&self) -> Option<ErrorBody> {
        self.found.error
    }
}

impl Listener for Found {
    fn found(&mut self, name: Name, json: &[u8]) {
        let document = &mut self.document;
        match name {
            Name::Usage => {
                self.numbers.add(json);
                self.reports = self.reports.wrapping_add(1);
            }
            Name::Error => {
                let is_nothing = matches!(json, b"null" | b"false" | b"{}" | b"[]" | b"\"\"");
                document.error = (!is_nothing).then(|| json.to_vec());
            }
            Name::Type | Name::Object if json == br#""error""# => document.says_error = true,
            Name::Type => document.add("type", json),
            Name::Object => {}
            Name::Code => document.add("code", json),
            Name::Message => document.add("message", json),
            Name::Status => document.add("status", json),
        }
    }

    fn ended(&mut self) {
        let mut document = std::mem::take(&mut self.document);
        if document.error.is_none() && !document.says_error && !self.is_error_event {
            // The memory is used again.
            document.others.clear();
            self.document.others = document.others;
            return;
        }
        let mut json = b"{".to_vec();
        json.extend_from_slice(&document.others);
        json.extend_from_slice(b"\"error\":");
        json.extend_from_slice(document.error.as_deref().unwrap_or(b"null"));
        json.push(b'}');
        self.error.get_or_insert(ErrorBody::read(StatusCode::OK, &json));
    }
}

impl EventListener for Found {
    fn begins(&mut self, is_error: bool) {
        self.is_error_event = is_error;
        self.document = Document::default();
    }
}

impl Document {
    fn add(&mut self, name: &str, json: &[u8]) {
        // Names may be repeated, and others is bounded all the same.
        if self.others.len() + json.len() <= scanner::MOST_KEPT {
            self.others.extend_from_slice(format!("\"{name}\":").as_bytes());
            self.others.extend_from_slice(json);
            self.others.push(b',');
        }
    }
}
