//! What a client is told: refusals, and the fields of every response.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use smallvec::SmallVec;

use super::{Decision, HttpLimiter, Outcome};
use crate::respond::{Fields, Refusal, Shown, is_shown_on};

/// A response that is a refusal.
pub(crate) type Answer = Response<Option<Bytes>>;

impl HttpLimiter {
    /// The response to a request that is refused: its status, its fields and the body that the
    /// policy chooses. `None` if the request goes on. A gRPC call gets its status in trailers,
    /// which is what the [layer](crate::layer) does with the feature `grpc`, and not this.
    ///
    /// ```
    /// use tollgate_http::{Facts, HttpLimiter, Policy};
    ///
    /// let policy: Policy = "version = 1\nalways = ['a']\n[limits.a]\nquota = '1/day'".parse()?;
    /// let limiter = HttpLimiter::new(&policy)?;
    /// let decide = || limiter.decide(&Facts::new("GET", "/")).now().expect("memory");
    /// let allowed = decide();
    /// assert!(limiter.refusal(&allowed).is_none());
    /// let mut headers = http::HeaderMap::new();
    /// limiter.write_fields(&allowed, &mut headers);
    /// assert_eq!(headers["x-ratelimit-remaining"], "0");
    /// let refusal = limiter.refusal(&decide()).expect("the second request of the day");
    /// assert_eq!(refusal.status(), 429);
    /// assert!(refusal.headers().contains_key("retry-after"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn refusal(&self, decision: &Decision) -> Option<Response<Bytes>> {
        let is_refused = !decision.is_allowed();
        let response = is_refused.then(|| refusal(self, decision, false))?;
        Some(response.map(Option::unwrap_or_default))
    }

    /// Adds the fields about limits that tell a client what is left, such as `RateLimit`, whether the
    /// request goes on or not. Fields that are there already stay as they are. Other fields of a
    /// refusal, such as `Retry-After`, are not written.
    pub fn write_fields(&self, decision: &Decision, headers: &mut HeaderMap) {
        if !decision.charges.is_empty() && decision.fields().count() > 0 {
            write_fields(self, decision, &shown(decision), headers);
        }
    }

    /// Gives each of these fields to `put`, for an answer that has no map of fields.
    ///
    /// ```
    /// use tollgate_http::{Facts, HttpLimiter, Policy};
    ///
    /// let policy: Policy = "version = 1\nalways = ['a']\n[limits.a]\nquota = '9/day'".parse()?;
    /// let limiter = HttpLimiter::new(&policy)?;
    /// let decision = limiter.decide(&Facts::new("GET", "/")).now().expect("memory");
    /// limiter.each_field(&decision, |name, value| {
    ///     if name == "x-ratelimit-remaining" {
    ///         assert_eq!(value, "8");
    ///     }
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn each_field(&self, decision: &Decision, put: impl FnMut(HeaderName, HeaderValue)) {
        if decision.charges.is_empty() || decision.fields().count() == 0 {
            return;
        }
        let shown = shown(decision);
        let policy = policy_field(decision, &shown);
        decision.fields().each(&shown, policy, &self.engine().wall_clock, put);
    }
}

/// Whether a request is one of gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    #[cfg(feature = "grpc")]
    return crate::respond::is_grpc(headers);
    #[cfg(not(feature = "grpc"))]
    {
        let _ = headers;
        false
    }
}

/// The response to a request that is refused.
pub(crate) fn refusal(limiter: &HttpLimiter, decision: &Decision, is_grpc: bool) -> Answer {
    let shown = shown(decision);
    let refusal = refusal_of(decision, &shown);
    let mut response = Response::new(None);
    #[cfg(feature = "grpc")]
    if is_grpc {
        refusal.write_grpc(response.headers_mut());
        return response;
    }
    let _ = is_grpc;
    *response.status_mut() = refusal.status();
    // Room for all at once: Cache-Control, Retry-After, Content-Type and the fields.
    let fields = if shown.is_empty() { 0 } else { decision.fields().count() };
    response.headers_mut().reserve(3 + fields);
    refusal.write(response.headers_mut());
    write_fields(limiter, decision, &shown, response.headers_mut());
    if let Some((content_type, text)) = refusal.body(decision.body_form()) {
        response.headers_mut().append(http::header::CONTENT_TYPE, content_type);
        *response.body_mut() = Some(text);
    }
    response
}

/// Adds the fields to the response to a request that was allowed.
pub(crate) fn tell<R>(limiter: &HttpLimiter, decision: &Decision, response: &mut Response<R>) {
    if is_shown_on(response.status()) {
        limiter.write_fields(decision, response.headers_mut());
    }
}

/// The enforced limits of a request (rule F1).
fn shown(decision: &Decision) -> SmallVec<[Shown<'_>; 4]> {
    let enforced = decision.limits().filter(|limit| !limit.is_shadow());
    enforced
        .filter_map(|limit| {
            let answer = limit.answer();
            Some(Shown {
                texts: limit.texts()?,
                remaining: answer.remaining,
                full_after: answer.full_after,
                next_after: answer.wait,
                refused: limit.refuses().then(|| limit.retry_after()),
            })
        })
        .collect()
}

fn write_fields(
    limiter: &HttpLimiter,
    decision: &Decision,
    shown: &[Shown<'_>],
    headers: &mut HeaderMap,
) {
    let policy = policy_field(decision, shown);
    decision.fields().write(headers, shown, policy, &limiter.engine().wall_clock);
}

/// The value of `RateLimit-Policy`, if it is kept for requests like this one.
fn policy_field<'a>(decision: &'a Decision, shown: &[Shown<'_>]) -> Option<&'a HeaderValue> {
    // A refusal that is not about limits must not decide what is kept for those that are.
    if shown.is_empty() {
        return None;
    }
    decision.policy_field(|fields: &Fields| {
        let texts: SmallVec<[_; 4]> = shown.iter().map(|limit| limit.texts).collect();
        fields.policy(&texts)
    })
}

fn refusal_of<'a>(decision: &'a Decision, shown: &[Shown<'a>]) -> Refusal<'a> {
    let retry_after = decision.retry_after().unwrap_or_default();
    match decision.outcome() {
        Outcome::Blocked => Refusal::blocked(),
        Outcome::Ambiguous => Refusal::ambiguous_path(),
        Outcome::MissingKey => Refusal::missing_key(),
        Outcome::NoPeer => Refusal::no_peer(),
        Outcome::StoreFailed => Refusal::unavailable(retry_after),
        Outcome::Full => Refusal::full(decision.refused_by().next().unwrap_or_default()),
        _ if decision.is_penalty() => Refusal::penalty(retry_after),
        _ => {
            let status = decision.status().and_then(|status| StatusCode::from_u16(status).ok());
            Refusal::limits(status.unwrap_or(StatusCode::TOO_MANY_REQUESTS), shown)
        }
    }
}
