//! The replay itself: the requests of the logs, decided at the logs' own time.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use tollgate::{Clock as _, ManualClock, Timestamp};
use tollgate_http::{BuildError, Facts, HttpLimiter, Outcome, Policy};

use super::counts::Counts;
use super::input::{LogError, Logs};
use super::log::Request;
use super::log::client::Client;
use super::measure::Measure;
use super::report::Report;

/// A policy applied to requests of the past.
pub struct Replay {
    pub(super) policy: Policy,
    clock: ManualClock,
    /// Decides.
    pub(super) limiter: HttpLimiter,
    /// The same policy, if nobody were refused.
    granting: HttpLimiter,
    pub(super) measure: Measure,
    pub(super) counts: Counts,
    /// Whether the report shows keyed hashes instead of users and addresses.
    pub(super) hashes_keys: bool,
}

impl Replay {
    /// A replay under `policy`.
    ///
    /// The client of a request is the one that the log names. The policy's `[client]` is not
    /// applied again, because a log has no headers. A client that is the name of a host is a user
    /// of that name.
    ///
    /// # Errors
    ///
    /// If no limiter can be built.
    pub fn new(policy: &Policy) -> Result<Self, BuildError> {
        let (clock, measure) = (ManualClock::new(), Measure::default());
        let limiter = |store| {
            let wall_clock = clock.clone();
            HttpLimiter::builder(policy)
                .clock(clock.clone())
                .wall_clock(move || UNIX_EPOCH + Duration::from_nanos(wall_clock.now().as_nanos()))
                .store(store)
                .build()
        };
        Ok(Self {
            policy: policy.clone(),
            limiter: limiter(measure.deciding(&clock))?,
            granting: limiter(measure.granting(&clock))?,
            counts: Counts::default(),
            clock,
            measure,
            hashes_keys: false,
        })
    }

    /// The same replay, whose report shows keyed hashes instead of users and addresses.
    #[must_use]
    pub fn hash_keys(mut self) -> Self {
        self.hashes_keys = true;
        self
    }

    /// Replays all requests of the logs, which another thread reads ahead.
    ///
    /// # Errors
    ///
    /// If a log can't be read.
    pub fn run(&mut self, logs: &mut Logs) -> Result<(), LogError> {
        logs.for_each(|request| self.request(request))
    }

    /// Replays one request. A time before the newest one counts as the newest.
    pub fn request(&mut self, request: &Request<'_>) {
        let time = request.time.max(self.clock.now());
        if time > self.clock.now() {
            self.clock.set(time);
        }
        let details = &request.details;
        let (method, path) = (text(&details.method), text(&details.path));
        let (host, user) = (text(&details.host), text(&details.user));
        let mut facts = Facts::new(&method, &path);
        match &request.client {
            Client::Peer(peer) => facts = facts.peer(*peer),
            Client::Name(name) => facts = facts.user(&*text(name)),
        }
        if !user.is_empty() {
            facts = facts.user(&*user);
        }
        if !host.is_empty() {
            facts = facts.host(&host);
        }
        self.decide(&facts, request, time);
    }

    fn decide(&mut self, facts: &Facts<'_>, request: &Request<'_>, now: Timestamp) {
        // Memory answers at once.
        let Ok(mut decision) = self.limiter.decide(facts).now() else { return };
        let is_measured = match decision.outcome() {
            Outcome::Allowed | Outcome::Refused | Outcome::Full => {
                !decision.limits().any(|limit| limit.refuses())
            }
            Outcome::Penalty => false,
            // No limit was asked, and none would be if nobody were refused.
            _ => true,
        };
        let status = request.details.status;
        if !is_measured
            && let Ok(mut granted) = self.granting.decide(facts).now()
            && let Some(status) = status
        {
            self.granting.answered(&mut granted, status);
        }
        self.counts.request(request, &decision, now);
        if decision.is_allowed()
            && let Some(status) = status
        {
            self.limiter.answered(&mut decision, status);
        }
    }

    /// What was found so far. `most` is how many keys and callers are listed.
    #[must_use]
    pub fn report(&self, logs: &Logs, most: usize) -> Report {
        Report::new(self, logs, most)
    }
}

/// Bytes as text. What is not UTF-8 is replaced, as it can't be in a policy.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    // Nearly all is ASCII, of which this is faster.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("policy", &self.policy).finish_non_exhaustive()
    }
}
