//! A refusal, as a hook is told of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tollgate::keyed::ToKey;

use crate::engine::decide::Engine;
use crate::engine::{Decision, Hashed, Key, KeyParts};

/// A request that its limits or a penalty refused: for the hook of
/// [`on_violation`](crate::engine::HttpLimiterBuilder::on_violation). It owns all that it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    time: SystemTime,
    limits: Vec<Arc<str>>,
    route: Option<Arc<str>>,
    tier: Option<Arc<str>>,
    key_kind: String,
    key_hash: Hashed,
    key: Option<Key>,
    wait: Option<Duration>,
    begins_penalty: bool,
    is_penalty: bool,
}

impl Violation {
    /// The violation that a refusal is.
    pub(super) fn new(
        engine: &Engine,
        decision: &Decision,
        key: &KeyParts,
        with_key: bool,
    ) -> Self {
        let policy = &decision.policy;
        let route = decision.route.and_then(|route| policy.routes.get(usize::from(route)));
        let tier = decision.tier.and_then(|tier| policy.tiers.get(usize::from(tier)));
        let refusing = decision
            .charges
            .iter()
            .filter(|charge| !charge.shadow && charge.answer.refuses())
            .map(|charge| Arc::clone(&decision.limit(charge).name));
        Self {
            time: (engine.wall_clock)(),
            limits: refusing.collect(),
            route: route.map(|route| Arc::clone(&route.name)),
            tier: tier.map(|tier| Arc::clone(&tier.name)),
            key_kind: key.kinds().to_string(),
            key_hash: engine.secret.hash_of_parts(key.parts()),
            key: with_key.then(|| key.to_key()),
            wait: decision.retry_after,
            begins_penalty: decision.begins_penalty,
            is_penalty: decision.is_penalty(),
        }
    }

    /// The violation that begins a penalty because a handler reported it.
    pub(super) fn reported(
        engine: &Engine,
        decision: &Decision,
        key: &KeyParts,
        block: Duration,
        with_key: bool,
    ) -> Self {
        let of_request = Self::new(engine, decision, key, with_key);
        Self { wait: Some(block), begins_penalty: true, is_penalty: true, ..of_request }
    }

    /// When it was, by the limiter's time of day.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// The names of the limits that refused. None during a penalty, and none if a handler reported
    /// the violation.
    #[must_use]
    pub fn limits(&self) -> impl ExactSizeIterator<Item = &str> {
        self.limits.iter().map(|name| &**name)
    }

    /// The name of the route that matched.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.route.as_deref()
    }

    /// The caller's tier.
    #[must_use]
    pub fn tier(&self) -> Option<&str> {
        self.tier.as_deref()
    }

    /// What the key consists of: `address`, `user`, `api-key`, `header`, `route`, `method`, `host`,
    /// joined by `+`; `missing` for a part that the request lacks. Empty for a limit that has one
    /// bucket for all. It is the key of the limit with the longest wait; in a penalty, the key of
    /// the penalty.
    #[must_use]
    pub fn key_kind(&self) -> &str {
        &self.key_kind
    }

    /// The keyed hash of the key, as [`HttpLimiter::hash_of_key`](crate::HttpLimiter::hash_of_key)
    /// gives it.
    #[must_use]
    pub fn key_hash(&self) -> Hashed {
        self.key_hash
    }

    /// The key, if the limiter was built
    /// [with keys](crate::engine::HttpLimiterBuilder::violations_with_keys).
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// The time after which the request can pass. `None` if no wait helps.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.wait
    }

    /// Whether this refusal has begun a penalty.
    #[must_use]
    pub fn begins_penalty(&self) -> bool {
        self.begins_penalty
    }

    /// Whether this refusal is part of a penalty, or begins one.
    #[must_use]
    pub fn is_penalty(&self) -> bool {
        self.is_penalty
    }
}
