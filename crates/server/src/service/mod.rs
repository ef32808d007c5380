//! What programs ask: checks of requests, reports of their answers, and the checks that proxies
//! send in the name of their clients.
//!
//! | Request | Answer |
//! |---|---|
//! | `POST /v1/check` | whether a request may go on, and the fields to add to its answer |
//! | `POST /v1/report` | takes the status of the answer: some statuses are not charged |
//! | any `/v1/forward-auth` | the same check, for the proxies Traefik, Caddy, nginx and HAProxy |
//! | `GET /healthz` | 200 while the process lives |
//! | `GET /readyz` | 200 while it takes requests, 503 once it ends |

mod answer;
mod check;
mod forward_auth;
mod pending;
mod report;
mod told;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get, post};
use tollgate_http::HttpLimiter;

pub use check::{Check, CheckHeaders};
use pending::Pending;
use told::Told;

use crate::net::{Bounds, Shutdown};
use crate::settings::Callers;
use crate::web::{healthz, readyz, unknown, wrong_method};

/// What the handlers share.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    limiter: HttpLimiter,
    callers: Callers,
    bounds: Bounds,
    /// Decisions whose answers have not been reported yet.
    pending: Pending,
    /// What was written already of a set-up that may be a mistake.
    told: Told,
    shutdown: Shutdown,
}

impl Service {
    /// A service that asks `limiter`.
    #[must_use]
    pub fn new(limiter: HttpLimiter, callers: Callers, bounds: Bounds, shutdown: Shutdown) -> Self {
        let (pending, told) = (Pending::default(), Told::default());
        Self(Arc::new(Inner { limiter, callers, bounds, pending, told, shutdown }))
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/v1/check", post(check::check))
            .route("/v1/report", post(report::report))
            .route("/v1/forward-auth", any(forward_auth::forward_auth))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .fallback(unknown)
            .method_not_allowed_fallback(wrong_method)
            .with_state(self)
    }

    /// The most bytes of a body, and how long it may take.
    fn body_bounds(&self) -> (usize, Duration) {
        (self.0.bounds.body, self.0.bounds.body_time)
    }
}

impl axum::extract::FromRef<Service> for Shutdown {
    fn from_ref(service: &Service) -> Self {
        service.0.shutdown.clone()
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}
