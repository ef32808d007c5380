//! Reading the body of a request, within a size and a time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;

use super::Problem;
use crate::net::within;

/// The whole body, if it has at most `most` bytes and comes within `longest`.
///
/// # Errors
///
/// 413 if it is longer, 408 if it takes longer, 400 if the connection breaks.
pub(crate) async fn read(body: Body, most: usize, longest: Duration) -> Result<Bytes, Problem> {
    let too_long =
        || Problem::new(413, "The body is too long", format!("at most {most} bytes are read"));
    // Known beforehand: whoever asks whether to send it is not told to.
    if body.size_hint().lower() > u64::try_from(most).unwrap_or(u64::MAX) {
        return Err(too_long());
    }
    let whole = to_the_end(Limited::new(body, most));
    let Ok(read) = within(longest, whole).await else {
        let detail = format!("it did not come within {longest:?}");
        return Err(Problem::new(408, "The body took too long", detail));
    };
    read.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return too_long();
        }
        Problem::new(400, "The body can't be read", error.to_string())
    })
}

/// What a body of JSON says.
///
/// # Errors
///
/// 400 with this title if it is not such JSON, with the place of the mistake.
pub(crate) fn parse<'a, T: Deserialize<'a>>(
    body: &'a [u8],
    title: &'static str,
) -> Result<T, Problem> {
    // All bytes are looked at once, and not those of each text for themselves.
    let text = std::str::from_utf8(body).map_err(|error| error.to_string());
    let parsed =
        text.and_then(|text| serde_json::from_str(text).map_err(|error| error.to_string()));
    parsed.map_err(|why| Problem::new(400, title, why))
}

/// All bytes. Most bodies come with their heads, and are then read without waiting, not even for
/// the word that nothing follows: that would be another turn of the connection's task, and a timer.
async fn to_the_end(
    mut body: Limited<Body>,
) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    let (mut first, mut longer) = (Bytes::new(), BytesMut::new());
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await.transpose()? else { break };
        // Trailers say nothing here.
        let Ok(data) = frame.into_data() else { continue };
        if first.is_empty() {
            first = data;
            continue;
        }
        if longer.is_empty() {
            longer.extend_from_slice(&first);
        }
        longer.extend_from_slice(&data);
    }
    Ok(if longer.is_empty() { first } else { longer.freeze() })
}
