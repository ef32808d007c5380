//! The layer for HTTP clients, and its settings.

mod body;
mod end_mark;
mod erased;
mod error;
mod key_header;
mod meter;
mod payload;
mod refusal;
mod request_copy;
mod retry;
mod service;
mod settings;
#[cfg(feature = "shared")]
mod shared_source;
mod source;
mod with_secrets;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use tollgate::Clock;
use tollgate::llm::{KeyPool, Limiter, ModelPool};
use tower_layer::Layer;

pub use body::LlmBody;
pub use error::LlmError;
pub use key_header::KeyHeader;
pub use retry::Attempt;
pub use service::{LlmFuture, LlmService};
pub use source::{PermitSource, RequestPermit};

use erased::AnySource;
use settings::Settings;
use with_secrets::WithSecrets;

use super::Estimator;
use crate::BoxError;

/// A layer for HTTP clients of model APIs: requests keep to the limits of their keys.
///
/// See the [module](super) for what it does and for examples. All clones of a layer, and all
/// services that it makes, share their limits.
#[derive(Clone)]
pub struct LlmLayer {
    source: Arc<dyn AnySource>,
    settings: Arc<Settings>,
}

impl LlmLayer {
    /// A layer that keeps to the limits of one key. The client authenticates as it does without the
    /// layer.
    ///
    /// ```
    /// use tollgate::llm::Limiter;
    /// use tollgate_http::llm::LlmLayer;
    ///
    /// let limiter = Limiter::builder().requests_per_minute(500).build()?;
    /// let layer = LlmLayer::limiter(limiter);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn limiter<C: Clock>(limiter: impl Into<Arc<Limiter<C>>>) -> Self {
        Self::new(limiter)
    }

    /// A layer that chooses a key of a pool for each request, and puts it into the
    /// [header](Self::key_header) that the provider reads.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tollgate::llm::{KeyPool, Limits};
    /// use tollgate_http::llm::LlmLayer;
    ///
    /// let pool = Arc::new(KeyPool::new());
    /// pool.add("main", "sk-1234", Limits::new())?;
    /// // Keys can be added and looked at while the layer is in use.
    /// let layer = LlmLayer::pool(Arc::clone(&pool));
    /// pool.add("spare", "sk-5678", Limits::new())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn pool<T, C>(pool: impl Into<Arc<KeyPool<T, C>>>) -> Self
    where
        T: AsRef<str> + Send + Sync + 'static,
        C: Clock,
    {
        Self::new(pool)
    }

    /// As [`pool`](Self::pool), for requests to several models, each of which has limits of its own.
    /// The body of a request names its model.
    ///
    /// ```
    /// use tollgate::llm::{Limits, ModelPool};
    /// use tollgate_http::llm::LlmLayer;
    ///
    /// let pool = ModelPool::new();
    /// pool.add("main", "sk-1234", Limits::new())?;
    /// pool.set_limits("main", "gpt-large", Limits::new().requests_per_minute(60))?;
    /// let layer = LlmLayer::models(pool);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn models<T, C>(pool: impl Into<Arc<ModelPool<T, C>>>) -> Self
    where
        T: AsRef<str> + Send + Sync + 'static,
        C: Clock + Clone,
    {
        Self::new(pool)
    }

    /// As [`pool`](Self::pool), for secrets of any type: `authorize` puts the secret of a key into a
    /// request. It is called for each try, and without a lock. If it fails, the request is not sent,
    /// and its error is [`LlmError::Key`].
    ///
    /// ```
    /// use tollgate::llm::{KeyPool, Limits};
    /// use tollgate_http::llm::{KeyHeader, LlmLayer};
    ///
    /// struct Account {
    ///     key: String,
    ///     organization: &'static str,
    /// }
    ///
    /// let pool = KeyPool::new();
    /// let account = Account { key: "sk-1".to_owned(), organization: "org-1" };
    /// pool.add("main", account, Limits::new())?;
    /// let layer = LlmLayer::pool_with(pool, |account: &Account, request| {
    ///     KeyHeader::Bearer.insert(&account.key, request)?;
    ///     request.headers.insert("openai-organization", account.organization.parse()?);
    ///     Ok(())
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn pool_with<T, C>(
        pool: impl Into<Arc<KeyPool<T, C>>>,
        authorize: impl Fn(&T, &mut Parts) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> Self
    where
        T: Send + Sync + 'static,
        C: Clock,
    {
        Self::new(WithSecrets { pool: pool.into(), authorize: Arc::new(authorize) })
    }

    /// A layer over any source of permits.
    #[must_use]
    pub fn new<P: PermitSource + 'static>(source: impl Into<Arc<P>>) -> Self {
        Self { source: source.into(), settings: Arc::default() }
    }

    /// How requests are estimated. Default: [`Estimator::new`].
    #[must_use]
    pub fn estimator(self, estimator: Estimator) -> Self {
        self.set(|settings| settings.estimator = estimator)
    }

    /// The header field in which requests carry the key of a pool. Default: [`KeyHeader::ByHost`].
    #[must_use]
    pub fn key_header(self, header: KeyHeader) -> Self {
        self.set(|settings| settings.key_header = header)
    }

    /// The longest time that a request may wait for its permits, over all tries. A request that
    /// would have to wait longer fails at once with [`LlmError::NotSent`], or gets the answer of its
    /// last try. Default: no limit but
    /// [`max_server_wait`](tollgate::llm::LimiterBuilder::max_server_wait).
    #[must_use]
    pub fn max_wait(self, max_wait: Duration) -> Self {
        self.set(|settings| settings.max_wait = Some(max_wait))
    }

    /// How often a request is sent at most; 0 counts as 1. Default: 3.
    #[must_use]
    pub fn tries(self, tries: u32) -> Self {
        self.set(|settings| settings.tries = tries)
    }

    /// Decides which requests are sent again, after each try but the last. Default:
    /// [`Attempt::is_worth_a_retry`], where there is an example.
    #[must_use]
    pub fn retry_if(self, retry: impl Fn(&Attempt) -> bool + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.retry = Some(Arc::new(retry)))
    }

    /// The longest body of a request that is read, to estimate the request and to send it again, in
    /// bytes. A longer one, and one that does not say how long it is, is sent as it comes, once,
    /// and estimated as [`Estimator::otherwise`] says. Default: 8 MiB.
    #[must_use]
    pub fn max_body(self, bytes: usize) -> Self {
        self.set(|settings| settings.max_body = bytes)
    }

    /// How long the layer waits for the beginning of the body of an error. After that, or once it
    /// has 64 KiB, it decides by what is there. Default: 2 seconds.
    #[must_use]
    pub fn error_body_patience(self, patience: Duration) -> Self {
        self.set(|settings| settings.error_body_patience = patience)
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl<S> Layer<S> for LlmLayer {
    type Service = LlmService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LlmService::new(inner, Arc::clone(&self.source), Arc::clone(&self.settings))
    }
}

impl fmt::Debug for LlmLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlmLayer").field("settings", &self.settings).finish_non_exhaustive()
    }
}
