//! A client that sends as much as its limiter allows, on a manual clock.

use std::time::{Duration, SystemTime};

use tollgate::ManualClock;
use tollgate::llm::{Counted, Error, KeyPool, Limiter, Limits, Reply, ServerLimits, Tokens, Usage};

/// When the responses of the tests arrive: Thu, 13 Aug 2026 15:37:00 GMT.
pub(crate) const NOW: u64 = 1_786_635_420;

pub(crate) fn read(headers: &[(String, String)]) -> ServerLimits {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    ServerLimits::from_headers(headers.iter().map(|(name, value)| (name, value)), now)
}

/// A limiter or a pool of one key, on a clock.
pub(crate) enum Client {
    Limiter(Limiter<ManualClock>, ManualClock),
    Pool(KeyPool<(), ManualClock>, ManualClock),
}

impl Client {
    /// One of each kind, without limits of its own.
    pub(crate) fn both() -> [Self; 2] {
        [Self::limiter(Limits::new()), Self::pool()]
    }

    pub(crate) fn limiter(limits: Limits) -> Self {
        let clock = ManualClock::new();
        let limiter = Limiter::builder().limits(limits).clock(clock.clone()).build().unwrap();
        Self::Limiter(limiter, clock)
    }

    pub(crate) fn pool() -> Self {
        let clock = ManualClock::new();
        let pool = KeyPool::builder().clock(clock.clone()).build();
        pool.add("key", (), Limits::new()).unwrap();
        Self::Pool(pool, clock)
    }

    pub(crate) fn clock(&self) -> &ManualClock {
        match self {
            Self::Limiter(_, clock) | Self::Pool(_, clock) => clock,
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        match self {
            Self::Limiter(limiter, _) => limiter.usage(),
            Self::Pool(pool, _) => pool.usage("key").unwrap(),
        }
    }

    /// Sends a request of no tokens that is answered in this way.
    pub(crate) fn answered(&self, reply: &Reply) {
        match self {
            Self::Limiter(limiter, _) => limiter.try_acquire(0).unwrap().end(reply),
            Self::Pool(pool, _) => pool.try_acquire(0).unwrap().end(reply),
        }
    }

    /// Sends a request that uses exactly its estimate, which may be lowered. Returns the tokens.
    pub(crate) fn send(&self, tokens: Tokens) -> Result<Tokens, Error> {
        match self {
            Self::Limiter(limiter, _) => limiter.try_acquire(tokens).map(|permit| {
                let sent = permit.estimate();
                permit.settle(sent);
                sent
            }),
            Self::Pool(pool, _) => pool.try_acquire(tokens).map(|permit| {
                let sent = permit.estimate();
                permit.settle(sent);
                sent
            }),
        }
    }

    /// The time until a request with these tokens can be sent, which is then sent.
    pub(crate) fn next(&self, tokens: Tokens) -> Duration {
        let mut waited = Duration::ZERO;
        loop {
            match self.send(tokens) {
                Ok(_) => return waited,
                Err(error) => {
                    let wait = error.retry_after().unwrap();
                    assert!(!wait.is_zero(), "{error} is no reason to wait");
                    self.clock().advance(wait);
                    waited += wait;
                }
            }
        }
    }

    /// How much passes within `span` if as much is sent as possible.
    pub(crate) fn greedy(&self, counted: Counted, span: Duration) -> u64 {
        let (mut total, mut waited) = (0, Duration::ZERO);
        loop {
            match self.send(self.most(counted)) {
                Ok(sent) => total += count(counted, sent),
                Err(error) => {
                    let wait = error.retry_after().unwrap();
                    assert!(!wait.is_zero(), "{error} is no reason to wait");
                    waited += wait;
                    if waited >= span {
                        return total;
                    }
                    self.clock().advance(wait);
                }
            }
        }
    }

    /// What a greedy client asks for: all that is left now, or else a hundredth of a limit.
    fn most(&self, counted: Counted) -> Tokens {
        let limits = self.usage().limits;
        let of = limits
            .iter()
            .filter(|limit| limit.kind.metered().is_some_and(|(what, _)| what == counted));
        let (mut left, mut limit) = (u64::MAX, u64::MAX);
        for usage in of {
            (left, limit) = (left.min(usage.remaining), limit.min(usage.limit));
        }
        let count = if left > 0 { left } else { (limit / 100).max(1) };
        match counted {
            Counted::Requests => Tokens::new(0, 0),
            Counted::OutputTokens => Tokens::new(0, count),
            _ => Tokens::new(count, 0),
        }
    }
}

fn count(counted: Counted, sent: Tokens) -> u64 {
    match counted {
        Counted::Requests => 1,
        Counted::OutputTokens => sent.output,
        _ => sent.input,
    }
}
