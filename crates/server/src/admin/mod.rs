//! What only operators may see and do, on a listener of its own.
//!
//! | Request | Answer |
//! |---|---|
//! | `GET /rate_limit/config` | the policy in force, with its hash as `ETag` |
//! | `POST /rate_limit/config` | replaces the policy; with `?check`, says what would change |
//! | `GET /rate_limit/status?user=` | one subject's levels; also `?api_key_hash=`, `?address=` |
//! | `GET /rate_limit/violations` | the last refusals |
//! | `GET /rate_limit/penalties` | who is in a penalty |
//! | `DELETE /rate_limit/penalties/{key}` | ends a penalty |
//! | `GET /metrics` | metrics for Prometheus |
//! | `GET /dashboard` | the same for people, live |
//! | `GET /openapi.json` | this table for programs |
//! | `GET /healthz`, `GET /readyz` | as on the other listener; no token is needed |

mod config;
mod dashboard;
mod metrics;
mod openapi;
mod penalties;
mod status;
mod token;
mod violations;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get};
use metrics_exporter_prometheus::PrometheusHandle;
use tollgate_http::HttpLimiter;

pub(crate) use metrics::POLICY_INFO;
pub use token::{Token, TokenError};
pub use violations::Violations;

use crate::net::{Bounds, Shutdown};
use crate::web::{healthz, readyz, unknown, wrong_method};

/// What the handlers share.
#[derive(Clone)]
pub struct Admin(Arc<Inner>);

struct Inner {
    limiter: HttpLimiter,
    violations: Violations,
    metrics: PrometheusHandle,
    guard: token::Guard,
    show_keys: bool,
    bounds: Bounds,
    shutdown: Shutdown,
    dashboard: dashboard::Feed,
}

/// The parts of an [`Admin`].
#[derive(Debug)]
pub struct AdminParts {
    /// The limiter.
    pub limiter: HttpLimiter,
    /// The last refusals, which the hook of the limiter collects.
    pub violations: Violations,
    /// The recorder of the metrics.
    pub metrics: PrometheusHandle,
    /// The token that requests must have; `None` if everybody who can connect is an operator.
    pub token: Option<Token>,
    /// Whether keys are shown as they are.
    pub show_keys: bool,
    /// What a client can make the service hold.
    pub bounds: Bounds,
    /// Whether the service ends.
    pub shutdown: Shutdown,
}

impl Admin {
    /// The pages for operators.
    #[must_use]
    pub fn new(parts: AdminParts) -> Self {
        let AdminParts { limiter, violations, metrics, token, show_keys, bounds, shutdown } = parts;
        let guard = token::Guard::new(token);
        let dashboard = dashboard::Feed::default();
        Self(Arc::new(Inner {
            limiter,
            violations,
            metrics,
            guard,
            show_keys,
            bounds,
            shutdown,
            dashboard,
        }))
    }

    /// Keeps what the dashboard shows of the last minutes, until the service ends.
    pub async fn keep_history(self) {
        dashboard::run(self).await;
    }

    /// The routes.
    pub fn router(self) -> Router {
        let guarded = Router::new()
            .route("/rate_limit/config", get(config::show).post(config::replace))
            .route("/rate_limit/status", get(status::status))
            .route("/rate_limit/violations", get(violations::list))
            .route("/rate_limit/penalties", get(penalties::list))
            .route("/rate_limit/penalties/{key}", delete(penalties::lift))
            .route("/metrics", get(metrics::metrics))
            .route("/openapi.json", get(openapi::openapi))
            .merge(dashboard::routes())
            .fallback(unknown)
            .method_not_allowed_fallback(wrong_method)
            .layer(from_fn_with_state(self.clone(), token::guard));
        Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .merge(guarded)
            .with_state(self)
    }
}

impl axum::extract::FromRef<Admin> for Shutdown {
    fn from_ref(admin: &Admin) -> Self {
        admin.0.shutdown.clone()
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}
