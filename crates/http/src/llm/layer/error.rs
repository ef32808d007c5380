//! Why there is no answer.

use crate::BoxError;

/// The error of an [`LlmService`](super::LlmService).
///
/// An answer that is an error, such as a 429, is an answer: it is given to the caller as it came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LlmError<E> {
    /// The request was sent, and the HTTP client failed.
    #[error(transparent)]
    Inner(E),
    /// The request got no permit, so it was not sent.
    #[error(transparent)]
    NotSent(#[from] tollgate::llm::Error),
    /// The body of the request could not be read, so it was not sent.
    #[error("the body of the request could not be read")]
    RequestBody(#[source] BoxError),
    /// The key could not be put into the request, so it was not sent. For example, a key must not
    /// contain line breaks.
    #[error("the key could not be put into the request")]
    Key(#[source] BoxError),
}

impl<E> LlmError<E> {
    /// The error as tower's `BoxError`. It can be downcast to the HTTP client's error, to
    /// [`tollgate::llm::Error`], or else to `LlmError<Infallible>`.
    ///
    /// An `LlmError<E>` is an error itself only if `E` is one, which a `BoxError` is not. So this is
    /// how the layer is put around services whose error is a `BoxError`:
    ///
    /// ```
    /// use tollgate::llm::Error;
    /// use tollgate_http::llm::{BoxError, LlmError};
    ///
    /// let error = LlmError::<BoxError>::NotSent(Error::NoKeys);
    /// assert_eq!(error.into_box().downcast_ref(), Some(&Error::NoKeys));
    /// ```
    pub fn into_box(self) -> BoxError
    where
        E: Into<BoxError>,
    {
        match self {
            Self::Inner(error) => error.into(),
            Self::NotSent(error) => error.into(),
            Self::RequestBody(error) => {
                LlmError::<std::convert::Infallible>::RequestBody(error).into()
            }
            Self::Key(error) => LlmError::<std::convert::Infallible>::Key(error).into(),
        }
    }

    /// Why the request got no permit; `None` if it got one.
    #[must_use]
    pub fn not_sent(&self) -> Option<&tollgate::llm::Error> {
        match self {
            Self::NotSent(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn the_inner_error_is_passed_on_as_it_is() {
        let inner = LlmError::Inner(std::io::Error::other("broken pipe"));
        assert_eq!(inner.to_string(), "broken pipe");
        assert!(inner.not_sent().is_none());
        assert!(inner.into_box().is::<std::io::Error>());
    }

    #[test]
    fn other_errors_say_what_they_are() {
        let key = LlmError::<std::io::Error>::Key("a line break".into());
        assert_eq!(key.to_string(), "the key could not be put into the request");
        let source = key.source().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("a line break"));
        assert!(key.into_box().is::<LlmError<std::convert::Infallible>>());
    }
}
