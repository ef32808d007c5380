//! What answers: a model, piece by piece.

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use futures_lite::Stream;
use futures_lite::stream::unfold;

/// Whatever a model fails with.
pub type ModelError = Box<dyn Error + Send + Sync>;

/// The pieces of one answer, in order. A failure ends it.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<String, ModelError>> + Send>>;

/// A language model, or whatever answers. Yours would be a client of a model's API.
pub trait Model: Send + Sync + 'static {
    /// Answers `prompt` with at most `most_words` words. Nothing is done before the stream is
    /// polled, and nothing more after it is dropped.
    fn answer(&self, prompt: &str, most_words: usize) -> Pieces;
}

/// A stand-in for a model: it says a made-up answer word by word, at a steady pace.
///
/// ```
/// use std::time::Duration;
/// use futures_lite::StreamExt;
/// use tollgate_llm_clients::agent::{Model, PacedModel};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let answer = PacedModel::new(Duration::ZERO).answer("Why?", 3);
/// let words: String = answer.try_collect::<_, _, String>().await?;
/// assert_eq!(words, "About \"Why?\": There ");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PacedModel {
    per_word: Duration,
}

/// What the stand-in says about everything.
const SAYS: &str = "There are two sides to it. The first one is how much may come at once, and the \
    second one is how much may come in the long run.";

impl PacedModel {
    /// A model that takes this long for each word.
    #[must_use]
    pub fn new(per_word: Duration) -> Self {
        Self { per_word }
    }
}

impl Model for PacedModel {
    fn answer(&self, prompt: &str, most_words: usize) -> Pieces {
        let text = format!("About \"{prompt}\": {SAYS}");
        let words: Vec<String> =
            text.split_inclusive(' ').take(most_words).map(str::to_owned).collect();
        let per_word = self.per_word;
        Box::pin(unfold(words.into_iter(), move |mut words| async move {
            let word = words.next()?;
            if !per_word.is_zero() {
                tokio::time::sleep(per_word).await;
            }
            Some((Ok(word), words))
        }))
    }
}
