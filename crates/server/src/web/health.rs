//! Whether the process lives, and whether it takes requests.

use axum::extract::State;

use super::Problem;
use crate::net::Shutdown;

/// The process lives.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The process takes requests. Once it ends, whoever balances load shall send none any more, while
/// those in flight are answered.
pub(crate) async fn readyz(State(shutdown): State<Shutdown>) -> Result<&'static str, Problem> {
    if shutdown.has_begun() {
        return Err(Problem::new(503, "The service ends", "").retry_after(1));
    }
    Ok("ready\n")
}
