//! How many tokens a request uses.

/// The tokens of a request: estimated before it is sent, counted after the response.
///
/// ```
/// use tollgate::llm::Tokens;
/// let estimate = Tokens::new(1_200, 300);
/// assert_eq!(estimate.total(), 1_500);
/// assert_eq!(Tokens::from(900), Tokens::new(900, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tokens {
    /// Tokens of the prompt, as far as they count against the limits.
    pub input: u64,
    /// Tokens of the output.
    pub output: u64,
}

impl Tokens {
    /// This many input and output tokens.
    #[must_use]
    pub const fn new(input: u64, output: u64) -> Self {
        Self { input, output }
    }

    /// Input and output tokens together; at most [`u64::MAX`].
    #[must_use]
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// For when only the total is known, or only the total is limited: all tokens count as input.
impl From<u64> for Tokens {
    fn from(total: u64) -> Self {
        Self::new(total, 0)
    }
}

/// What is known about the size of a request before it is sent.
///
/// ```
/// use tollgate::llm::{Demand, TokenCost};
/// let request = Demand { prompt: 1_000, cached: 600, max_output: 500, ..Demand::default() };
/// assert_eq!(TokenCost::OpenAi.estimate(&request).total(), 1_500);
/// assert_eq!(TokenCost::Anthropic.estimate(&request).input, 400);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Tokens of the prompt, cached ones included.
    pub prompt: u64,
    /// The tokens of the prompt that are read from the provider's cache.
    pub cached: u64,
    /// The most output tokens that the response may have (`max_tokens`).
    pub max_output: u64,
    /// The average number of output tokens of a response. Without it, `max_output` is used.
    pub usual_output: Option<u64>,
}

/// How a provider counts tokens against its limits. Providers differ, and the wrong choice either
/// under-uses the quota or causes 429s.
///
/// For other providers, compute [`Tokens`] with your own function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenCost {
    /// The prompt and `max_tokens` are reserved when the request arrives, as OpenAI and Azure count
    /// ([guide](https://platform.openai.com/docs/guides/rate-limits)). Cached tokens count in full.
    #[default]
    OpenAi,
    /// The prompt counts without the tokens that are read from the cache, and the output counts as
    /// it is generated, so `max_tokens` does not count
    /// ([Anthropic](https://docs.anthropic.com/en/api/rate-limits)). The estimate uses
    /// [`usual_output`](Demand::usual_output) if it is set.
    Anthropic,
}

impl TokenCost {
    /// The tokens to acquire for a request.
    #[must_use]
    pub fn estimate(self, demand: &Demand) -> Tokens {
        match self {
            Self::OpenAi => Tokens::new(demand.prompt, demand.max_output),
            Self::Anthropic => {
                let output = demand.usual_output.unwrap_or(demand.max_output);
                let output = output.min(demand.max_output);
                Tokens::new(demand.prompt.saturating_sub(demand.cached), output)
            }
        }
    }

    /// The tokens to settle with, from the `usage` of the response.
    ///
    /// Anthropic's `input_tokens` exclude the tokens read from the cache, which do not count, but
    /// also `cache_creation_input_tokens`, which do count and are added here.
    ///
    /// ```
    /// use tollgate::llm::{Spent, TokenCost};
    /// let usage = Spent { input: 400, cache_writes: 100, cache_reads: 600, output: 250 };
    /// assert_eq!(TokenCost::Anthropic.spent(&usage).input, 500);
    /// ```
    #[must_use]
    pub fn spent(self, spent: &Spent) -> Tokens {
        let input = match self {
            // `prompt_tokens` include cached tokens.
            Self::OpenAi => spent.input,
            Self::Anthropic => spent.input.saturating_add(spent.cache_writes),
        };
        Tokens::new(input, spent.output)
    }
}

/// The usage that a response reports. Each field names the corresponding fields of the providers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// OpenAI's `prompt_tokens`, Anthropic's `input_tokens`.
    pub input: u64,
    /// Anthropic's `cache_creation_input_tokens`.
    pub cache_writes: u64,
    /// Anthropic's `cache_read_input_tokens`, which do not count against the limits.
    pub cache_reads: u64,
    /// OpenAI's `completion_tokens`, Anthropic's `output_tokens`.
    pub output: u64,
}
