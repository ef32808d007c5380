//! Events for a subscriber of `tracing`; nothing without the feature.

use crate::engine::store::StoreError;

/// The store did not answer.
pub(crate) fn store_failed(error: &StoreError) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "tollgate_http", %error, "the store of the limits failed");
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}
