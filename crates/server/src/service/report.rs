//! `POST /v1/report`: the status of the answer to a request that was checked.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::{Service, answer};
use crate::web::{OfAProgram, Problem};

/// What is reported.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report<'a> {
    /// What the check has answered as `report`.
    report: &'a str,
    /// The status of the answer.
    status: u16,
}

pub(super) async fn report(
    _: OfAProgram,
    State(service): State<Service>,
    body: Body,
) -> Result<Response, Problem> {
    let (most, longest) = service.body_bounds();
    let text = crate::web::read_body(body, most, longest).await?;
    let report: Report<'_> = crate::web::parse_body(&text, "The body is not a report")?;
    if !(100..=999).contains(&report.status) {
        return Err(Problem::new(400, "The body is not a report", "`status` is not a status"));
    }
    let number = u64::from_str_radix(report.report, 16).ok();
    let Some(mut decision) = number.and_then(|number| service.0.pending.take(number)) else {
        let detail = "no check with this `report` waits for its status: it was reported already, \
                      or is too old, or another process has answered the check";
        return Err(Problem::new(404, "There is nothing to report", detail));
    };
    service.0.limiter.answered(&mut decision, report.status);
    Ok(answer::report(&decision))
}
