//! Bodies of refusals.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tollgate_http::policy::BodyForm;
use tollgate_http::respond::{Refusal, Wait};

use crate::{State, shown};

fn two_refused() -> [State; 3] {
    [
        State::parsed("flood", "600/min"),
        State::parsed("calls", "10/min")
            .left(0, 60_000)
            .refused(Some(Duration::from_millis(5_500))),
        State::parsed("export", "20/day burst 5").left(0, 9_000).refused(Some(Duration::ZERO)),
    ]
}

fn parsed(refusal: &Refusal<'_>, form: BodyForm) -> (String, Value) {
    let (content_type, text) = refusal.body(form).expect("a body");
    let content_type = content_type.to_str().expect("ASCII").to_owned();
    (content_type, serde_json::from_slice(&text).expect("JSON"))
}

#[test]
fn the_problem_of_limits() {
    let limits = two_refused();
    let refusal = Refusal::limits(StatusCode::TOO_MANY_REQUESTS, &shown(&limits));
    let (content_type, problem) = parsed(&refusal, BodyForm::Problem);
    assert_eq!(content_type, "application/problem+json");
    assert_eq!(
        problem,
        json!({
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "Quota Exceeded",
            "status": 429,
            "detail": "The request exceeds a rate limit (calls, export). Retry in 6 seconds.",
            "violated-policies": ["calls", "export"],
        })
    );
}

#[test]
fn types_titles_and_statuses_of_problems() {
    let limits = two_refused();
    let (quota, capacity, abuse) = (
        "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
        "https://iana.org/assignments/http-problem-types#abnormal-usage-detected",
    );
    let plain = "about:blank";
    for (refusal, problem_type, title, status) in [
        (
            Refusal::limits(StatusCode::TOO_MANY_REQUESTS, &shown(&limits)),
            quota,
            "Quota Exceeded",
            429,
        ),
        (
            Refusal::limits(StatusCode::SERVICE_UNAVAILABLE, &shown(&limits)),
            capacity,
            "Temporary Reduced Capacity",
            503,
        ),
        (Refusal::full("calls"), capacity, "Temporary Reduced Capacity", 503),
        (Refusal::penalty(Duration::from_secs(60)), abuse, "Abnormal Usage Detected", 429),
        (Refusal::blocked(), plain, "Forbidden", 403),
        (Refusal::missing_key(), plain, "Forbidden", 403),
        (Refusal::ambiguous_path(), plain, "Bad Request", 400),
        (Refusal::no_peer(), plain, "Internal Server Error", 500),
    ] {
        let (_, problem) = parsed(&refusal, BodyForm::Problem);
        assert_eq!(problem["type"], problem_type);
        assert_eq!(problem["title"], title);
        assert_eq!(problem["status"], status);
        let names = refusal.violated();
        assert_eq!(
            problem.get("violated-policies"),
            (!names.is_empty()).then(|| json!(names)).as_ref()
        );
    }
}

#[test]
fn json_text_and_none() {
    let limits = two_refused();
    let refusal = Refusal::limits(StatusCode::TOO_MANY_REQUESTS, &shown(&limits));
    let detail = "The request exceeds a rate limit (calls, export). Retry in 6 seconds.";
    let (content_type, body) = parsed(&refusal, BodyForm::Json);
    assert_eq!(content_type, "application/json");
    assert_eq!(
        body,
        json!({
            "error": "quota-exceeded",
            "status": 429,
            "message": detail,
            "retry_after": 6,
            "limits": ["calls", "export"],
        })
    );
    assert_eq!(
        parsed(&Refusal::blocked(), BodyForm::Json).1,
        json!({ "error": "blocked", "status": 403, "message": "Access is blocked." })
    );
    let (content_type, text) = refusal.body(BodyForm::Text).expect("a body");
    assert_eq!(content_type, "text/plain; charset=utf-8");
    assert_eq!(text, format!("{detail}\n"));
    assert_eq!(refusal.body(BodyForm::None), None);
}

#[test]
fn what_never_passes_says_so() {
    let limits = [State::parsed("calls", "10/min").refused(None)];
    let refusal = Refusal::limits(StatusCode::TOO_MANY_REQUESTS, &shown(&limits));
    assert_eq!(refusal.wait(), Wait::Never);
    let (_, text) = refusal.body(BodyForm::Text).expect("a body");
    assert_eq!(text, "The request costs more than a rate limit ever allows (calls).\n");
}

#[test]
fn strings_of_json_are_escaped() {
    let name = "a\"b\\c\u{1}\n\u{1f} ~\u{7f}ä";
    let refusal = Refusal::full(name);
    assert_eq!(parsed(&refusal, BodyForm::Problem).1["violated-policies"], json!([name]));
    assert_eq!(parsed(&refusal, BodyForm::Json).1["limits"], json!([name]));
}
