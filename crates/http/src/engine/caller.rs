//! Who the caller of a request is.

use std::fmt;
use std::sync::Arc;

/// Who the caller of a request is: an extension that a middleware which authenticates inserts.
///
/// ```
/// use tollgate_http::Caller;
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(Caller::user("alice").in_tier("premium"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Caller {
    user: Option<Arc<str>>,
    api_key: Option<Arc<str>>,
    tier: Option<Arc<str>>,
}

impl Caller {
    /// A user who has been authenticated.
    #[must_use]
    pub fn user(user: impl Into<Arc<str>>) -> Self {
        Self { user: Some(user.into()), ..Self::default() }
    }

    /// The holder of an API key that has been checked. The limiter keeps it only as a keyed hash.
    #[must_use]
    pub fn api_key(api_key: impl Into<Arc<str>>) -> Self {
        Self { api_key: Some(api_key.into()), ..Self::default() }
    }

    /// Adds the caller's tier. A tier that the policy does not know is ignored.
    #[must_use]
    pub fn in_tier(mut self, tier: impl Into<Arc<str>>) -> Self {
        self.tier = Some(tier.into());
        self
    }

    /// Adds the user, or replaces it.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<Arc<str>>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Adds an API key that has been checked.
    #[must_use]
    pub fn with_api_key(mut self, api_key: impl Into<Arc<str>>) -> Self {
        self.api_key = Some(api_key.into());
        self
    }

    /// The user's name.
    #[must_use]
    pub fn user_name(&self) -> Option<&Arc<str>> {
        self.user.as_ref()
    }

    /// The tier's name.
    #[must_use]
    pub fn tier_name(&self) -> Option<&str> {
        self.tier.as_deref()
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.api_key.as_deref()
    }
}

/// The key is not shown.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("user", &self.user)
            .field("api_key", &self.api_key.as_ref().map(|_| "..."))
            .field("tier", &self.tier)
            .finish()
    }
}
