//! What a replay counts of its requests. (What limits were asked is in `measure.rs`.)

use std::sync::Arc;

use hashbrown::HashMap;
use tollgate::Timestamp;
use tollgate_http::address::{Network, Peer, Prefixes};
use tollgate_http::engine::Part;
use tollgate_http::{Decision, Outcome};

use super::log::client::Client;
use super::log::{Request, time};

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) passed: u64,
    pub(super) exempt: u64,
    pub(super) refused: Refused,
    /// Requests that pass, and that something in the mode `shadow` would refuse.
    pub(super) would_refuse: u64,
    pub(super) penalties_begun: u64,
    pub(super) with_user: u64,
    pub(super) with_host: u64,
    pub(super) with_status: u64,
    /// Requests that go on and whose route does not charge every status, without a status.
    pub(super) charged_unseen: u64,
    /// Requests that the log says were answered with 429.
    pub(super) answered_429: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) second: Busy<1>,
    pub(super) minute: Busy<60>,
    pub(super) routes: HashMap<String, RouteCounts, ahash::RandomState>,
    pub(super) no_route: RouteCounts,
    /// Callers of whom a request was refused or would be.
    pub(super) callers: HashMap<Part, CallerCounts, ahash::RandomState>,
}

/// Refused requests, by the reason.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refused {
    pub(super) by_limits: u64,
    pub(super) no_room: u64,
    pub(super) in_penalty: u64,
    pub(super) blocked: u64,
    pub(super) ambiguous: u64,
    pub(super) missing_key: u64,
    pub(super) no_address: u64,
}

/// The counts of one route.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RouteCounts {
    pub(super) requests: u64,
    pub(super) refused: u64,
    pub(super) would_refuse: u64,
}

/// The counts of one caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallerCounts {
    pub(super) refused: u64,
    pub(super) in_penalty: u64,
    pub(super) would_refuse: u64,
    pub(super) penalties_begun: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

/// The span of `SECONDS` seconds with most requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Busy<const SECONDS: u64> {
    /// When it begins, in seconds since 1970, and how many requests it has.
    pub(super) most: (u64, u64),
    now: (u64, u64),
}

impl<const SECONDS: u64> Busy<SECONDS> {
    /// Counts a request, which is not before the last one.
    fn count(&mut self, second: u64) {
        let begin = second - second % SECONDS;
        self.now = if self.now.0 == begin { (begin, self.now.1 + 1) } else { (begin, 1) };
        if self.now.1 > self.most.1 {
            self.most = self.now;
        }
    }
}

impl Counts {
    /// Counts a request that was decided at `now`.
    pub(super) fn request(&mut self, request: &Request<'_>, decision: &Decision, now: Timestamp) {
        let outcome = Outcomes::of(decision);
        self.traffic(request, now);
        self.passed += u64::from(outcome.passes);
        self.exempt += u64::from(decision.outcome() == Outcome::Exempt);
        self.would_refuse += u64::from(outcome.would_refuse);
        self.penalties_begun += u64::from(outcome.begins_penalty);
        let is_unseen = request.details.status.is_none() && decision.may_give_back();
        self.charged_unseen += u64::from(is_unseen && outcome.passes);
        if !outcome.passes {
            self.refused.count(decision.outcome());
        }
        let route = match decision.route() {
            None => &mut self.no_route,
            Some(name) => self.routes.entry_ref(name).or_default(),
        };
        route.requests += 1;
        route.refused += u64::from(!outcome.passes);
        route.would_refuse += u64::from(outcome.would_refuse);
        if !outcome.passes || outcome.would_refuse {
            let caller = self.caller(request, now);
            caller.last = now;
            caller.refused += u64::from(!outcome.passes);
            caller.in_penalty +=
                u64::from(!outcome.passes && decision.outcome() == Outcome::Penalty);
            caller.would_refuse += u64::from(outcome.would_refuse);
            caller.penalties_begun += u64::from(outcome.begins_penalty);
        }
    }

    /// Counts what the log itself says.
    fn traffic(&mut self, request: &Request<'_>, now: Timestamp) {
        let details = &request.details;
        self.requests += 1;
        self.with_user += u64::from(!details.user.is_empty());
        self.with_host += u64::from(!details.host.is_empty());
        self.with_status += u64::from(details.status.is_some());
        self.answered_429 += u64::from(details.status == Some(429));
        self.first.get_or_insert(now);
        self.last = Some(now);
        self.second.count(time::seconds(now));
        self.minute.count(time::seconds(now));
    }

    /// The counts of who asked.
    fn caller(&mut self, request: &Request<'_>, now: Timestamp) -> &mut CallerCounts {
        self.callers.entry(caller(request)).or_insert(CallerCounts {
            refused: 0,
            in_penalty: 0,
            would_refuse: 0,
            penalties_begun: 0,
            first: now,
            last: now,
        })
    }
}

impl Refused {
    fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Full => &mut self.no_room,
            Outcome::Penalty => &mut self.in_penalty,
            Outcome::Blocked => &mut self.blocked,
            Outcome::Ambiguous => &mut self.ambiguous,
            Outcome::MissingKey => &mut self.missing_key,
            Outcome::NoPeer => &mut self.no_address,
            _ => &mut self.by_limits,
        } += 1;
    }
}

/// What became of one request.
#[derive(Clone, Copy, Debug)]
struct Outcomes {
    passes: bool,
    would_refuse: bool,
    begins_penalty: bool,
}

impl Outcomes {
    fn of(decision: &Decision) -> Self {
        let passes = decision.is_allowed();
        let outcome = decision.outcome();
        // In the mode `shadow` of the whole policy, what refuses is told and the request goes on.
        let is_let_go = !matches!(outcome, Outcome::Allowed | Outcome::Exempt);
        Self {
            passes,
            would_refuse: passes && (is_let_go || decision.would_refuse().next().is_some()),
            begins_penalty: outcome != Outcome::Penalty && decision.is_penalty(),
        }
    }
}

/// Who asked: the user, else the address.
fn caller(request: &Request<'_>) -> Part {
    let user = |name: &[u8]| Part::User(Arc::from(String::from_utf8_lossy(name)));
    match &request.client {
        _ if !request.details.user.is_empty() => user(&request.details.user),
        Client::Name(name) => user(name),
        Client::Peer(peer) => Part::Address(network(*peer)),
    }
}

/// The whole address.
fn network(peer: Peer) -> Network {
    Network::of(peer, Prefixes { ipv4: 32, ipv6: 128 })
}
