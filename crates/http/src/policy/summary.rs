//! What a policy says of its limits and routes, to be shown to people.

use std::fmt;

use tollgate::Quota;

use super::policy::Policy;
use super::settings::{KeyPart, Limit, Mode};

/// One limit of a policy, to be shown; made by [`Policy::limits`].
#[derive(Clone, Copy)]
pub struct LimitSummary<'a> {
    limit: &'a Limit,
    mode: Mode,
}

impl Policy {
    /// The limits, in the policy's order.
    ///
    /// ```
    /// use tollgate_http::Policy;
    /// let policy: Policy = r#"
    ///     version = 1
    ///     always = ["calls"]
    ///     [limits.calls]
    ///     quota = "10/min burst 20"
    ///     key = ["caller", "route"]
    ///     missing = "skip"
    /// "#.parse()?;
    /// let calls = policy.limits().next().expect("there is one");
    /// assert_eq!(calls.name(), "calls");
    /// assert_eq!(calls.quota().to_string(), "10/min burst 20");
    /// assert_eq!(calls.key().map(ToString::to_string).collect::<Vec<_>>(), ["caller", "route"]);
    /// assert!(!calls.is_shadow());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn limits(&self) -> impl ExactSizeIterator<Item = LimitSummary<'_>> {
        let mode = self.mode();
        self.settings().limits.iter().map(move |limit| LimitSummary { limit, mode })
    }

    /// The names of the routes, in the policy's order.
    #[must_use]
    pub fn route_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.settings().routes.iter().map(|route| route.name.as_str())
    }

    /// Whether the limits refuse, only tell, or rest.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.settings().mode
    }
}

impl<'a> LimitSummary<'a> {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.limit.name
    }

    /// The quota of callers for whom no tier and no subject says another one.
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.limit.quota
    }

    /// The parts of the key; none if there is one bucket for all.
    #[must_use]
    pub fn key(&self) -> impl ExactSizeIterator<Item = &'a KeyPart> {
        self.limit.key.iter()
    }

    /// Whether the limit only tells what it would refuse, because of its own mode or that of the
    /// policy.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.mode == Mode::Shadow || self.limit.mode == Mode::Shadow
    }
}

impl fmt::Debug for LimitSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitSummary").field("name", &self.name()).finish_non_exhaustive()
    }
}
