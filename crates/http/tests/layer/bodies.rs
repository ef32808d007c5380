//! Bodies pass through the layer as they are.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tollgate_http::layer::ResponseBody;

use crate::probe::{Probe, behind, request, send};
use crate::scene::{limiter, policy};
use crate::stores::block_on;

/// Data that is not `Bytes`.
#[derive(Debug, PartialEq, Eq)]
struct Chunk(VecDeque<u8>);

impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Self {
        Self(bytes.into_iter().collect())
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.0.len()
    }

    fn chunk(&self) -> &[u8] {
        self.0.as_slices().0
    }

    fn advance(&mut self, count: usize) {
        self.0.drain(..count);
    }
}

/// A body of frames, whose every second poll is pending.
struct Stream {
    frames: VecDeque<Result<Frame<Chunk>, &'static str>>,
    hint: SizeHint,
    is_pending: bool,
}

impl Body for Stream {
    type Data = Chunk;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, &'static str>>> {
        self.is_pending = !self.is_pending;
        if self.is_pending {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.frames.pop_front())
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

fn stream() -> Stream {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("7"));
    let data =
        |text: &'static str| Ok(Frame::data(Chunk::from(Bytes::from_static(text.as_bytes()))));
    let mut hint = SizeHint::new();
    hint.set_lower(3);
    hint.set_upper(99);
    let frames = [data("one"), data(""), data("two"), Ok(Frame::trailers(trailers)), Err("torn")];
    Stream { frames: frames.into(), hint, is_pending: false }
}

fn scene(body: &str) -> tollgate_http::HttpLimiter {
    let text = format!(
        "always = ['calls']\n[limits.calls]\nquota = '1/1000days'\n[response]\nbody = '{body}'\n"
    );
    limiter(&policy(&text)).0
}

fn next(body: &mut ResponseBody<Stream>) -> Option<Result<Frame<Chunk>, &'static str>> {
    block_on(body.frame())
}

#[test]
fn a_stream_with_trailers_and_an_error_passes_unchanged() {
    let probe = Probe::new(|_: Request<String>| async { Ok(Response::new(stream())) });
    let response = send(&mut behind(&scene("problem"), probe), request("/")).unwrap();
    let mut body = response.into_body();
    assert_eq!((body.size_hint().lower(), body.size_hint().upper()), (3, Some(99)));
    assert!(!body.is_end_stream());
    let text = |frame: Option<Result<Frame<Chunk>, &str>>| {
        let chunk = frame.unwrap().unwrap().into_data().expect("data");
        String::from_utf8(chunk.0.into()).unwrap()
    };
    assert_eq!(text(next(&mut body)), "one");
    assert_eq!(text(next(&mut body)), "");
    assert_eq!(text(next(&mut body)), "two");
    let trailers = next(&mut body).unwrap().unwrap().into_trailers().expect("trailers");
    assert_eq!(trailers["x-checksum"], "7");
    assert_eq!(next(&mut body).unwrap().unwrap_err(), "torn");
    assert!(body.is_end_stream());
    assert!(next(&mut body).is_none());
}

#[test]
fn a_refusal_has_its_text_as_the_data_of_the_service() {
    for (form, begins) in [("problem", "{"), ("json", "{"), ("text", ""), ("none", "")] {
        let probe = Probe::new(|_: Request<String>| async { Ok(Response::new(stream())) });
        let mut service = behind(&scene(form), probe.clone());
        send(&mut service, request("/")).unwrap();
        let response = send(&mut service, request("/")).unwrap();
        assert_eq!((response.status().as_u16(), probe.calls()), (429, 1));
        let mut body = response.into_body();
        let length = body.size_hint().exact().expect("a known length");
        assert_eq!(body.is_end_stream(), length == 0);
        assert_eq!(length == 0, form == "none");
        let mut text = String::new();
        while let Some(frame) = next(&mut body) {
            let chunk = frame.unwrap().into_data().expect("data");
            text.push_str(std::str::from_utf8(&Vec::from(chunk.0)).unwrap());
        }
        assert!(text.starts_with(begins), "{text}");
        assert_eq!(u64::try_from(text.len()).unwrap(), length);
        assert!(body.is_end_stream() && body.size_hint().exact() == Some(0));
    }
    let empty = ResponseBody::<Stream>::default();
    assert!(empty.is_end_stream());
}

#[test]
fn the_body_of_a_refused_request_is_dropped_unread() {
    struct Unread;
    impl Body for Unread {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            panic!("the body of a request was read")
        }
    }
    let limiter = scene("problem");
    let probe = Probe::new(|_: Request<Unread>| async { Ok(Response::new(stream())) });
    let mut service = behind(&limiter, probe);
    for status in [200, 429, 429] {
        let (parts, _) = request("/").into_parts();
        let response = send(&mut service, Request::from_parts(parts, Unread)).unwrap();
        assert_eq!(response.status(), status);
    }
}
