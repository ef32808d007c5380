//! Who the caller of a request is: what the application says, and what servers note in extensions.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Extensions, HeaderMap, Method, Request, Uri};

use crate::address::Peer;
use crate::engine::Caller;

/// The head of a request: what the application is shown to say who the caller is.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The URI; within a nested router of axum, without the router's prefix.
    pub uri: &'a Uri,
    /// The header fields.
    pub headers: &'a HeaderMap,
    /// What the server and other layers have noted.
    pub extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    pub(super) fn of<B>(request: &'a Request<B>) -> Self {
        let (method, uri) = (request.method(), request.uri());
        Self { method, uri, headers: request.headers(), extensions: request.extensions() }
    }
}

/// The values of headers, which may be secrets, are not shown, and neither is the query.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", self.method)
            .field("path", &self.uri.path())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

type Say<T> = Arc<dyn Fn(&RequestHead<'_>) -> Option<T> + Send + Sync>;

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
    pub(super) fn identity(&self, head: &RequestHead<'_>) -> Identity {
        let mut caller = head.extensions.get::<Caller>().cloned().unwrap_or_default();
        if let Some(user) = self.user.as_ref().and_then(|user| user(head)) {
            caller = caller.with_user(user);
        }
        if let Some(api_key) = self.api_key.as_ref().and_then(|api_key| api_key(head)) {
            caller = caller.with_api_key(api_key);
        }
        if let Some(tier) = self.tier.as_ref().and_then(|tier| tier(head)) {
            caller = caller.in_tier(tier);
        }
        let peer = self.peer.as_ref().and_then(|peer| peer(head));
        Identity { caller, peer: peer.or_else(|| noted_peer(head)) }
    }

    /// The URI that the client has sent. A nested router of axum takes its prefix off the path.
    pub(super) fn uri<'a>(head: &RequestHead<'a>) -> &'a Uri {
        #[cfg(feature = "axum")]
        if let Some(original) = head.extensions.get::<axum::extract::OriginalUri>() {
            return original;
        }
        head.uri
    }

    /// The path by which the application wants the request to be known, if it says one.
    pub(super) fn path(&self, head: &RequestHead<'_>) -> Option<String> {
        self.path.as_ref()?(head)
    }

    /// The template of the route that axum's router has matched, if it is wanted.
    pub(super) fn template<'a>(&self, head: &RequestHead<'a>) -> Option<&'a str> {
        if !self.by_matched_path {
            return None;
        }
        #[cfg(feature = "axum")]
        return Some(head.extensions.get::<axum::extract::MatchedPath>()?.as_str());
        #[cfg(not(feature = "axum"))]
        {
            let _ = head;
            None
        }
    }
}

/// The peer that a server has noted in the extensions of the request.
fn noted_peer(head: &RequestHead<'_>) -> Option<Peer> {
    let extensions = head.extensions;
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
