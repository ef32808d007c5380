//! Any body of a model API is read without a panic, and an answer the same however it is
//! split, or at once if it is JSON.
#![no_main]

use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use tollgate_http::llm::{AnswerReader, ErrorBody, Estimator};

const PATHS: [&str; 4] = [
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/messages",
    "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
];

fuzz_target!(|input: (u16, Vec<u16>, &[u8])| {
    let (number, cuts, body) = input;

    let path = PATHS[usize::from(number) % PATHS.len()];
    let estimate = Estimator::new().estimate(path, body);
    let own = Estimator::new().count_with(|_, text| text.chars().count() as u64);
    let by_own = own.estimate(path, body);
    // Whoever counts, the body is understood or not.
    assert_eq!(estimate.model, by_own.model);
    assert_eq!(estimate.demand.max_output, by_own.demand.max_output);

    let status = StatusCode::from_u16(100 + number % 900).unwrap_or(StatusCode::OK);
    let error = ErrorBody::read(status, body);
    assert!(error.status.is_client_error() || error.status.is_server_error());

    let mut whole = AnswerReader::new();
    whole.feed(body);
    let mut split = AnswerReader::new();
    let mut rest = body;
    for cut in cuts {
        let (piece, after) = rest.split_at(usize::from(cut).min(rest.len()));
        split.feed(piece);
        rest = after;
    }
    split.feed(rest);
    assert_eq!(whole.spent(), split.spent());
    assert_eq!(whole.error(), split.error());

    if serde_json::from_slice::<serde_json::Value>(body).is_ok() {
        let at_once = AnswerReader::whole(body);
        assert_eq!(at_once.spent(), whole.spent());
        assert_eq!(at_once.error(), whole.error());
    }
});
