//! The body of a request: kept to be sent again, or a stream that can be sent once.

use std::pin::pin;

use crate::BoxError;
use bytes::{Buf, Bytes, BytesMut};
use http_body::Body;

/// The body of a request.
pub(super) enum Payload<B> {
    /// All of it.
    Whole(Bytes),
    /// A body that does not say how long it is, or is longer than what is kept.
    Stream(B),
}

impl<B> Payload<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    /// Reads the body if it says that it has at most `most` bytes.
    pub(super) async fn read(body: B, most: usize) -> Result<Self, BoxError> {
        let length = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
        match length {
            Some(length) if length <= most => Ok(Self::Whole(read(body, length).await?)),
            _ => Ok(Self::Stream(body)),
        }
    }
}

/// Reads a body of this length.
async fn read<B>(body: B, length: usize) -> Result<Bytes, BoxError>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let mut body = pin!(body);
    let mut whole = Bytes::new();
    let mut collected = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(mut data) = frame.map_err(Into::into)?.into_data() else { continue };
        // No copy is made of a body that is in memory already.
        let data = data.copy_to_bytes(data.remaining());
        if whole.is_empty() && collected.is_empty() {
            whole = data;
            continue;
        }
        if collected.is_empty() {
            collected.reserve(length);
            collected.extend_from_slice(&whole);
        }
        collected.extend_from_slice(&data);
        if collected.len() > length {
            return Err("it is longer than it said".into());
        }
    }
    Ok(if collected.is_empty() { whole } else { collected.freeze() })
}
