//! An answer that comes piece by piece.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_lite::{Stream, StreamExt as _, stream};

use super::answer::{Answer, Metadata};
use super::ask::Shared;
use super::model::{ModelError, Pieces};

/// An answer piece by piece. The metadata is there before the first piece.
///
/// A stream that is dropped before its end stops the model. The request counts nevertheless, and
/// the answer is not kept for later.
pub struct AnswerStream {
    metadata: Metadata,
    pieces: Option<Pieces>,
    shared: Arc<Shared>,
    /// What to keep for later, once the answer is complete.
    keep: Option<Keep>,
}

struct Keep {
    prompt: String,
    text: String,
}

impl AnswerStream {
    /// An answer by a model.
    pub(super) fn of_model(metadata: Metadata, pieces: Pieces, shared: Arc<Shared>) -> Self {
        Self { metadata, pieces: Some(pieces), shared, keep: None }
    }

    /// The same, kept as the answer to `prompt` once it is complete.
    pub(super) fn kept(self, prompt: &str) -> Self {
        let keep = Keep { prompt: prompt.to_owned(), text: String::new() };
        Self { keep: Some(keep), ..self }
    }

    /// An answer that is known already.
    pub(super) fn of_text(metadata: Metadata, text: String, shared: Arc<Shared>) -> Self {
        let pieces = Box::pin(stream::once(Ok(text)));
        Self { metadata, pieces: Some(pieces), shared, keep: None }
    }

    /// How the answer came about, and what is left of the caller's limit.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Collects what has not been read yet.
    ///
    /// # Errors
    ///
    /// When the model fails.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the model stops. The request counts nevertheless.
    pub async fn into_answer(mut self) -> Result<Answer, ModelError> {
        let mut text = String::new();
        while let Some(piece) = self.next().await {
            text.push_str(&piece?);
        }
        Ok(Answer { text, metadata: self.metadata })
    }
}

impl Stream for AnswerStream {
    type Item = Result<String, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
        let next = ready!(pieces.poll_next(cx));
        match &next {
            Some(Ok(piece)) => {
                if let Some(keep) = &mut self.keep {
                    keep.text.push_str(piece);
                }
            }
            Some(Err(_)) => {
                // Half an answer is of no use later, and a model that has failed is not asked on.
                (self.pieces, self.keep) = (None, None);
                self.shared.counts.failed();
            }
            None => {
                self.pieces = None;
                if let Some(Keep { prompt, text }) = self.keep.take() {
                    let key = self.metadata.rate_limit.key.clone();
                    let now = self.shared.clock.now();
                    self.shared.cache.insert(key, &prompt, text, now);
                }
            }
        }
        Poll::Ready(next)
    }
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerStream").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}
