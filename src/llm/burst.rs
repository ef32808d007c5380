//! How much of a limit can be used at once.

/// How much of a limit can be used at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Burst {
    /// A full period's worth, refilled evenly, as OpenAI and Anthropic describe their limits. Up to
    /// twice the limit can pass in the first period.
    ///
    /// A limit that is learned from responses counts strictly until two answers have shown that the
    /// server refills it evenly. If answers show that the server counts in windows, a configured
    /// limit counts strictly too.
    #[default]
    Full,
    /// This percentage of a period's worth, from 0 to 100, refilled evenly; at least one request or
    /// token. Building fails with more than 100.
    ///
    /// What a request gives back when it is settled comes on top, as far as the limit of the full
    /// period has room.
    Percent(u8),
    /// Never more than the limit in any window as long as the period, for servers that count
    /// strictly.
    Strict,
}
