//! What a caller gets: the text, and how it came about.

use std::time::Duration;

use serde_json::{Value, json};

use super::rate_limit::{Stats, whole_seconds};

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The words.
    pub text: String,
    /// How the answer came about, and what is left of the caller's limit.
    pub metadata: Metadata,
}

/// How an answer came about, and what is left of the caller's limit. It is complete before the
/// first word.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Whether the answer is all that it could be.
    pub kind: Kind,
    /// How long the caller waited for a turn, before the model was asked.
    pub waited: Duration,
    /// The limit of full answers, right after it was asked for this one.
    pub rate_limit: Stats,
}

/// Whether an answer is all that it could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Made for this request, at any length.
    Full,
    /// Made for this request, but short, because the limit of full answers was reached.
    Short,
    /// Given to the same caller before, because the limit of full answers was reached.
    Cached {
        /// How old the answer is.
        age: Duration,
    },
}

impl Kind {
    /// A word for logs, metrics and clients: `full`, `short` or `cached`.
    ///
    /// ```
    /// use tollgate_llm_clients::agent::Kind;
    /// assert_eq!(Kind::Short.name(), "short");
    /// ```
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Short => "short",
            Self::Cached { .. } => "cached",
        }
    }
}

impl Metadata {
    /// The metadata as JSON, to be sent along with the answer. Times are in seconds: `waited` and
    /// `age` with three decimals, `reset` rounded up to a whole one. The key is not part of it: it
    /// may be the name of an account, and the client knows who it is.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate_llm_clients::agent::{Agent, Context, PacedModel};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Agent::builder().rate_limit_per_minute(60, 10);
    /// let agent = builder.build(PacedModel::new(Duration::ZERO))?;
    /// let answer = agent.ask(&Context::of_user("alice"), "Why?").await?;
    /// let json = answer.metadata.to_json();
    /// assert_eq!(json["kind"], "full");
    /// assert_eq!(json["rate_limit"]["remaining"], 9);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Stats { limit, remaining, reset_after, .. } = self.rate_limit;
        let mut json = json!({
            "kind": self.kind.name(),
            "waited": seconds(self.waited),
            // A client that reads `null` knows that nothing limits it.
            "rate_limit": (limit < u64::MAX).then(|| json!({
                "limit": limit,
                "remaining": remaining,
                "reset": whole_seconds(reset_after),
            })),
        });
        if let Kind::Cached { age } = self.kind {
            json["age"] = seconds(age).into();
        }
        json
    }
}

/// With three decimals, which is as exact as a client needs it.
fn seconds(duration: Duration) -> f64 {
    let whole_millis = Duration::new(duration.as_secs(), duration.subsec_millis() * 1_000_000);
    whole_millis.as_secs_f64()
}
