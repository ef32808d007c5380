//! Events for a subscriber of `tracing`. No event contains a password, a subject or a URL.

/// A connection is there, for the first time or again.
pub(crate) fn connected() {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "tollgate::redis", "connected to the store");
}

/// The connection was given up.
pub(crate) fn disconnected(why: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "tollgate::redis", why, "the connection to the store is replaced");
    #[cfg(not(feature = "tracing"))]
    let _ = why;
}

/// The masters of a cluster are other ones than before.
pub(crate) fn masters(count: usize) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "tollgate::redis", count, "the masters of the cluster are others than before");
    #[cfg(not(feature = "tracing"))]
    let _ = count;
}
