//! How many tokens a request will use, as its JSON body tells before it is sent.

mod content;
mod request;
#[cfg(feature = "tiktoken")]
mod tiktoken;

use std::fmt;
use std::sync::Arc;

use tollgate::llm::{Demand, TokenCost, Tokens};

use content::Counter;
use request::Request;

/// What a request will use, as far as its body tells.
///
/// ```
/// use tollgate::llm::Tokens;
/// use tollgate_http::llm::Estimator;
///
/// let body = br#"{"model":"gpt-4o","max_tokens":300,
///     "messages":[{"role":"user","content":"What is the capital of France?"}]}"#;
/// let estimate = Estimator::new().estimate("/v1/chat/completions", body);
/// assert_eq!(estimate.model.as_deref(), Some("gpt-4o"));
/// // 30 characters are 8 tokens, and each message has 4 of its own.
/// assert_eq!(estimate.tokens(), Tokens::new(12, 300));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// The name of the model; `None` if the body does not name one.
    pub model: Option<String>,
    /// The tokens of the prompt, and those that the output may and usually does have.
    pub demand: Demand,
    /// How the provider counts them, as far as the request tells: as Anthropic does if the request
    /// has Anthropic's form, else as OpenAI does.
    pub cost: TokenCost,
    /// Whether the answer will be a stream.
    pub is_stream: bool,
}

impl Estimate {
    /// The tokens to acquire for the request.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        self.cost.estimate(&self.demand)
    }
}

/// Counts the tokens of a text: (model, text).
type Count = dyn Fn(&str, &str) -> u64 + Send + Sync;

/// Reads the bodies of requests, and estimates the tokens that they will use.
///
/// # What is counted
///
/// * The prompt: all text in `messages`, `system`, `input`, `instructions`, `prompt`, `contents`
///   and `systemInstruction`, which are those of OpenAI's chat completions, responses, embeddings
///   and completions, of Anthropic's messages, of Gemini and Bedrock, and of those like them. Also
///   `tools` and other schemas, as long as their JSON is. Each message has 4 tokens of its own, and
///   each number of an embedding's `input` is one token.
/// * A text has a quarter as many tokens as characters, rounded up. That is right for English, and
///   too little for many other languages and for code: give [your own
///   function](Self::count_with), or use the feature `tiktoken`.
/// * Each image, sound or file has [a number of tokens that you set](Self::media_tokens), whatever
///   its size: its bytes are not counted as text.
/// * The output: `max_tokens`, `max_completion_tokens`, `max_output_tokens` or the
///   `maxOutputTokens` of a `generationConfig`, times `n`. Without it, [a usual
///   output](Self::usual_output). Embeddings have none.
///
/// # What is not understood
///
/// A request without a body, such as for a list of models, uses no tokens. A body that is not such
/// a JSON object, is nested deeper than 128 levels or is larger than
/// [`max_body`](Self::max_body) is estimated as [`otherwise`](Self::otherwise). So a body costs
/// memory and time in proportion to its length up to that bound, and none beyond it. No body causes
/// a panic.
///
/// ```
/// use tollgate::llm::Tokens;
/// use tollgate_http::llm::Estimator;
///
/// let estimator = Estimator::new().usual_output(500).otherwise(2_000);
/// let body = br#"{"model":"gpt-4o","input":"Hello, world"}"#;
/// assert_eq!(estimator.estimate("/v1/responses", body).tokens(), Tokens::new(3, 500));
/// assert_eq!(estimator.estimate("/v1/embeddings", body).tokens(), Tokens::new(3, 0));
/// assert_eq!(estimator.estimate("/v1/files", b"--form").tokens(), Tokens::from(2_000));
/// ```
#[derive(Clone)]
pub struct Estimator {
    count: Option<Arc<Count>>,
    media_tokens: u64,
    usual_output: u64,
    otherwise: Tokens,
    max_body: usize,
    cost: Option<TokenCost>,
}

impl Default for Estimator {
    fn default() -> Self {
        Self::new()
    }
}

impl Estimator {
    /// An estimator that counts a quarter of the characters.
    #[must_use]
    pub fn new() -> Self {
        Self {
            count: None,
            media_tokens: 1_000,
            usual_output: 1_000,
            otherwise: Tokens::new(1_000, 1_000),
            max_body: 8 * 1024 * 1024,
            cost: None,
        }
    }

    /// Counts the tokens of a text with a function of (model, text). The model is empty if the
    /// request names none. The function is called once for each piece of text in a body, and should
    /// be quick: the request waits for it.
    ///
    /// ```
    /// use tollgate_http::llm::Estimator;
    /// let estimator = Estimator::new().count_with(|_, text| {
    ///     text.split_whitespace().count().try_into().unwrap_or(u64::MAX)
    /// });
    /// let body = br#"{"model":"own","input":"three short words"}"#;
    /// assert_eq!(estimator.estimate("/v1/embeddings", body).demand.prompt, 3);
    /// ```
    #[must_use]
    pub fn count_with(mut self, count: impl Fn(&str, &str) -> u64 + Send + Sync + 'static) -> Self {
        self.count = Some(Arc::new(count));
        self
    }

    /// The tokens of each image, sound or file of a request. Default: 1,000, about what OpenAI and
    /// Anthropic count for an image of 1,024 by 1,024 pixels.
    #[must_use]
    pub fn media_tokens(mut self, tokens: u64) -> Self {
        self.media_tokens = tokens;
        self
    }

    /// The output of a usual answer, in tokens. It is used if a request sets no maximum, and for
    /// providers that count the output as it is generated (Anthropic). Default: 1,000.
    #[must_use]
    pub fn usual_output(mut self, tokens: u64) -> Self {
        self.usual_output = tokens;
        self
    }

    /// The tokens of a request that is not understood. Default: 1,000 of the prompt and 1,000 of
    /// the output.
    #[must_use]
    pub fn otherwise(mut self, tokens: impl Into<Tokens>) -> Self {
        self.otherwise = tokens.into();
        self
    }

    /// The largest body that is read, in bytes. Default: 8 MiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// How the provider counts tokens, whatever the form of the requests. Default: as
    /// [`Estimate::cost`] says.
    #[must_use]
    pub fn cost(mut self, cost: TokenCost) -> Self {
        self.cost = Some(cost);
        self
    }

    /// Estimates a request by the path of its URI and its body.
    ///
    /// The path tells embeddings and Anthropic's messages from the others, and the model of
    /// Gemini's requests. If it does not end as the provider's does, the body's form decides.
    #[must_use]
    pub fn estimate(&self, path: &str, body: &[u8]) -> Estimate {
        if body.is_empty() {
            return Estimate { demand: Demand::default(), ..self.unknown() };
        }
        let request = (body.len() <= self.max_body)
            .then(|| Request::read(body, self.count.is_some()))
            .flatten()
            .filter(|request| request.is_understood);
        match request {
            Some(request) => self.estimated(path, &request),
            None => self.unknown(),
        }
    }

    /// The estimate of a request that is not understood.
    #[must_use]
    pub fn unknown(&self) -> Estimate {
        let Tokens { input, output } = self.otherwise;
        let demand = Demand { prompt: input, max_output: output, ..Demand::default() };
        let cost = self.cost.unwrap_or_default();
        Estimate { model: None, demand, cost, is_stream: false }
    }

    fn estimated(&self, path: &str, request: &Request<'_>) -> Estimate {
        let model = request.model.as_deref().or_else(|| model_in(path));
        let is_embedding = is_embedding(path, request, model);
        let max_output = request.max_output.unwrap_or(self.usual_output);
        let max_output = max_output.saturating_mul(request.choices.unwrap_or(1).max(1));
        let is_anthropic = path.ends_with("/messages") || request.is_anthropic;
        let cost = if is_anthropic { TokenCost::Anthropic } else { TokenCost::OpenAi };
        Estimate {
            demand: Demand {
                prompt: self.prompt(&request.counter, model.unwrap_or_default()),
                max_output: if is_embedding { 0 } else { max_output },
                usual_output: Some(self.usual_output),
                ..Demand::default()
            },
            model: model.map(str::to_owned),
            cost: self.cost.unwrap_or(cost),
            is_stream: request.is_stream || path.contains("streamGenerateContent"),
        }
    }

    fn prompt(&self, counter: &Counter<'_>, model: &str) -> u64 {
        let text = match &self.count {
            None => counter.characters.div_ceil(4),
            Some(count) => {
                let tokens = counter.texts.iter().map(|text| count(model, text));
                tokens.fold(0, u64::saturating_add)
            }
        };
        let media = counter.media.saturating_mul(self.media_tokens);
        text.saturating_add(counter.tokens).saturating_add(media)
    }
}

/// Whether the answer has no output.
fn is_embedding(path: &str, request: &Request<'_>, model: Option<&str>) -> bool {
    let by_path = ["/embeddings", "/embed", ":embedContent", ":batchEmbedContents", "/moderations"];
    let is_named = model.is_some_and(|model| model.contains("embed"));
    by_path.iter().any(|end| path.ends_with(end))
        || (is_named && request.max_output.is_none() && !request.has_messages)
}

/// The model that the path names, as Gemini's and Bedrock's do: `/v1beta/models/NAME:generate...`,
/// `/model/NAME/converse`.
fn model_in(path: &str) -> Option<&str> {
    let (_, after) = path.rsplit_once("/models/").or_else(|| path.rsplit_once("/model/"))?;
    let end = after.find('/').or_else(|| after.rfind(':')).unwrap_or(after.len());
    Some(&after[..end]).filter(|name| !name.is_empty())
}

impl fmt::Debug for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Estimator")
            .field("own_count", &self.count.is_some())
            .field("media_tokens", &self.media_tokens)
            .field("usual_output", &self.usual_output)
            .field("otherwise", &self.otherwise)
            .field("max_body", &self.max_body)
            .field("cost", &self.cost)
            .finish()
    }
}
