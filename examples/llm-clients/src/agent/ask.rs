//! The agent: from a question to an answer, or to a lesser one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tollgate::{Clock, Reservation, TokioTimer, WaitError};

use super::answer::{Answer, Kind, Metadata};
use super::builder::AgentBuilder;
use super::cache::Cache;
use super::context::Context;
use super::model::{Model, ModelError};
use super::rate_limit::{RateLimit, Refusal, Stats};
use super::statistics::{Counts, Statistics};
use super::stream::AnswerStream;

/// The most words of a full answer.
const FULL_WORDS: usize = 500;

/// An agent with a limit for each caller.
///
/// A question is answered in the best way that the caller's limit allows:
///
/// 1. in full, if the caller has a request left now, or in as much time as the caller's
///    [patience](Context::with_patience) allows;
/// 2. with the [cached](AgentBuilder::cache) answer to the same question;
/// 3. with a [short](AgentBuilder::short_answers_per_minute) answer, within a limit of its own;
/// 4. not at all: [`AskError::Refused`] says when to come back.
///
/// Callers who are [blocked](tollgate::KeyedLimiter::block) get no lesser answers either.
pub struct Agent {
    pub(super) key: KeyFunction,
    pub(super) model: Box<dyn Model>,
    pub(super) full: RateLimit,
    pub(super) short: Option<ShortAnswers>,
    pub(super) shared: Arc<Shared>,
}

/// Says which limit a caller has.
pub(super) type KeyFunction = Box<dyn Fn(&Context) -> String + Send + Sync>;

pub(super) struct ShortAnswers {
    pub(super) limit: RateLimit,
    pub(super) most_words: usize,
}

/// What an answer needs after the agent has begun it.
pub(super) struct Shared {
    pub(super) cache: Cache,
    pub(super) counts: Counts,
    pub(super) clock: Arc<dyn Clock>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The limit of the caller's key allows no answer of any kind now.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The model has failed. The request counts nevertheless: a model in trouble should not get
    /// more requests than one that works.
    #[error("the model has failed: {0}")]
    Model(ModelError),
}

impl Agent {
    /// Starts building an agent.
    pub fn builder() -> AgentBuilder {
        AgentBuilder::new()
    }

    /// Answers a question.
    ///
    /// # Errors
    ///
    /// [`AskError::Refused`] if not even a lesser answer is possible now, [`AskError::Model`] if
    /// the model fails.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is the caller's turn, nothing is taken. If it is dropped
    /// later, the model stops, and the request counts.
    pub async fn ask(&self, context: &Context, prompt: &str) -> Result<Answer, AskError> {
        let stream = self.stream(context, prompt).await?;
        stream.into_answer().await.map_err(AskError::Model)
    }

    /// Answers a question piece by piece. The metadata is there before the first piece.
    ///
    /// # Errors
    ///
    /// [`AskError::Refused`] as for [`ask`](Self::ask). A failure of the model is an item of the
    /// stream.
    ///
    /// # Cancel safety
    ///
    /// As [`ask`](Self::ask).
    ///
    /// ```
    /// use std::time::Duration;
    /// use futures_lite::StreamExt;
    /// use tollgate_llm_clients::agent::{Agent, Context, PacedModel};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let builder = Agent::builder().rate_limit_per_minute(60, 10);
    /// let agent = builder.build(PacedModel::new(Duration::ZERO))?;
    /// let mut answer = agent.stream(&Context::of_user("alice"), "Why?").await?;
    /// assert_eq!(answer.metadata().rate_limit.remaining, 9);
    /// while let Some(word) = answer.next().await {
    ///     print!("{}", word?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stream(&self, context: &Context, prompt: &str) -> Result<AnswerStream, AskError> {
        let key = (self.key)(context);
        let asked_at = self.full.now();
        let turn = match context.patience() {
            Duration::ZERO => self.full.check(&key),
            patience => self.full.wait(&key, patience).await,
        };
        let waited = self.full.now() - asked_at;
        match turn {
            Ok(stats) => Ok(self.full_answer(stats, waited, prompt)),
            Err(refusal) => {
                let lesser = self.lesser_answer(&refusal, waited, prompt);
                lesser.ok_or_else(|| self.refused(refusal))
            }
        }
    }

    /// Answers a question in full at the time that was
    /// [reserved](RateLimit::reserve) for the same key, and waits until then.
    ///
    /// # Errors
    ///
    /// [`AskError::Refused`] if the key was blocked or given a smaller quota meanwhile,
    /// [`AskError::Model`] if the model fails.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the reserved time, the request is given up. If it is dropped
    /// later, the model stops, and the request counts.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate_llm_clients::agent::{Agent, Context, PacedModel};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Agent::builder().rate_limit_per_minute(60, 10);
    /// let agent = builder.build(PacedModel::new(Duration::ZERO))?;
    /// let alice = Context::of_user("alice");
    /// let key = agent.key_of(&alice);
    /// let reservation = agent.rate_limit().reserve(&key)?;
    /// // ... prepare what takes a while, such as a search in documents ...
    /// let answer = agent.ask_reserved(reservation, &alice, "Why?").await?;
    /// assert_eq!(answer.metadata.rate_limit.remaining, 9);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ask_reserved(
        &self,
        reservation: Reservation<'_>,
        context: &Context,
        prompt: &str,
    ) -> Result<Answer, AskError> {
        let key = (self.key)(context);
        let asked_at = self.full.now();
        let turn = reservation.wait_on(&TokioTimer).await;
        let (stats, waited) = (self.full.stats(&key), self.full.now() - asked_at);
        if let Err(reason) = turn {
            return Err(self.refused(Refusal { stats, reason }));
        }
        let answer = self.full_answer(stats, waited, prompt).into_answer().await;
        answer.map_err(AskError::Model)
    }

    /// The key of a caller's limit, for the methods of [`rate_limit`](Self::rate_limit).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate_llm_clients::agent::{Agent, Context, PacedModel};
    /// let agent = Agent::builder().build(PacedModel::new(Duration::ZERO))?;
    /// assert_eq!(agent.key_of(&Context::of_user("alice")), "user:alice");
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn key_of(&self, context: &Context) -> String {
        (self.key)(context)
    }

    /// The limit of full answers, by key: check, wait, reserve and stats.
    #[must_use]
    pub fn rate_limit(&self) -> &RateLimit {
        &self.full
    }

    /// What became of all questions so far.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate_llm_clients::agent::{Agent, Context, PacedModel};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Agent::builder().rate_limit_per_minute(1, 1);
    /// let agent = builder.build(PacedModel::new(Duration::ZERO))?;
    /// agent.ask(&Context::of_user("alice"), "Why?").await?;
    /// assert!(agent.ask(&Context::of_user("alice"), "Why not?").await.is_err());
    /// let statistics = agent.statistics();
    /// assert_eq!((statistics.full, statistics.refused), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.shared.counts.read(self.full.limiter())
    }

    fn full_answer(&self, stats: Stats, waited: Duration, prompt: &str) -> AnswerStream {
        let metadata = Metadata { kind: Kind::Full, waited, rate_limit: stats };
        self.shared.counts.answered(&metadata);
        let pieces = self.model.answer(prompt, FULL_WORDS);
        AnswerStream::of_model(metadata, pieces, Arc::clone(&self.shared)).kept(prompt)
    }

    /// What there is for a caller who can't have a full answer.
    fn lesser_answer(
        &self,
        refusal: &Refusal,
        waited: Duration,
        prompt: &str,
    ) -> Option<AnswerStream> {
        // Whoever is blocked, and not merely too fast, gets nothing.
        if !matches!(refusal.reason, WaitError::Timeout { .. } | WaitError::QueueFull { .. }) {
            return None;
        }
        let key = &refusal.stats.key;
        let describe = |kind| Metadata { kind, waited, rate_limit: refusal.stats.clone() };
        let shared = Arc::clone(&self.shared);
        if let Some((text, age)) = shared.cache.find(key, prompt, shared.clock.now()) {
            let metadata = describe(Kind::Cached { age });
            shared.counts.answered(&metadata);
            return Some(AnswerStream::of_text(metadata, text, shared));
        }
        let short = self.short.as_ref()?;
        short.limit.check(key).ok()?;
        let metadata = describe(Kind::Short);
        shared.counts.answered(&metadata);
        let pieces = self.model.answer(prompt, short.most_words);
        Some(AnswerStream::of_model(metadata, pieces, shared))
    }

    fn refused(&self, refusal: Refusal) -> AskError {
        self.shared.counts.refused();
        AskError::Refused(refusal)
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("rate_limit", &self.full).finish_non_exhaustive()
    }
}
