//! Reading the body of a request, within a size and a time.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::Problem;

/// The whole body, if it has at most `most` bytes and comes within `longest`.
///
/// # Errors
///
/// 413 if it is longer, 408 if it takes longer, 400 if the connection breaks.
pub(crate) async fn read(body: Body, most: usize, longest: Duration) -> Result<Bytes, Problem> {
    let too_long =
        || Problem::new(413, "The body is too long", format!("at most {most} bytes are read"));
    // Known beforehand: whoever asks whether to send it is not told to.
    if http_body::Body::size_hint(&body).lower() > u64::try_from(most).unwrap_or(u64::MAX) {
        return Err(too_long());
    }
    let whole = Limited::new(body, most).collect();
    let Ok(read) = tokio::time::timeout(longest, whole).await else {
        let detail = format!("it did not come within {longest:?}");
        return Err(Problem::new(408, "The body took too long", detail));
    };
    read.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            return too_long();
        }
        Problem::new(400, "The body can't be read", error.to_string())
    })
}
