//! How responses become bytes.
//!
//! Most of a response is the fields for the client: ten short texts. They are written when they are
//! made, so that none of them is kept as a text of its own.

use http::{HeaderName, HeaderValue};
use prost::Message as _;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::{ProstCodec, ProstDecoder};

use super::messages::{RateLimitRequest, RateLimitResponse};

/// A response: a message without fields, and its fields as they are sent. In a message of protobuf,
/// the elements of a list may stand anywhere, so both are sent one after the other.
#[derive(Debug)]
pub struct Response {
    pub(super) message: RateLimitResponse,
    pub(super) fields: Fields,
}

/// The list `response_headers_to_add` of a response, as it is sent.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<u8>);

/// The key of a part with a length in protobuf: its number, and the type 2.
const fn part(number: u8) -> u8 {
    number << 3 | 2
}

impl Fields {
    /// No fields, with room for those that a policy has which says nothing of them.
    pub(super) fn with_usual_capacity() -> Self {
        Self(Vec::with_capacity(256))
    }

    /// Adds a field. A text of protobuf is UTF-8: a value that is not text is left out, and no value
    /// of ours is.
    pub(super) fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        if !value.is_ascii() {
            return;
        }
        let length = |text: &[u8]| 1 + prost::length_delimiter_len(text.len()) + text.len();
        self.begin(3, length(name) + length(value));
        for (number, text) in [(1, name), (2, value)] {
            self.begin(number, text.len());
            self.0.extend_from_slice(text);
        }
    }

    fn begin(&mut self, number: u8, length: usize) {
        self.0.push(part(number));
        // A vector takes every byte.
        let _ = prost::encode_length_delimiter(length, &mut self.0);
    }
}

/// The codec of the method.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ResponseCodec;

/// Messages are shorter than the 8 KiB for which tonic makes room.
fn buffer() -> BufferSettings {
    BufferSettings::new(1 << 10, 32 << 10)
}

impl Codec for ResponseCodec {
    type Encode = Response;
    type Decode = RateLimitRequest;
    type Encoder = Self;
    type Decoder = ProstDecoder<RateLimitRequest>;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<RateLimitResponse, RateLimitRequest>::raw_decoder(buffer())
    }
}

impl Encoder for ResponseCodec {
    type Item = Response;
    type Error = Status;

    fn encode(&mut self, item: Response, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        use bytes::BufMut as _;
        item.message.encode(buffer).map_err(|error| Status::internal(error.to_string()))?;
        buffer.put_slice(&item.fields.0);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envoy::messages::HeaderValue as Field;

    #[test]
    fn fields_are_a_part_of_the_message() {
        let long = "x".repeat(300);
        let mut fields = Fields::with_usual_capacity();
        fields.add(&HeaderName::from_static("ratelimit"), &HeaderValue::from_static("\"a\";r=1"));
        fields.add(
            &HeaderName::from_static("x-long"),
            &HeaderValue::from_str(&long).expect("it is text"),
        );
        let not_text = HeaderValue::from_bytes(&[0xff]).expect("a value of HTTP");
        fields.add(&HeaderName::from_static("x-bytes"), &not_text);

        let message = RateLimitResponse { overall_code: 1, ..RateLimitResponse::default() };
        let bytes = [message.encode_to_vec(), fields.0].concat();
        let field = |key: &str, value: &str| Field { key: key.into(), value: value.into() };
        let expected = RateLimitResponse {
            response_headers_to_add: vec![field("ratelimit", "\"a\";r=1"), field("x-long", &long)],
            ..message
        };
        assert_eq!(RateLimitResponse::decode(&bytes[..]).expect("a message"), expected);
    }
}
