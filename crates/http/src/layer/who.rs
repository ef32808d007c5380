//! Who the caller of a request is: what the application says, and what servers note in extensions.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;

use crate::address::Peer;

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

    /// Adds an API key that has been checked.
    #[must_use]
    pub fn with_api_key(mut self, api_key: impl Into<Arc<str>>) -> Self {
        self.api_key = Some(api_key.into());
        self
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

type Say<T> = Arc<dyn Fn(&Parts) -> Option<T> + Send + Sync>;

/// What the application says of the callers of requests.
#[derive(Clone, Default)]
pub(super) struct Who {
    pub(super) user: Option<Say<Arc<str>>>,
    pub(super) api_key: Option<Say<String>>,
    pub(super) tier: Option<Say<Arc<str>>>,
    pub(super) peer: Option<Say<Peer>>,
    pub(super) path: Option<Say<String>>,
    pub(super) by_matched_path: bool,
}

/// The caller of one request.
pub(super) struct Identity {
    pub(super) caller: Caller,
    pub(super) peer: Option<Peer>,
}

impl Who {
    /// The caller of a request.
    pub(super) fn identity(&self, parts: &Parts) -> Identity {
        let mut caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
        if let Some(user) = self.user.as_ref().and_then(|user| user(parts)) {
            caller.user = Some(user);
        }
        if let Some(api_key) = self.api_key.as_ref().and_then(|api_key| api_key(parts)) {
            caller.api_key = Some(api_key.into());
        }
        if let Some(tier) = self.tier.as_ref().and_then(|tier| tier(parts)) {
            caller.tier = Some(tier);
        }
        let peer = self.peer.as_ref().and_then(|peer| peer(parts));
        Identity { caller, peer: peer.or_else(|| noted_peer(parts)) }
    }

    /// The URI that the client has sent. A nested router of axum takes its prefix off the path.
    pub(super) fn uri(parts: &Parts) -> &http::Uri {
        #[cfg(feature = "axum")]
        if let Some(original) = parts.extensions.get::<axum::extract::OriginalUri>() {
            return original;
        }
        &parts.uri
    }

    /// The path by which the application wants the request to be known, if it says one.
    pub(super) fn path(&self, parts: &Parts) -> Option<String> {
        self.path.as_ref()?(parts)
    }

    /// The template of the route that axum's router has matched, if it is wanted.
    pub(super) fn template<'a>(&self, parts: &'a Parts) -> Option<&'a str> {
        if !self.by_matched_path {
            return None;
        }
        #[cfg(feature = "axum")]
        return Some(parts.extensions.get::<axum::extract::MatchedPath>()?.as_str());
        #[cfg(not(feature = "axum"))]
        {
            let _ = parts;
            None
        }
    }
}

impl Caller {
    pub(super) fn user_name(&self) -> Option<&Arc<str>> {
        self.user.as_ref()
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.api_key.as_deref()
    }

    pub(super) fn tier_name(&self) -> Option<&str> {
        self.tier.as_deref()
    }
}

/// The peer that a server has noted in the extensions of the request.
fn noted_peer(parts: &Parts) -> Option<Peer> {
    let extensions = &parts.extensions;
    if let Some(peer) = extensions.get::<Peer>() {
        return Some(*peer);
    }
    #[cfg(feature = "axum")]
    if let Some(info) = extensions.get::<axum::extract::ConnectInfo<SocketAddr>>() {
        return Some(info.0.into());
    }
    #[cfg(feature = "tonic")]
    if let Some(info) = extensions.get::<tonic::transport::server::TcpConnectInfo>() {
        return info.remote_addr().map(Peer::from);
    }
    #[cfg(all(feature = "tonic", unix))]
    if extensions.get::<tonic::transport::server::UdsConnectInfo>().is_some() {
        return Some(Peer::Unix);
    }
    extensions.get::<SocketAddr>().copied().map(Peer::from)
}
