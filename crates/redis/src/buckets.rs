//! The store, and the buckets of its namespaces.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate::shared::store::{
    Answer, Answers, Ask, Buckets, Namespace, OpenError, Outcome, Store, StoreError,
};

use crate::builder::{Builder, Clock, ConnectError};
use crate::connection::{Link, Settings};
use crate::wire::{Batch, Opened, micros};

/// A store in Redis or Valkey. Clones share one connection, which is made again in the background
/// whenever it is lost.
///
/// While there is no connection, every ask is
/// [unreachable](StoreError::Unreachable) at once: nothing ever waits for a connection.
#[derive(Clone)]
pub struct Redis {
    link: Arc<Link>,
    prefix: Arc<str>,
    clock: Option<Clock>,
}

impl Redis {
    /// Connects to the server at a URL: `redis://USER:PASSWORD@HOST:PORT/DATABASE`,
    /// `rediss://…` for TLS (feature `tls`), or `redis+unix:///PATH`.
    ///
    /// # Errors
    ///
    /// If there is no connection within 250 ms.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is left behind.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::builder(url).connect().await
    }

    /// Sets a store at this URL up.
    ///
    /// ```
    /// # use tollgate_redis::{ConnectError, Redis};
    /// # fn run() -> Result<(), ConnectError> {
    /// let wrong = Redis::builder("http://127.0.0.1").connect_later();
    /// assert!(matches!(wrong, Err(ConnectError::Settings(_))));
    /// # Ok(())
    /// # }
    /// # run().unwrap()
    /// ```
    pub fn builder(url: &str) -> Builder {
        Builder { settings: Settings::from_url(url), prefix: "tollgate:".into(), clock: None }
    }

    /// Sets a store up for the server of a client of the crate `redis`, version 1, for whatever its
    /// settings can do and this crate's can't.
    pub fn from_client(client: &redis::Client) -> Builder {
        let settings = Ok(Settings::from_client(client));
        Builder { settings, prefix: "tollgate:".into(), clock: None }
    }

    pub(crate) fn new(link: Arc<Link>, prefix: String, clock: Option<Clock>) -> Self {
        Self { link, prefix: prefix.into(), clock }
    }
}

impl Store for Redis {
    fn open(&self, namespaces: &[Namespace]) -> Result<Arc<dyn Buckets>, OpenError> {
        let opened = Opened::new(&self.prefix, namespaces)?;
        let (link, clock) = (Arc::clone(&self.link), self.clock.clone());
        Ok(Arc::new(RedisBuckets { link, clock, opened }))
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("link", &self.link)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// The buckets of the namespaces with which the store was opened.
#[derive(Clone)]
struct RedisBuckets {
    link: Arc<Link>,
    clock: Option<Clock>,
    opened: Opened,
}

impl Buckets for RedisBuckets {
    fn ask(&self, asks: Vec<Ask>) -> Answers {
        let (this, began) = (self.clone(), Instant::now());
        let clock = self.clock.as_ref().map(now);
        Box::pin(async move { this.do_asks(asks, began, clock).await })
    }
}

impl RedisBuckets {
    /// `began` and, on the caller's clock, `asked_at` say when the asks were made.
    async fn do_asks(
        &self,
        asks: Vec<Ask>,
        began: Instant,
        asked_at: Option<u64>,
    ) -> Vec<Result<Answer, StoreError>> {
        let now = self.clock.as_ref().map(now);
        let waited = match (asked_at, now) {
            (Some(asked_at), Some(now)) => Duration::from_micros(now.saturating_sub(asked_at)),
            _ => began.elapsed(),
        };
        let number = self.link.number();
        let is_late = |ask: &Ask| waited > ask.lifetime;
        let answers = if asks.iter().any(is_late) {
            let late: Vec<_> = asks.iter().map(is_late).collect();
            let asks = asks.into_iter().filter(|ask| !is_late(ask)).collect();
            let mut answers = self.call(asks, waited, now).await.into_iter();
            let expired = || Ok(Answer::new(Outcome::Expired, 0, []));
            let missing = || Err(StoreError::Unreadable("no answer belongs to the ask".into()));
            let mut next = || answers.next().unwrap_or_else(missing);
            late.into_iter().map(|is_late| if is_late { expired() } else { next() }).collect()
        } else {
            self.call(asks, waited, now).await
        };
        self.link.heed(number, &answers);
        answers
    }

    /// Asks the server. `waited` is how long the callers have waited already.
    async fn call(
        &self,
        asks: Vec<Ask>,
        waited: Duration,
        now: Option<u64>,
    ) -> Vec<Result<Answer, StoreError>> {
        let nobody_after = |ask: &Ask| {
            let left = ask.lifetime.checked_sub(waited).filter(|_| ask.lifetime != Duration::MAX);
            match now {
                Some(now) => left.map(|left| now.saturating_add(micros(left)).clamp(1, 1 << 52)),
                None => left.and_then(|left| self.link.server_time_in(left)),
            }
        };
        let batch = Batch::new(&self.opened, asks, false, true, nobody_after);
        let replies = self.link.call_all(&batch.calls, now).await;
        let mut answers = batch.answers(&self.opened, replies);
        if answers.left.is_empty() {
            return answers.with(Vec::new());
        }
        let left = std::mem::take(&mut answers.left);
        let batch = Batch::new(&self.opened, left, false, false, nobody_after);
        let replies = self.link.call_all(&batch.calls, now).await;
        answers.with(batch.answers(&self.opened, replies).with(Vec::new()))
    }
}

/// What a clock of the caller's says, in whole µs.
fn now(clock: &Clock) -> u64 {
    u64::try_from(clock().as_micros()).map_or(1 << 52, |micros| micros.min(1 << 52))
}
