//! What a key may use.

use std::time::Duration;

use crate::Dialect;

/// What a key may use, and how the server tells it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub(crate) requests: u32,
    pub(crate) tokens: u32,
    pub(crate) at_once: Duration,
    pub(crate) dialect: Dialect,
}

impl Plan {
    /// So many requests and tokens a minute, as large providers enforce them: by the second, so
    /// 60,000 a minute as 1,000 a second.
    ///
    /// ```
    /// let plan = tollgate_llm_server::Plan::per_minute(600, 60_000);
    /// assert_eq!(plan.tokens(), 60_000);
    /// ```
    #[must_use]
    pub const fn per_minute(requests: u32, tokens: u32) -> Self {
        let (at_once, dialect) = (Duration::from_secs(1), Dialect::OpenAi);
        Self { requests, tokens, at_once, dialect }
    }

    /// The same limits, of which as much as is there after this time can be used at once. Default:
    /// a second.
    #[must_use]
    pub const fn at_once(self, at_once: Duration) -> Self {
        Self { at_once, ..self }
    }

    /// The same limits, told in this provider's headers. Default: [`Dialect::OpenAi`].
    #[must_use]
    pub const fn dialect(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    /// The requests per minute.
    #[must_use]
    pub const fn requests(&self) -> u32 {
        self.requests
    }

    /// The tokens per minute.
    #[must_use]
    pub const fn tokens(&self) -> u32 {
        self.tokens
    }
}
