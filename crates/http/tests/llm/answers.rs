//! The usage of answers: recorded ones, and however their bytes are split.

use http::StatusCode;
use proptest::prelude::*;
use proptest::sample::Index;
use tollgate::llm::Spent;
use tollgate_http::llm::{AnswerReader, ErrorBody};

use super::data;

/// What is read from an answer.
type Read = (Option<Spent>, Option<ErrorBody>);

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let mut reader = AnswerReader::new();
    for piece in pieces {
        reader.feed(piece);
    }
    (reader.spent(), reader.error())
}

/// Splits bytes at places.
fn split<'a>(bytes: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let starts = [0].into_iter().chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| &bytes[start..*end]).collect()
}

#[test]
fn recorded_answers() {
    let answers = data::answers();
    assert!(answers.len() > 25, "only {} answers", answers.len());
    for answer in answers {
        let count = |name: &str| answer.fields["right"][name].as_u64();
        let right = count("input").zip(count("output")).map(|(input, output)| Spent {
            input,
            cache_writes: count("cache_writes").unwrap_or(0),
            cache_reads: count("cache_reads").unwrap_or(0),
            output,
        });
        let (spent, error) = read([answer.body.as_bytes()]);
        assert_eq!(spent, right, "{}", answer.provider);
        let fails = answer.provider.contains("failing");
        assert_eq!(error.is_some(), fails, "{}", answer.provider);
    }
}

#[test]
fn recorded_answers_byte_by_byte_and_with_other_line_ends() {
    for answer in data::answers() {
        let right = read([answer.body.as_bytes()]);
        assert_eq!(read(answer.body.as_bytes().chunks(1)), right, "{}", answer.provider);
        let lines = answer.body.replace("\r\n", "\n");
        for end in ["\r\n", "\r"] {
            let other = lines.replace('\n', end);
            assert_eq!(read([other.as_bytes()]), right, "{} {end:?}", answer.provider);
            for length in [2, 3, 7] {
                assert_eq!(read(other.as_bytes().chunks(length)), right, "{}", answer.provider);
            }
        }
    }
}

#[test]
fn an_error_in_a_stream_is_what_it_is() {
    let stream = "event: message_start\n\
        data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n\
        event: error\n\
        data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let (spent, error) = read([stream.as_bytes()]);
    assert_eq!(spent, Some(Spent { input: 25, output: 1, ..Spent::default() }));
    assert_eq!(error.map(|error| error.status.as_u16()), Some(529));

    // Alibaba's, whose data has no `error`.
    let stream = "id:1\nevent:error\n:HTTP_STATUS/429\n\
        data:{\"code\":\"Throttling.RateQuota\",\"message\":\"Requests rate limit exceeded\"}\n\n\
        data:{\"code\":\"Throttling.RateQuota\",\"message\":\"said in an event without a type\"}\n\n";
    let (_, error) = read([stream.as_bytes()]);
    assert_eq!(error.map(|error| error.status), Some(StatusCode::TOO_MANY_REQUESTS));
    let (_, error) = read([stream.replace("event:error", "event:result").as_bytes()]);
    assert_eq!(error, None);
}

#[test]
fn the_first_error_counts_and_nothing_is_no_error() {
    let stream = "data: {\"error\":null}\n\ndata: {\"error\":{\"type\":\"overloaded_error\"}}\n\n\
        data: {\"error\":{\"type\":\"rate_limit_error\"}}\n\n";
    let (_, error) = read([stream.as_bytes()]);
    assert_eq!(error.map(|error| error.status.as_u16()), Some(529));
    for nothing in ["null", "{}", "[]", "\"\"", "false"] {
        let answer = format!("{{\"id\":1,\"error\":{nothing},\"status\":\"completed\"}}");
        assert_eq!(read([answer.as_bytes()]).1, None, "{answer}");
    }
}

#[test]
fn a_text_about_errors_is_no_error() {
    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"an error: {\\\"error\\\":{\\\"code\\\":429}}\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"args\":{\"error\":1,\"usage\":{\"input_tokens\":9}}}]}}]}\n\n";
    assert_eq!(read([stream.as_bytes()]), (None, None));
}

#[test]
fn an_event_of_any_size_is_read() {
    let long = "x".repeat(3_000_000);
    let stream = format!(
        "data: {{\"type\":\"response.completed\",\"response\":{{\"instructions\":\"{long}\",\
         \"usage\":{{\"input_tokens\":7,\"output_tokens\":3}},\"output\":[\"{long}\"]}}}}\n\n"
    );
    let right = Some(Spent { input: 7, output: 3, ..Spent::default() });
    assert_eq!(read(stream.as_bytes().chunks(16 * 1024)).0, right);
    assert_eq!(read([stream.as_bytes()]).0, right);
}

/// What streams are made of, and what could confuse a reader of them.
const WORDS: [&str; 24] = [
    "data:",
    "data: ",
    "event: error",
    "event:",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    ": comment",
    "{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}",
    "{\"usage\":null}",
    "{\"usage\": null,\"error\":null}",
    "{\"error\":{\"type\":\"overloaded_error\"}}",
    "{\"type\":\"error\",\"message\":\"rate limit\"}",
    "{\"message\":{\"usage\":{\"input_tokens\":5}}",
    "\"usage\":{\"output_tokens\":9}",
    "{",
    "}",
    "[",
    "\"",
    "\\",
    "[DONE]",
    "é",
    " ",
];

proptest! {
    #[test]
    fn any_split_of_a_recorded_answer_reads_the_same(
        which in any::<Index>(),
        places in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let answers = data::answers();
        let answer = &answers[which.index(answers.len())];
        let bytes = answer.body.as_bytes();
        prop_assert_eq!(read(split(bytes, &places)), read([bytes]));
    }

    #[test]
    fn any_split_of_any_stream_reads_the_same(
        words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..40),
        places in prop::collection::vec(any::<Index>(), 0..10),
    ) {
        let stream = words.concat();
        let whole = read([stream.as_bytes()]);
        prop_assert_eq!(read(split(stream.as_bytes(), &places)), whole);
        prop_assert_eq!(read(stream.as_bytes().chunks(1)), whole);
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (_, error) = read([&bytes[..]]);
        prop_assert!(error.is_none_or(|error| !error.status.is_success()));
    }
}
