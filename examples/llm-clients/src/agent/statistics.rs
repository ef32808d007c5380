//! Counts of what the agent did, for a status page and for metrics.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tollgate::{Clock, KeyedLimiter};

use super::answer::{Kind, Metadata};

/// How many keys are listed as those that were refused most.
const MOST_REFUSED: usize = 5;

/// What became of all questions so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Full answers that were begun.
    pub full: u64,
    /// Short answers that were begun.
    pub short: u64,
    /// Cached answers.
    pub cached: u64,
    /// Questions without any answer.
    pub refused: u64,
    /// Answers that ended because the model failed. They are also counted as full or short.
    pub failed: u64,
    /// How long callers have waited for full answers, all together.
    pub waited: Duration,
    /// How many keys are in use.
    pub keys: usize,
    /// The keys that were refused most full answers, the most refused first, with the number of
    /// refusals. A caller who got a lesser answer was refused a full one.
    pub most_refused: Vec<(String, u64)>,
}

impl Statistics {
    /// The counts in Prometheus' text format. No key is a label: callers choose keys, and a
    /// label with a million values makes the metrics unusable.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate_llm_clients::agent::{Agent, Context, PacedModel};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Agent::builder().rate_limit_per_minute(60, 10);
    /// let agent = builder.build(PacedModel::new(Duration::ZERO))?;
    /// agent.ask(&Context::of_user("alice"), "Why?").await?;
    /// let text = agent.statistics().prometheus();
    /// assert!(text.contains("agent_answers_total{kind=\"full\"} 1\n"));
    /// assert!(!text.contains("alice"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn prometheus(&self) -> String {
        let mut text = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, lines: &[(&str, String)]| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in lines {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        metric(
            "agent_answers_total",
            "counter",
            "Answers that were begun, by kind.",
            &[
                ("{kind=\"full\"}", self.full.to_string()),
                ("{kind=\"short\"}", self.short.to_string()),
                ("{kind=\"cached\"}", self.cached.to_string()),
            ],
        );
        let single = |value: String| [("", value)];
        let refused = single(self.refused.to_string());
        metric("agent_refusals_total", "counter", "Questions without any answer.", &refused);
        let failed = single(self.failed.to_string());
        metric(
            "agent_model_failures_total",
            "counter",
            "Answers that the model broke off.",
            &failed,
        );
        let waited = single(format!("{:.3}", self.waited.as_secs_f64()));
        metric("agent_wait_seconds_total", "counter", "Time that callers waited.", &waited);
        let keys = single(self.keys.to_string());
        metric("agent_keys", "gauge", "Callers whose limit is in use.", &keys);
        text
    }
}

/// The counters behind the statistics.
#[derive(Debug, Default)]
pub(super) struct Counts {
    full: AtomicU64,
    short: AtomicU64,
    cached: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    waited_nanos: AtomicU64,
}

impl Counts {
    pub(super) fn answered(&self, metadata: &Metadata) {
        let counter = match metadata.kind {
            Kind::Full => &self.full,
            Kind::Short => &self.short,
            Kind::Cached { .. } => &self.cached,
        };
        add(counter, 1);
        add(&self.waited_nanos, u64::try_from(metadata.waited.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn refused(&self) {
        add(&self.refused, 1);
    }

    pub(super) fn failed(&self) {
        add(&self.failed, 1);
    }

    /// The counts now, with what the limiter knows of its keys.
    pub(super) fn read(&self, limiter: &KeyedLimiter<String, Arc<dyn Clock>>) -> Statistics {
        let offenders = limiter.most_limited(MOST_REFUSED);
        Statistics {
            full: read(&self.full),
            short: read(&self.short),
            cached: read(&self.cached),
            refused: read(&self.refused),
            failed: read(&self.failed),
            waited: Duration::from_nanos(read(&self.waited_nanos)),
            keys: limiter.len(),
            most_refused: offenders.into_iter().map(|worst| (worst.key, worst.denied)).collect(),
        }
    }
}

/// The counters are independent of each other and of any other memory.
fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
