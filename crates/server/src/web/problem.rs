//! Errors of the service as clients are told them: RFC 9457, `application/problem+json`.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// An error of the service, as a client is told it.
///
/// ```
/// use tollgate_server::web::Problem;
/// let problem = Problem::new(400, "The body is not a check", "missing field `method`");
/// assert_eq!(problem.status(), 400);
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    status: u16,
    title: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: Cow<'static, str>,
    /// The problems of a policy that was sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<PolicyProblem>,
    #[serde(skip)]
    retry_after: Option<u64>,
}

/// One problem of a policy.
#[derive(Clone, Debug, Serialize)]
struct PolicyProblem {
    place: String,
    code: &'static str,
    message: String,
}

impl Problem {
    /// A problem with a status between 400 and 599, a title that is the same each time, and what is
    /// particular about it this time.
    #[must_use]
    pub fn new(status: u16, title: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self { status, title, detail, problems: Vec::new(), retry_after: None }
    }

    /// Says after how many seconds the request may be sent again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds what is wrong with a policy.
    #[must_use]
    pub fn with_problems(mut self, problems: &[tollgate_http::policy::Problem]) -> Self {
        self.problems = problems
            .iter()
            .map(|problem| PolicyProblem {
                place: problem.place().to_string(),
                code: problem.code().as_str(),
                message: problem.message().to_owned(),
            })
            .collect();
        self
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let text = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
