//! The options of a limiter's builder that are about violations.

use super::hook::HookFn;
use super::violation::Violation;
use crate::engine::HttpLimiterBuilder;

/// What the builder of a limiter collects for its observer.
pub(crate) struct ObserverOptions {
    pub(super) hook: Option<HookFn>,
    pub(super) queue: usize,
    pub(super) with_keys: bool,
}

impl Default for ObserverOptions {
    fn default() -> Self {
        Self { hook: None, queue: 1024, with_keys: false }
    }
}

impl HttpLimiterBuilder {
    /// Calls `hook` with each [`Violation`]: a request that its limits refuse, one that is refused
    /// in a penalty, and a penalty that a handler's report begins. What shadow limits would refuse
    /// is none, and neither is a refusal for want of room.
    ///
    /// The hook runs on a thread of its own, one violation after another, so it may be slow. If
    /// more violations wait than [`violation_queue`](Self::violation_queue) says, further ones are
    /// dropped and counted. A panic of the hook is caught and counted. Both counts are in
    /// [`HttpLimiter::violation_counts`](crate::HttpLimiter::violation_counts).
    ///
    /// The thread ends when the last clone of the limiter is dropped and the hook has seen what
    /// waited; so the hook must not own a clone.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use tollgate_http::{Facts, HttpLimiter, Policy};
    ///
    /// let policy: Policy = r#"
    ///     version = 1
    ///     always = ["calls"]
    ///     [limits.calls]
    ///     quota = "1/h"
    ///     key = "user"
    ///     missing = "share"
    /// "#.parse()?;
    /// let (sender, violations) = mpsc::channel();
    /// let limiter = HttpLimiter::builder(&policy)
    ///     .on_violation(move |violation| drop(sender.send(violation.clone())))
    ///     .build()?;
    /// for _ in 0..2 {
    ///     limiter.decide(&Facts::new("GET", "/").user("mallory")).now().expect("memory");
    /// }
    /// let violation = violations.recv()?;
    /// assert_eq!(violation.limits().collect::<Vec<_>>(), ["calls"]);
    /// assert_eq!(violation.key_kind(), "user");
    /// assert!(violation.key().is_none(), "keys are only told if it is asked for");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_violation(mut self, hook: impl Fn(&Violation) + Send + 'static) -> Self {
        self.observer.hook = Some(Box::new(hook));
        self
    }

    /// How many violations may wait for the hook: at least 1. Default: 1024.
    pub fn violation_queue(mut self, capacity: usize) -> Self {
        self.observer.queue = capacity.max(1);
        self
    }

    /// Whether violations have the key itself and not only its keyed hash. Default: no. Then keys
    /// such as the names of users go wherever the hook sends them. An API key is never part of a
    /// key in plain text.
    pub fn violations_with_keys(mut self, with_keys: bool) -> Self {
        self.observer.with_keys = with_keys;
        self
    }
}
