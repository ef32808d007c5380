//! How many tokens a request takes.

/// Tokens of a request: estimated before it, counted after it.
///
/// ```
/// use tollgate::llm::Tokens;
/// let estimate = Tokens::new(1_200, 300);
/// assert_eq!(estimate.total(), 1_500);
/// assert_eq!(Tokens::from(900), Tokens::new(900, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tokens {
    /// Tokens of the prompt, as far as the provider counts them.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
}

impl Tokens {
    /// So many of each.
    #[must_use]
    pub const fn new(input: u64, output: u64) -> Self {
        Self { input, output }
    }

    /// Both together; at most [`u64::MAX`].
    #[must_use]
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// Where only the total is known, or only the total is limited, all of it is input.
impl From<u64> for Tokens {
    fn from(total: u64) -> Self {
        Self::new(total, 0)
    }
}

/// What a request is about to use, as its sender knows it.
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
    /// Those of the prompt that are read from the provider's cache.
    pub cached: u64,
    /// The most that the answer may have (`max_tokens`).
    pub max_output: u64,
    /// What answers have on average, if that is known; else `max_output` is taken.
    pub usual_output: Option<u64>,
}

/// What a provider counts against its limits. Providers differ; the wrong one makes a client too
/// slow or has it refused.
///
/// A way of your own is a function from [`Demand`], or from anything, to [`Tokens`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenCost {
    /// Prompt and `max_tokens`, reserved when the request arrives, as OpenAI and Azure count
    /// ([guide](https://platform.openai.com/docs/guides/rate-limits)). Cached tokens count in full.
    #[default]
    OpenAi,
    /// The prompt without what is read from the cache, and output as it is generated: `max_tokens`
    /// does not count ([Anthropic](https://docs.anthropic.com/en/api/rate-limits)). The estimate
    /// takes the usual output, where it is given.
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

    /// The tokens to settle with, from what the response says was used: OpenAI's `usage`, or
    /// Anthropic's, whose `input_tokens` are without cached ones but also without
    /// `cache_creation_input_tokens`, which do count.
    ///
    /// ```
    /// use tollgate::llm::{Spent, TokenCost};
    /// let usage = Spent { input: 400, cache_writes: 100, cache_reads: 600, output: 250 };
    /// assert_eq!(TokenCost::Anthropic.spent(&usage).input, 500);
    /// ```
    #[must_use]
    pub fn spent(self, spent: &Spent) -> Tokens {
        let input = match self {
            // Cached tokens are among the prompt's.
            Self::OpenAi => spent.input,
            Self::Anthropic => spent.input.saturating_add(spent.cache_writes),
        };
        Tokens::new(input, spent.output)
    }
}

/// What a response says was used, under the names of its provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// OpenAI's `prompt_tokens`, Anthropic's `input_tokens`.
    pub input: u64,
    /// Anthropic's `cache_creation_input_tokens`.
    pub cache_writes: u64,
    /// Anthropic's `cache_read_input_tokens`: free.
    pub cache_reads: u64,
    /// OpenAI's `completion_tokens`, Anthropic's `output_tokens`.
    pub output: u64,
}
