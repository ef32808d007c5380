//! A policy with tiers, costs, charges, a shadow limit, penalties and subjects, against a count by
//! another, plain program.
//!
//! Its quotas are whole permits per minute and its times whole seconds, so all levels are whole
//! sixtieths of a permit.

use std::collections::HashMap;
use std::fmt::Write as _;

use tollgate_http::Policy;
use tollgate_server::replay::{LimitReport, Report};

use crate::support::{line, replay, requests};

const POLICY: &str = r#"
version = 1
always = ["all"]
default_tier = "free"
[limits.all]
quota = "60/min burst 9"
key = "address"
[limits.calls]
quota = "12/min burst 6"
key = "caller"
[limits.trial]
quota = "6/min burst 3"
key = "address"
mode = "shadow"
[limits.login]
quota = "6/min burst 2"
key = "address"
[tiers.free]
[tiers.gold]
calls = "120/min burst 20"
[[subjects]]
user = "alice"
tier = "gold"
[[subjects]]
address = "192.0.2.9"
blocked = true
until = 2015-05-17T00:03:00Z
[[subjects]]
address = "192.0.2.8"
exempt = true
[[routes]]
name = "login"
method = "POST"
path = "/login"
limits = ["login"]
charge = [401, 403]
[[routes]]
name = "export"
path = "/export/{id}"
limits = ["calls", "trial"]
cost = 3
costs = { all = 1, trial = 1 }
[[routes]]
name = "rest"
path = "/{*rest}"
limits = ["calls"]
[penalty]
key = "address"
after = "6/min burst 4"
block = "20s"
growth = 2
max = "1min"
forget = "5min"
"#;

/// One bucket in sixtieths of a permit: what is used, as of a second.
#[derive(Clone, Copy, Default)]
struct Bucket {
    used: u64,
    second: u64,
}

impl Bucket {
    /// What is used at `second`, at so many permits a minute.
    fn used(&mut self, second: u64, rate: u64) -> &mut u64 {
        self.used = self.used.saturating_sub((second - self.second) * rate);
        self.second = second;
        &mut self.used
    }
}

#[derive(Clone)]
struct Ask {
    limit: &'static str,
    key: String,
    rate: u64,
    burst: u64,
    cost: u64,
}

impl Ask {
    fn id(&self) -> (&'static str, String) {
        (self.limit, self.key.clone())
    }
}

#[derive(Clone)]
struct Asked {
    second: u64,
    address: String,
    user: String,
    route: &'static str,
    status: u16,
}

impl Asked {
    fn ask(&self, limit: &'static str, rate: u64, burst: u64, cost: u64) -> Ask {
        Ask { limit, key: self.address.clone(), rate, burst, cost }
    }

    /// The enforced limits, and the shadow limit.
    fn asks(&self) -> (Vec<Ask>, Option<Ask>) {
        let all = self.ask("all", 60, 9, 1);
        let cost = if self.route == "export" { 3 } else { 1 };
        let mut calls = match &*self.user {
            "alice" => self.ask("calls", 120, 20, cost),
            _ => self.ask("calls", 12, 6, cost),
        };
        if !self.user.is_empty() {
            calls.key.clone_from(&self.user);
        }
        match self.route {
            "login" => (vec![all, self.ask("login", 6, 2, 1)], None),
            "export" => (vec![all, calls], Some(self.ask("trial", 6, 3, 1))),
            _ => (vec![all, calls], None),
        }
    }

    fn gives_back(&self) -> bool {
        self.route == "login" && ![401, 403].contains(&self.status)
    }
}

#[derive(Default)]
struct Model {
    buckets: HashMap<(&'static str, String), Bucket>,
    bottomless: HashMap<(&'static str, String), Bucket>,
    deepest: HashMap<(&'static str, u64), u64>,
    refusals: HashMap<String, Bucket>,
    /// The end of a block, and how many blocks were before it.
    blocks: HashMap<String, (u64, u32)>,
    counts: HashMap<String, u64>,
}

impl Model {
    fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    fn of(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    fn request(&mut self, asked: &Asked) {
        self.count("requests");
        self.count(format!("route {}", asked.route));
        if asked.address == "192.0.2.9" && asked.second < 180 {
            self.count("blocked");
            return self.count(format!("refused {}", asked.route));
        }
        if asked.address == "192.0.2.8" {
            return self.count("exempt");
        }
        self.demand(asked);
        if self.blocks.get(&asked.address).is_some_and(|(end, _)| asked.second < *end) {
            self.count("in penalty");
            return self.count(format!("refused {}", asked.route));
        }
        let (enforced, shadow) = asked.asks();
        let mut refuses = false;
        for ask in &enforced {
            self.count(format!("decided {}", ask.limit));
            let used = *self.buckets.entry(ask.id()).or_default().used(asked.second, ask.rate);
            if used + ask.cost * 60 > ask.burst * 60 {
                refuses = true;
                self.count(format!("refused by {}", ask.limit));
            }
        }
        if refuses {
            self.count("by limits");
            self.count(format!("refused {}", asked.route));
            return self.refused(asked);
        }
        for ask in &enforced {
            let bucket = self.buckets.entry(ask.id()).or_default();
            *bucket.used(asked.second, ask.rate) += ask.cost * 60;
        }
        if let Some(ask) = shadow {
            self.count("decided trial");
            let used = self.buckets.entry(ask.id()).or_default().used(asked.second, ask.rate);
            if *used + ask.cost * 60 > ask.burst * 60 {
                self.count("refused by trial");
                self.count("would refuse");
            } else {
                *used += ask.cost * 60;
            }
        }
        if asked.gives_back() {
            let login = ("login", asked.address.clone());
            let used = self.buckets.entry(login).or_default().used(asked.second, 6);
            *used = used.saturating_sub(60);
        }
    }

    fn refused(&mut self, asked: &Asked) {
        let used = self.refusals.entry(asked.address.clone()).or_default().used(asked.second, 6);
        if *used + 60 <= 4 * 60 {
            *used += 60;
            return;
        }
        *used = 0;
        let before = match self.blocks.get(&asked.address) {
            Some((end, before)) if asked.second < end + 300 => before + 1,
            _ => 0,
        };
        let block = (20 << before.min(8)).min(60);
        self.blocks.insert(asked.address.clone(), (asked.second + block, before));
        self.count("penalties");
    }

    /// What would be used if nobody were refused.
    fn demand(&mut self, asked: &Asked) {
        let (enforced, shadow) = asked.asks();
        for ask in enforced.into_iter().chain(shadow) {
            let used = self.bottomless.entry(ask.id()).or_default().used(asked.second, ask.rate);
            *used += ask.cost * 60;
            let deepest = self.deepest.entry((ask.limit, ask.rate)).or_default();
            *deepest = (*deepest).max(*used);
            if ask.limit == "login" && asked.gives_back() {
                *used = used.saturating_sub(60);
            }
        }
    }
}

/// A few hundred requests of a few callers, some of whom insist.
fn traffic(seed: u64) -> Vec<Asked> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut dice = |sides: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % sides).expect("a small number")
    };
    let mut second = 0;
    (0..600)
        .map(|_| {
            second += [0, 0, 0, 1, 1, 2, 9][dice(7)];
            let user = ["", "", "alice", "bob"][dice(4)];
            Asked {
                second,
                address: format!("192.0.2.{}", [1, 1, 1, 2, 3, 8, 9][dice(7)]),
                user: user.to_owned(),
                route: ["login", "export", "rest", "rest"][dice(4)],
                status: [200, 401, 403, 500][dice(4)],
            }
        })
        .collect()
}

fn log(traffic: &[Asked]) -> String {
    traffic.iter().fold(String::new(), |mut log, asked| {
        let request = match asked.route {
            "login" => "POST /login",
            "export" => "GET /export/7?all=1",
            _ => "GET /a/b",
        };
        let user = if asked.user.is_empty() { "-" } else { &asked.user };
        log.write_str(&line(asked.second, &asked.address, user, request, asked.status))
            .expect("text");
        log
    })
}

fn limit<'a>(report: &'a Report, name: &str) -> &'a LimitReport {
    let limit = report.limits.iter().find(|limit| limit.limit == name);
    limit.unwrap_or_else(|| panic!("no limit {name}"))
}

#[test]
fn a_policy_is_replayed_as_a_plain_program_counts_it() {
    let policy: Policy = POLICY.parse().expect("a policy");
    let mut seen = HashMap::<&str, u64>::new();
    for seed in 0..40 {
        let traffic = traffic(seed);
        let mut model = Model::default();
        for asked in &traffic {
            model.request(asked);
        }
        let report = replay(&policy, log(&traffic).as_bytes(), &requests());

        let totals = &report.totals;
        for (name, found) in [
            ("requests", totals.requests),
            ("by limits", totals.refused_by_limits),
            ("in penalty", totals.refused_in_penalty),
            ("blocked", totals.refused_blocked),
            ("exempt", totals.exempt),
            ("would refuse", totals.would_refuse),
            ("penalties", totals.penalties_begun),
        ] {
            assert_eq!(found, model.of(name), "seed {seed}: {name}");
            *seen.entry(name).or_default() += found;
        }
        assert_eq!(totals.passed + totals.refused, totals.requests);
        for name in ["all", "calls", "login", "trial"] {
            let found = limit(&report, name);
            assert_eq!(found.decided, model.of(&format!("decided {name}")), "seed {seed}: {name}");
            let refused = found.refused + found.would_refuse;
            assert_eq!(refused, model.of(&format!("refused by {name}")), "seed {seed}: {name}");
            assert_eq!(found.shadow, name == "trial");
            assert!(found.exact);
            for quota in &found.quotas {
                let rate: u64 = quota
                    .quota
                    .split('/')
                    .next()
                    .and_then(|rate| rate.parse().ok())
                    .expect("a rate");
                let deepest = model.deepest.iter().find(|(of, _)| **of == (&*found.limit, rate));
                let deepest = deepest.map(|(_, deepest)| deepest.div_ceil(60));
                assert_eq!(quota.smallest_burst, deepest, "seed {seed}: {name} {}", quota.quota);
            }
        }
        for route in &report.routes {
            let name = route.route.as_deref().expect("all requests have a route");
            assert_eq!(route.requests, model.of(&format!("route {name}")));
            assert_eq!(route.refused, model.of(&format!("refused {name}")));
        }
    }
    // Everything that the policy can do has happened.
    assert!(seen.values().all(|times| *times > 0), "{seen:?}");
}
