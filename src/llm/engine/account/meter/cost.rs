//! What one request costs under a limit.

use crate::llm::{LimitKind, Tokens};

/// What one request costs under a limit, as masks, so that working out a cost needs no branch.
#[derive(Clone, Copy, Debug)]
pub(super) struct CostMask {
    requests: u64,
    input: u64,
    output: u64,
}

impl CostMask {
    pub(super) fn of(kind: LimitKind) -> Self {
        let mask = |one: Tokens| if kind.cost(one) == 1 { u64::MAX } else { 0 };
        if !kind.counts_tokens() {
            return Self { requests: 1, input: 0, output: 0 };
        }
        Self { requests: 0, input: mask(Tokens::new(1, 0)), output: mask(Tokens::new(0, 1)) }
    }

    #[inline]
    pub(super) fn cost(self, tokens: Tokens) -> u64 {
        // One of the two operands is 0.
        self.requests | (tokens.input & self.input).saturating_add(tokens.output & self.output)
    }
}
