//! What the server counts of one API key: its own way, and independent of the library's.

use std::time::{Duration, Instant};

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// The limits of a key, per minute.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) requests: u32,
    pub(crate) tokens: u32,
}

/// A limit per minute that is enforced by the second, as providers do with large ones: 60,000 per
/// minute as 1,000 per second.
struct Level {
    per_minute: u32,
    left: f64,
    counted_at: Instant,
}

impl Level {
    fn new(per_minute: u32) -> Self {
        Self { per_minute, left: f64::from(per_minute) / 60.0, counted_at: Instant::now() }
    }

    fn per_second(&self) -> f64 {
        f64::from(self.per_minute) / 60.0
    }

    fn count(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.left = (self.left + passed * self.per_second()).min(self.per_second());
        self.counted_at = now;
    }

    /// How long until so many are there.
    fn wait_for(&self, wanted: f64) -> Duration {
        Duration::from_secs_f64((wanted - self.left).max(0.0) / self.per_second())
    }
}

/// A key's state, and what it was used for.
pub(crate) struct Account {
    requests: Level,
    tokens: Level,
    revoked_at: Option<Instant>,
    closed_until: Option<Instant>,
    /// For how long it was closed, whatever the limits said.
    closed_for: Duration,
    pub(crate) tally: Tally,
}

/// What became of a key's requests.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) served: u32,
    pub(crate) refused: u32,
    pub(crate) unauthorized: u32,
    pub(crate) tokens: f64,
}

/// What the server says to a request.
pub(crate) enum Verdict {
    Served,
    TooMany { retry_after: Duration },
    Unauthorized,
}

impl Account {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            requests: Level::new(plan.requests),
            tokens: Level::new(plan.tokens),
            revoked_at: None,
            closed_until: None,
            closed_for: Duration::ZERO,
            tally: Tally::default(),
        }
    }

    /// Counts a request with so many tokens reserved, if the limits let it pass.
    pub(crate) fn admit(&mut self, reserve: f64) -> Verdict {
        let now = Instant::now();
        if self.revoked_at.is_some() {
            self.tally.unauthorized += 1;
            return Verdict::Unauthorized;
        }
        let closed = self.closed_until.map_or(Duration::ZERO, |until| until - now);
        self.requests.count(now);
        self.tokens.count(now);
        let retry_after =
            closed.max(self.requests.wait_for(1.0)).max(self.tokens.wait_for(reserve));
        if !retry_after.is_zero() {
            self.tally.refused += 1;
            return Verdict::TooMany { retry_after };
        }
        self.requests.left -= 1.0;
        self.tokens.left -= reserve;
        self.tally.served += 1;
        Verdict::Served
    }

    /// The answer took fewer tokens than were reserved.
    pub(crate) fn finish(&mut self, reserved: f64, used: f64) {
        self.tokens.count(Instant::now());
        self.tokens.left += reserved - used;
        self.tally.tokens += used;
    }

    /// Accepts the key no more.
    pub(crate) fn revoke(&mut self) {
        self.revoked_at = Some(Instant::now());
    }

    /// Refuses all for a while, whatever the limits say.
    pub(crate) fn close_for(&mut self, pause: Duration) {
        self.closed_until = Some(Instant::now() + pause);
        self.closed_for += pause;
    }

    /// The tokens that could have been used from then on.
    pub(crate) fn quota(&self, then: Instant) -> f64 {
        let end = self.revoked_at.unwrap_or_else(Instant::now);
        let open = end.saturating_duration_since(then).saturating_sub(self.closed_for);
        // What passes at once is there from the beginning.
        (open.as_secs_f64() + 1.0) * self.tokens.per_second()
    }

    /// The headers of an answer, in OpenAI's format.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (what, level) in [("requests", &self.requests), ("tokens", &self.tokens)] {
            let full = level.wait_for(level.per_second());
            let values = [
                ("limit", level.per_minute.to_string()),
                ("remaining", format!("{:.0}", level.left.max(0.0).floor())),
                ("reset", go_duration(full)),
            ];
            for (name, value) in values {
                let name = HeaderName::try_from(format!("x-ratelimit-{name}-{what}"));
                let value = HeaderValue::try_from(value);
                headers.insert(name.expect("a valid name"), value.expect("a valid value"));
            }
        }
        headers
    }
}

/// `12ms`, `7.66s`: as Go prints a duration.
fn go_duration(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ 0..1_000 => format!("{millis}ms"),
        _ => format!("{:.2}s", duration.as_secs_f64()),
    }
}
