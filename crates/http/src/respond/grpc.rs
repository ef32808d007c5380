//! Refusals that gRPC clients understand: a status in header fields ("trailers only").

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use prost::Message as _;

use super::{Refusal, Wait, numbers};

const MEDIA_TYPE: &str = "application/grpc";

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// What is percent-encoded in `grpc-message`, besides all that is not ASCII.
const MESSAGE_ESCAPES: &AsciiSet = &CONTROLS.add(b'%');

/// The longest `google.protobuf.Duration`: about 10,000 years.
const LONGEST: Duration = Duration::from_secs(315_576_000_000);

/// Whether a request is a gRPC call: its content type is `application/grpc`, alone or followed by
/// `+` or `;`.
///
/// gRPC-Web (`application/grpc-web`) is a different protocol, whose responses a layer outside of
/// the rate limits has to translate. Such a layer (tonic-web's, or Envoy's filter) turns the
/// request into `application/grpc`, so that it is a gRPC call here. Without such a layer, the
/// client gets a plain HTTP response, whose status it translates itself.
///
/// ```
/// # use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE}; use tollgate_http::respond::is_grpc;
/// let mut headers = HeaderMap::new();
/// headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
/// assert!(is_grpc(&headers));
/// headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc-web"));
/// assert!(!is_grpc(&headers));
/// ```
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE) else { return false };
    let Some((start, rest)) = content_type.as_bytes().split_at_checked(MEDIA_TYPE.len()) else {
        return false;
    };
    start.eq_ignore_ascii_case(MEDIA_TYPE.as_bytes()) && matches!(rest, [] | [b'+' | b';', ..])
}

impl Refusal<'_> {
    /// Sets the fields of a gRPC response that has an HTTP status of 200 and no body.
    ///
    /// * `grpc-status`: 8 (`RESOURCE_EXHAUSTED`) for 429, 14 (`UNAVAILABLE`) for 503, 7
    ///   (`PERMISSION_DENIED`) for 403, 3 (`INVALID_ARGUMENT`) for 400, 13 (`INTERNAL`) for 500;
    /// * `grpc-message`: the sentences that a body would have, percent-encoded;
    /// * `grpc-retry-pushback-ms`: the wait in milliseconds, rounded up; -1 if no wait helps; left
    ///   out if none is known;
    /// * `grpc-status-details-bin`: if there is a wait, a `google.rpc.Status` in Base64, with the
    ///   wait as `google.rpc.RetryInfo`.
    ///
    /// Sources: [PROTOCOL-HTTP2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md),
    /// gRFC [A6](https://github.com/grpc/proposal/blob/master/A6-client-retries.md) (pushback), and
    /// `google/rpc/status.proto` and `error_details.proto`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use http::HeaderMap;
    /// use tollgate_http::respond::Refusal;
    ///
    /// let mut headers = HeaderMap::new();
    /// Refusal::penalty(Duration::from_micros(1_500_001)).write_grpc(&mut headers);
    /// assert_eq!(headers["grpc-status"], "8");
    /// assert_eq!(headers["grpc-retry-pushback-ms"], "1501");
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "grpc")))]
    pub fn write_grpc(&self, headers: &mut HeaderMap) {
        let code = self.grpc_code();
        let message = self.detail();
        let escaped = utf8_percent_encode(&message, MESSAGE_ESCAPES).to_string();
        // Errors mean that the map can hold no more fields.
        let mut set = |name, value| {
            let _ = headers.try_insert(name, value);
        };
        set(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        set(GRPC_STATUS, numbers::value(u64::from(code)));
        set(GRPC_MESSAGE, numbers::ascii(Bytes::from(escaped)));
        match self.wait() {
            Wait::After(wait) => {
                set(GRPC_PUSHBACK, numbers::value(milliseconds(wait)));
                let details = encoded_details(code, message, wait);
                set(GRPC_DETAILS, numbers::ascii(Bytes::from(details)));
            }
            Wait::Never => set(GRPC_PUSHBACK, HeaderValue::from_static("-1")),
            Wait::Unknown => {}
        }
    }

    /// The status code of gRPC.
    fn grpc_code(&self) -> u8 {
        match self.status().as_u16() {
            429 => 8,
            503 => 14,
            403 => 7,
            400 => 3,
            _ => 13,
        }
    }
}

/// Whole milliseconds, rounded up.
fn milliseconds(wait: Duration) -> u64 {
    let millis = wait.as_nanos().div_ceil(1_000_000);
    u64::try_from(millis).map_or(numbers::MAX, |millis| millis.min(numbers::MAX))
}

/// A `google.rpc.Status` with a `google.rpc.RetryInfo`, as text. gRPC writes no padding.
fn encoded_details(code: u8, message: String, wait: Duration) -> String {
    let wait = wait.min(LONGEST);
    let retry_info = RetryInfo {
        retry_delay: Some(ProtoDuration {
            seconds: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(wait.subsec_nanos()).unwrap_or(0),
        }),
    };
    let details = vec![Any {
        type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
        value: retry_info.encode_to_vec(),
    }];
    let status = Status { code: i32::from(code), message, details };
    STANDARD_NO_PAD.encode(status.encode_to_vec())
}

/// `google.rpc.Status`
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`
#[derive(Clone, PartialEq, prost::Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}
