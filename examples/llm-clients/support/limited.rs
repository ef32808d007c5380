//! What sends the requests of a client: the limits of the keys, and what is noted of each request.

use std::sync::Arc;

use tollgate_http::llm::{LlmError, LlmLayer, LlmService};
use tollgate_llm_clients::clients::{AskedService, Failure, Journal, Reqwest, SentService};
use tower::ServiceBuilder;
use tower::util::MapErr;

use crate::table::Keys;

/// How often a request is sent, if it has to be sent again.
const TRIES: u32 = 4;

/// Sends requests with the keys of a pool, within their limits.
type Limited = MapErr<AskedService<LlmService<SentService<Reqwest>>>, IntoFailure>;
type IntoFailure = fn(LlmError<Failure>) -> Failure;

/// A service with the limits of the keys, to go below a client.
pub(crate) fn limited(keys: &Keys<'_>, journal: &Journal) -> Limited {
    ServiceBuilder::new()
        .map_err(LlmError::into_box as IntoFailure)
        .layer_fn(Journal::asked)
        .layer(LlmLayer::pool(Arc::clone(&keys.pool)).tries(TRIES))
        .layer_fn(|inner| journal.sent(inner))
        .service(Reqwest::default())
}
