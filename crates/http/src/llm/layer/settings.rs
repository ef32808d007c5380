//! What the service is told by the layer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::key_header::KeyHeader;
use super::retry::Attempt;
use crate::llm::Estimator;

/// Whether a request is sent again.
pub(super) type Policy = dyn Fn(&Attempt) -> bool + Send + Sync;

/// The settings of a layer.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) estimator: Estimator,
    pub(super) key_header: KeyHeader,
    pub(super) max_wait: Option<Duration>,
    pub(super) tries: u32,
    pub(super) retry: Option<Arc<Policy>>,
    pub(super) max_body: usize,
    pub(super) error_body_patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            estimator: Estimator::new(),
            key_header: KeyHeader::ByHost,
            max_wait: None,
            tries: 3,
            retry: None,
            max_body: 8 * 1024 * 1024,
            error_body_patience: Duration::from_secs(2),
        }
    }
}

impl Settings {
    /// Whether a request is sent again.
    pub(super) fn wants_retry(&self, attempt: &Attempt) -> bool {
        match &self.retry {
            Some(retry) => retry(attempt),
            None => attempt.is_worth_a_retry(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("estimator", &self.estimator)
            .field("key_header", &self.key_header)
            .field("max_wait", &self.max_wait)
            .field("tries", &self.tries)
            .field("has_own_policy", &self.retry.is_some())
            .field("max_body", &self.max_body)
            .field("error_body_patience", &self.error_body_patience)
            .finish()
    }
}
