//! Random policies and requests: the engine decides as the plain model does, over memory and over
//! a store that answers later.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use tollgate::{Clock, ManualClock};
use tollgate_http::engine::store::Memory;
use tollgate_http::{Decision, Facts, HttpLimiter, Policy};

use crate::dice::Dice;
use crate::model::{Expected, Model, Pending, Said};
use crate::scenario::{Request, Scenario};
use crate::scene;
use crate::stores::{LaterStore, block_on};

/// Limiters with the same policy: in memory, over a store that answers later, and in memory with
/// each request explained before it is decided.
struct Limiters {
    clock: ManualClock,
    now: HttpLimiter,
    later: HttpLimiter,
    explaining: HttpLimiter,
}

impl Limiters {
    fn new(policy: &Policy) -> Self {
        let clock = ManualClock::new();
        let builder = || {
            let wall = clock.clone();
            let builder = HttpLimiter::builder(policy).clock(clock.clone());
            builder.wall_clock(move || scene::wall_time(&wall))
        };
        let later = LaterStore::new(Memory::with_clock(Arc::new(clock.clone())), 2);
        let built = "memory keeps all limits";
        Self {
            now: builder().build().expect(built),
            later: builder().store(later).build().expect(built),
            explaining: builder().build().expect(built),
            clock,
        }
    }

    fn decide(&self, facts: &Facts<'_>) -> [Decision; 3] {
        let now = scene::decide(&self.now, facts);
        let later = block_on(self.later.decide(facts));
        assert_eq!(told(&now), told(&later), "both stores decide alike");
        let explained = self.explaining.explain(facts).expect("memory answers at once");
        let explaining = scene::decide(&self.explaining, facts);
        assert_eq!(explained.outcome(), explaining.outcome());
        [now, later, explaining]
    }

    fn answered(&self, decisions: &mut [Decision; 3], status: u16) {
        let limiters = [&self.now, &self.later, &self.explaining];
        for (limiter, decision) in limiters.into_iter().zip(decisions) {
            limiter.answered(decision, status);
        }
    }

    fn nanoseconds(&self) -> u128 {
        u128::from(self.clock.now().as_nanos())
    }
}

/// What a decision says, in the form of the model.
fn told(decision: &Decision) -> Expected {
    Expected {
        outcome: outcome(&format!("{:?}", decision.outcome())),
        status: decision.status(),
        retry_after: decision.retry_after().map(|wait| wait.as_nanos()),
        penalty: decision.is_penalty(),
        tier: decision.tier().map(|tier| tier[1..].parse().expect("a number")),
        said: decision
            .limits()
            .map(|limit| {
                let (remaining, reset) = (limit.remaining(), limit.reset_after().as_nanos());
                let wait = limit.retry_after().map_or(0, |wait| wait.as_nanos());
                Said {
                    limit: limit.name()[1..].parse().expect("a number"),
                    cost: limit.cost(),
                    shadow: limit.is_shadow(),
                    refuses: limit.refuses(),
                    level: (remaining != u64::MAX).then_some((remaining, reset, wait)),
                }
            })
            .collect(),
    }
}

fn outcome(text: &str) -> &'static str {
    let known = ["Allowed", "Refused", "Penalty", "Blocked", "Exempt", "MissingKey"];
    known.into_iter().find(|known| *known == text).expect("an outcome that can be")
}

/// A decision tells the time until the next permit only in header fields.
fn without_next(mut expected: Expected) -> Expected {
    for said in &mut expected.said {
        if let (false, Some(level)) = (said.refuses, &mut said.level) {
            level.2 = 0;
        }
    }
    expected
}

/// The names and headers of a request.
struct Sent {
    path: String,
    user: Option<String>,
    api_key: Option<String>,
    tier: Option<String>,
    headers: HeaderMap,
    peer: std::net::IpAddr,
}

impl Sent {
    fn new(request: &Request, scenario: &Scenario) -> Self {
        // Two are in the network that subjects are about, two are not.
        let client = ["203.0.113.0", "203.0.113.1", "198.51.100.7", "2001:db8::7"];
        let client = client[request.address];
        let mut headers = HeaderMap::new();
        let through_proxy = scenario.trusts_proxy && request.header == Some(1);
        let peer = if through_proxy { "10.1.2.3" } else { client };
        if through_proxy {
            // What the proxy writes stands at the right of what the client claims.
            let claim = if request.lies { "203.0.113.1, nonsense, " } else { "" };
            let value = HeaderValue::from_str(&format!("{claim}{client}")).expect("a value");
            headers.insert("x-forwarded-for", value);
        } else if request.lies {
            for name in ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip"] {
                headers.insert(name, HeaderValue::from_static("203.0.113.1"));
            }
        }
        if request.lies {
            headers.insert("origin", HeaderValue::from_static("https://example.com"));
        }
        if let Some(value) = request.header {
            headers.insert("x-tenant", HeaderValue::from(value));
        }
        Self {
            path: format!("/r{}?x=/r0", request.route),
            user: request.user.map(|user| format!("u{user}")),
            api_key: request.api_key.map(|key| format!("k{key}")),
            tier: request.tier.map(|tier| format!("t{tier}")),
            headers,
            peer: peer.parse().expect("an address"),
        }
    }

    fn facts<'a>(&'a self, method: &'a str) -> Facts<'a> {
        let mut facts = Facts::new(method, &self.path).headers(&self.headers).peer(self.peer);
        if let Some(user) = &self.user {
            facts = facts.user(user.as_str());
        }
        if let Some(key) = &self.api_key {
            facts = facts.api_key(key);
        }
        if let Some(tier) = &self.tier {
            facts = facts.tier(tier);
        }
        facts
    }
}

fn run(bytes: &[u8]) {
    let dice = &mut Dice(bytes);
    let scenario = Scenario::any(dice);
    let text = scenario.text();
    let policy: Policy = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
    let limiters = Limiters::new(&policy);
    let mut model = Model::new(&scenario);
    let mut unanswered: Option<([Decision; 3], Pending, u16)> = None;
    let mut again: Option<Request> = None;
    while !dice.is_empty() {
        let is_retry = again.is_some();
        let request = again.take().unwrap_or_else(|| Request::any(dice));
        if !is_retry {
            let pause = dice.pick(&[0, 0, 0, 1, 250, 1_000, 7_500, 61_000]);
            limiters.clock.advance(Duration::from_millis(pause));
        }
        let (sent, now) = (Sent::new(&request, &scenario), limiters.nanoseconds());
        let facts = sent.facts(request.method);
        let mut decisions = limiters.decide(&facts);
        let (expected, pending) = model.decide(&request, now);
        assert_eq!(told(&decisions[0]), without_next(expected.clone()), "{request:?}\n{text}");
        assert_eq!(decisions[0].is_allowed(), expected.status.is_none());
        // What another request gets back moves the key to that request's quota, which rounds up.
        let is_alone = unanswered.is_none();
        if let Some((mut decisions, pending, status)) = unanswered.take() {
            limiters.answered(&mut decisions, status);
            model.answered(&pending, status, now);
        }
        if is_retry {
            assert!(decisions[0].is_allowed(), "slept for Retry-After: {request:?}\n{text}");
        }
        if let Some(pending) = pending {
            if dice.once_in(3) {
                unanswered = Some((decisions, pending, request.answer));
            } else {
                limiters.answered(&mut decisions, request.answer);
                model.answered(&pending, request.answer, now);
            }
        } else if expected.outcome == "Refused" && !expected.penalty && is_alone && dice.once_in(2)
        {
            // The client sleeps for the whole seconds that it is told.
            let wait = expected.retry_after.expect("a wait").div_ceil(1_000_000_000);
            limiters.clock.advance(Duration::from_secs(u64::try_from(wait).expect("a wait")));
            again = Some(request);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_decides_as_the_model(bytes in prop::collection::vec(any::<u8>(), 0..900)) {
        run(&bytes);
    }
}
