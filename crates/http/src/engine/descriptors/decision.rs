//! What was decided about descriptors.

use std::fmt;

use super::rules::{Found, What};
use crate::engine::decision::{Decision, Outcome};

/// What a policy has for a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Matched {
    /// No rule is about the domain.
    UnknownDomain,
    /// No rule of the domain matches.
    Nothing,
    /// A rule with limits of its own, or with none.
    Limits,
    /// A rule that is always over its limit.
    Blocked,
    /// A rule that decides the descriptor as a request.
    Request,
}

impl From<&Found<'_>> for Matched {
    fn from(found: &Found<'_>) -> Self {
        match found {
            Found::UnknownDomain => Self::UnknownDomain,
            Found::Nothing => Self::Nothing,
            Found::Rule(rule) => match rule.what {
                What::Limits(_) => Self::Limits,
                What::Blocked => Self::Blocked,
                What::Request => Self::Request,
            },
        }
    }
}

/// What was decided about one descriptor.
#[derive(Clone)]
pub struct DescriptorDecision {
    pub(super) matched: Matched,
    pub(super) decision: Decision,
}

impl DescriptorDecision {
    /// What the policy has for the descriptor.
    #[must_use]
    pub fn matched(&self) -> Matched {
        self.matched
    }

    /// What was decided: whether the descriptor is over its limit, and what its limits have
    /// answered. If another descriptor of the request is over its limit, then nothing was taken,
    /// and this says what would have been decided.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.decision
    }
}

/// What was decided about the descriptors of one request, in their order: made by
/// [`HttpLimiter::decide_descriptors`](crate::HttpLimiter::decide_descriptors).
#[derive(Clone)]
pub struct DescriptorsDecision(pub(super) Vec<DescriptorDecision>);

impl DescriptorsDecision {
    /// Whether the request goes on: no descriptor is over its limit, and the store has not failed
    /// in a limiter that fails closed.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.0.iter().all(|descriptor| descriptor.decision.is_allowed())
    }

    /// The descriptors, in the order of the request.
    #[must_use]
    pub fn descriptors(&self) -> &[DescriptorDecision] {
        &self.0
    }

    /// The descriptor that limits the request most: of those that are over their limit, the one
    /// with the longest wait, and else the one with the largest share in use. `None` if no limit was
    /// asked.
    #[must_use]
    pub fn most_limiting(&self) -> Option<&DescriptorDecision> {
        let asked = || self.0.iter().filter(|descriptor| descriptor.decision.limits().len() > 0);
        let over = asked().filter(|descriptor| !descriptor.decision.is_allowed());
        // A refusal that no wait helps is the longest.
        let wait = |descriptor: &&DescriptorDecision| {
            let wait = descriptor.decision.retry_after();
            (wait.is_none(), wait)
        };
        let share = |descriptor: &&DescriptorDecision| descriptor.decision.used_share();
        over.max_by_key(wait)
            .or_else(|| asked().max_by(|one, other| share(one).total_cmp(&share(other))))
    }

    /// Whether the store of the buckets failed.
    #[must_use]
    pub fn store_failed(&self) -> bool {
        self.0.iter().any(|descriptor| descriptor.decision.outcome() == Outcome::StoreFailed)
    }
}

impl fmt::Debug for DescriptorDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DescriptorDecision")
            .field("matched", &self.matched)
            .field("decision", &self.decision)
            .finish()
    }
}

impl fmt::Debug for DescriptorsDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DescriptorsDecision").field(&self.0).finish()
    }
}
