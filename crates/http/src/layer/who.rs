//! Who the caller of a request is: what the application says, and what servers note in extensions.

use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;

use crate::address::Peer;
use crate::engine::Caller;

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
            caller = caller.with_user(user);
        }
        if let Some(api_key) = self.api_key.as_ref().and_then(|api_key| api_key(parts)) {
            caller = caller.with_api_key(api_key);
        }
        if let Some(tier) = self.tier.as_ref().and_then(|tier| tier(parts)) {
            caller = caller.in_tier(tier);
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
