//! The policy in force, and another one in its place.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use tollgate_http::policy::{Format, LONGEST, LoadError, PolicyError};
use tollgate_http::reload::Changes;
use tollgate_http::{BuildError, Policy};

use super::Admin;
use crate::web::{Asked, Problem};

/// The policy in force, as TOML, with its hash as `ETag`.
pub(super) async fn show(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let policy = admin.0.limiter.policy();
    let tag = tag(&policy);
    if names(&headers, IF_NONE_MATCH, &tag) == Some(true) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
    }
    ([(CONTENT_TYPE, "application/toml".to_owned()), (ETAG, tag)], policy.to_string())
        .into_response()
}

/// What to do with a policy that was sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// `?check`: only say what would change.
    check: Option<String>,
}

/// What a policy has changed, or would change.
#[derive(Serialize)]
struct Replaced {
    /// Whether the policy is in force.
    in_force: bool,
    hash: String,
    summary: String,
    changes: ChangesTold,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct ChangesTold {
    /// Limits that keep their levels.
    kept: Vec<String>,
    new: Vec<String>,
    ended: Vec<String>,
    /// Limits that begin full.
    restarted: Vec<String>,
    quotas: Vec<String>,
}

/// Replaces the policy. The file stays as it is: its next change, or a restart, replaces the policy
/// again.
pub(super) async fn replace(
    State(admin): State<Admin>,
    Asked(options): Asked<Options>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let is_check = options.check.is_some_and(|check| check != "false");
    let format = format(&headers)?;
    let text = crate::web::read_body(body, LONGEST, admin.0.bounds.body_time).await?;
    let policy = Policy::parse(format, &text, "policy").map_err(|error| not_a_policy(&error))?;
    let limiter = &admin.0.limiter;
    let matches = move |before: &Policy| names(&headers, IF_MATCH, &tag(before)) != Some(false);
    let changes = if is_check {
        let before = limiter.policy();
        matches(&before).then(|| Changes::between(&before, &policy))
    } else {
        // Reloads wait for each other, and a store may take its time.
        let (limiter, policy) = (limiter.clone(), policy.clone());
        let reload = move || limiter.reload_if(matches, &policy);
        let reloaded = tokio::task::spawn_blocking(reload).await;
        reloaded
            .map_err(|_| Problem::new(500, "The policy was not replaced", "the reload panicked"))?
            .map_err(|error| not_replaced(&error))?
    };
    let changes = changes.ok_or_else(|| {
        let detail = format!("the policy in force is {}", tag(&limiter.policy()));
        Problem::new(412, "Another policy is in force", detail)
    })?;
    let answer = Replaced {
        in_force: !is_check,
        hash: policy.hash().to_owned(),
        summary: changes.to_string(),
        changes: told(&changes),
        warnings: policy.warnings().iter().map(ToString::to_string).collect(),
    };
    Ok(([(ETAG, tag(&policy))], Json(answer)).into_response())
}

fn told(changes: &Changes) -> ChangesTold {
    fn owned<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
        names.map(str::to_owned).collect()
    }
    ChangesTold {
        kept: owned(changes.kept()),
        new: owned(changes.new_limits()),
        ended: owned(changes.ended()),
        restarted: owned(changes.restarted()),
        quotas: changes.quotas().iter().map(ToString::to_string).collect(),
    }
}

fn not_a_policy(error: &PolicyError) -> Problem {
    let more = match error.more() {
        0 => String::new(),
        more => format!("and {more} further problems"),
    };
    Problem::new(422, "This is not a policy", more).with_problems(error.problems())
}

fn not_replaced(error: &BuildError) -> Problem {
    match error {
        BuildError::Policy(error) | BuildError::Load(LoadError::Policy(error)) => {
            not_a_policy(error)
        }
        other => Problem::new(422, "The policy was not replaced", other.to_string()),
    }
}

/// The format that the request says.
fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let named = named.and_then(|named| named.split(';').next());
    let named = named.map(|named| named.trim().to_ascii_lowercase());
    match named.as_deref() {
        Some("application/toml" | "text/toml") => Ok(Format::Toml),
        Some("application/yaml" | "application/x-yaml" | "text/yaml") => Ok(Format::Yaml),
        Some("application/json") => Ok(Format::Json),
        _ => {
            let detail = "send the policy as `application/toml`, `application/yaml` or \
                          `application/json`";
            Err(Problem::new(415, "The format is not known", detail))
        }
    }
}

fn tag(policy: &Policy) -> String {
    format!("\"{}\"", policy.hash())
}

/// Whether a list of entity tags names one (RFC 9110, section 13.1). `None` without the header.
fn names(headers: &HeaderMap, header: http::HeaderName, tag: &str) -> Option<bool> {
    let mut lines = headers.get_all(header).iter().peekable();
    lines.peek()?;
    let is_it = |item: &str| item == "*" || item.strip_prefix("W/").unwrap_or(item) == tag;
    Some(
        lines.any(|line| line.to_str().is_ok_and(|line| line.split(',').map(str::trim).any(is_it))),
    )
}
