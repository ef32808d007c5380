//! Bodies of requests, and any body of an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use tollgate::llm::Tokens;
use tollgate_http::llm::{Estimator, LlmError};
use tower::ServiceExt as _;

use super::support::{
    Client, Piece, Step, answer, request, scene, send, tokens, tokens_used, usage, used,
};

/// A body that comes in pieces, and may say how long it is.
struct Pieces {
    pieces: Vec<&'static str>,
    says: Option<u64>,
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        let text = String::from_utf8(bytes.into()).expect("text");
        Self { says: Some(text.len() as u64), pieces: vec![text.leak()] }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let first = (!self.pieces.is_empty()).then(|| self.pieces.remove(0));
        Poll::Ready(first.map(|piece| Ok(Frame::data(piece.into()))))
    }

    fn size_hint(&self) -> SizeHint {
        self.says.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

fn post(body: Pieces) -> Request<Pieces> {
    Request::post("https://api.example.com/v1/responses").body(body).expect("a valid request")
}

#[tokio::test(start_paused = true)]
async fn a_body_that_says_its_length_is_read_and_sent_again() {
    let pieces = vec![r#"{"input":"#, r#""12345678","#, "", r#""max_output_tokens":5}"#];
    let says = pieces.iter().map(|piece| piece.len() as u64).sum();
    let (pool, layer) = scene(1, tokens());
    let client = Client::new([answer(500, ""), answer(200, "{}")]);
    let request = post(Pieces { pieces: pieces.clone(), says: Some(says) });
    let answer = client.around(&layer).oneshot(request).await.expect("an answer");
    answer.into_body().collect().await.expect("a body");
    let bodies: Vec<Bytes> = client.sent().into_iter().map(|sent| sent.body).collect();
    assert_eq!(bodies, [pieces.concat(), pieces.concat()]);
    // The failed try may have been counted by the server.
    assert_eq!(tokens_used(&pool, "a"), 2 * (2 + 5));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_is_sent_once_as_it_comes() {
    let (pool, layer) = scene(2, tokens());
    let layer = layer.estimator(Estimator::new().otherwise(Tokens::new(11, 22))).max_body(20);
    for says in [None, Some(21)] {
        let client = Client::new([answer(500, "failed")]);
        let request = post(Pieces { pieces: vec!["abc", "def"], says });
        let answer = client.around(&layer).oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), 500);
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body, "failed");
        assert_eq!(client.sent().into_iter().map(|sent| sent.body).collect::<Vec<_>>(), ["abcdef"]);
    }
    assert_eq!(tokens_used(&pool, "a") + tokens_used(&pool, "b"), 2 * 33);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_longer_than_it_says_is_an_error() {
    let (pool, layer) = scene(1, tokens());
    let request = post(Pieces { pieces: vec!["abc", "def"], says: Some(5) });
    let error = Client::new([]).around(&layer).oneshot(request).await.expect_err("too long");
    assert!(matches!(error, LlmError::RequestBody(_)), "{error}");
    assert_eq!((tokens_used(&pool, "a"), usage(&pool, "a").in_flight), (0, 0));
}

/// Such as the list of models.
#[tokio::test(start_paused = true)]
async fn a_request_without_a_body_uses_no_tokens() {
    let (pool, layer) = scene(1, tokens());
    let client = Client::new([answer(200, "{}")]);
    let get = Request::get("https://api.example.com/v1/models");
    let get = get.body(http_body_util::Full::default()).expect("a valid request");
    send(&client.around(&layer), get).await.expect("an answer");
    assert_eq!(tokens_used(&pool, "a"), 0);
}

/// Pieces of answers that mean something, and some that do not.
fn pieces() -> impl Strategy<Value = Vec<Bytes>> {
    let word = prop::sample::select(vec![
        "data: ",
        "\n\n",
        "{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}",
        "{\"error\":{\"code\":\"",
        "rate_limit_exceeded",
        "insufficient_quota",
        "\"}}",
        "event: error\n",
        "try again in 5s",
        "[",
        "é",
    ]);
    let bytes = prop_oneof![
        word.prop_map(|word| Bytes::from(word.to_owned())),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from),
    ];
    prop::collection::vec(bytes, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a server answers: the caller gets it byte by byte, and no request stays in flight.
    #[test]
    fn any_answer_passes_unchanged(status in 200_u16..600, pieces in pieces(), fails in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let (pool, layer) = scene(1, tokens());
    let layer = layer.tries(1);
            let right = pieces.concat();
            let mut body: Vec<Piece> = pieces.into_iter().map(Piece::Data).collect();
            body.extend(fails.then_some(Piece::Fail));
            let client = Client::new([Step::Answer(status, Vec::new(), body)]);
            let answer = client.around(&layer).oneshot(request(4, 4)).await.expect("an answer");
            assert_eq!(answer.status(), status);
            let mut body = answer.into_body();
            let mut seen = Vec::new();
            let mut failed = false;
            while let Some(frame) = body.frame().await {
                match frame {
                    Ok(frame) => seen.extend_from_slice(frame.data_ref().expect("data")),
                    Err(_) => failed = true,
                }
            }
            assert_eq!((seen, failed), (right, fails));
            assert_eq!(usage(&pool, "a").in_flight, 0);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_is_kept_for_the_next_try() {
    let (_, layer) = scene(1, tokens());
    let client = Client::new([answer(500, ""), used(1, 1)]);
    let mut request = request(4, 4);
    request.headers_mut().insert("x-own", "kept".parse().expect("valid"));
    send(&client.around(&layer), request).await.expect("an answer");
    assert_eq!(client.sent().len(), 2);
}
