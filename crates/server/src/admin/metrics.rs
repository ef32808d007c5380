//! `GET /metrics`: the text format of Prometheus.

use std::fmt::Write as _;

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;

use super::Admin;

/// The metric that tells the policy in force. It is written here and not by the recorder, which
/// would keep a line for each policy that was ever in force.
pub(crate) const POLICY_INFO: &str = "tollgate_policy_info";

impl Admin {
    /// The metrics, in the text format of Prometheus.
    pub(super) fn metrics(&self) -> String {
        self.0.limiter.update_gauges();
        let mut text = self.0.metrics.render();
        let policy = self.0.limiter.policy();
        let hash = policy.hash();
        // A text takes all that is written to it.
        let _ = write!(
            text,
            "# HELP {POLICY_INFO} The policy in force\n\
             # TYPE {POLICY_INFO} gauge\n\
             {POLICY_INFO}{{version=\"1\",hash=\"{hash}\"}} 1\n\n"
        );
        text
    }
}

pub(super) async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], admin.metrics())
}
