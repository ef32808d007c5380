//! What a policy does to a log: single rules, and the smallest burst.

use std::collections::HashMap;

use proptest::prelude::*;
use tollgate::{Clock as _, ManualClock, Quota, RateLimiter as _, TokenBucket};
use tollgate_http::Policy;
use tollgate_server::replay::input::{Reading, WhichLines};
use tollgate_server::replay::log::client::Addresses;
use tollgate_server::replay::log::common;

use crate::support::{EXCERPT, client, line, policy, replay, requests, table};

fn clients() -> Reading {
    Reading { lines: WhichLines::Clients, ..Reading::default() }
}

/// A log of one client's requests at these seconds.
fn log_at(times: impl IntoIterator<Item = u64>) -> String {
    times.into_iter().map(|at| line(at, "::1", "-", "GET /", 200)).collect()
}

#[test]
fn the_excerpt() {
    let report = replay(&policy("30/min burst 20"), EXCERPT, &clients());
    let (log, totals) = (&report.logs[0], &report.totals);
    assert_eq!((log.lines, log.requests, log.skipped.len()), (199, 199, 0));
    assert_eq!((totals.requests, totals.refused), (199, 13));
    let quota = &report.limits[0].quotas[0];
    assert_eq!(quota.smallest_burst, Some(33));
    assert_eq!(quota.enough.as_deref(), Some("30/min burst 33"));
    assert_eq!((report.keys.len(), report.refused_keys), (1, 1));
    let worst = &report.keys[0];
    assert_eq!((&*worst.key, worst.refused), ("address 75.97.9.59", 13));
    assert_eq!(worst.smallest_burst, Some(33));
    assert_eq!((report.callers[0].refused, report.callers.len()), (13, 1));
}

/// A replay decides as one limiter for each client would.
#[test]
fn limiters_on_a_manual_clock_agree() {
    for quota in ["30/min burst 20", "7/h burst 3", "1/s", "13/7min burst 2"] {
        let rate: Quota = quota.parse().expect("the quota is valid");
        let clock = ManualClock::new();
        let mut limiters = HashMap::new();
        let mut passed = 0;
        let requests = common::lines(EXCERPT)
            .filter_map(|line| common::request(line, 1, Addresses::default()).ok());
        let mut requests: Vec<_> = requests.collect();
        requests.sort_by_key(|request| request.time);
        for request in requests {
            clock.set(clock.now().max(request.time));
            let limiter = limiters.entry(client(&request.client, 64)).or_insert_with(|| {
                let built = TokenBucket::builder(rate).clock(clock.clone()).build();
                built.expect("the quota is valid")
            });
            passed += u64::from(limiter.allow());
        }
        assert_eq!(replay(&policy(quota), EXCERPT, &clients()).totals.passed, passed, "{quota}");
    }
}

#[test]
fn an_unlimited_quota_refuses_nothing_and_needs_no_burst() {
    let report = replay(&policy("unlimited"), EXCERPT, &requests());
    assert_eq!(report.totals.passed, 199);
    assert!(report.limits[0].quotas.is_empty());
    assert!(table(&report).contains("No key was refused anything."));
}

#[test]
fn windows_have_no_smallest_burst() {
    for algorithm in ["fixed-window", "sliding-window", "strict"] {
        let text = format!(
            "version = 1\nalways = ['a']\n[limits.a]\nquota = '3/min'\nkey = 'address'\n\
             algorithm = '{algorithm}'"
        );
        let policy: Policy = text.parse().expect("a policy");
        let report = replay(&policy, log_at([0; 9]).as_bytes(), &requests());
        assert_eq!(report.totals.refused, 6, "{algorithm}");
        assert_eq!(report.limits[0].algorithm, algorithm);
        assert_eq!(report.limits[0].quotas[0].smallest_burst, None);
        assert!(table(&report).contains(&format!("(not computed for {algorithm})")));
    }
}

#[test]
fn a_block_ends_at_the_time_of_the_log() {
    let policy: Policy = "
        version = 1
        [[subjects]]
        address = '192.0.2.1'
        blocked = true
        until = 2015-05-17T00:00:10Z
    "
    .parse()
    .expect("a policy");
    let log: String = (0..20).map(|at| line(at, "192.0.2.1", "-", "GET /", 200)).collect();
    let report = replay(&policy, log.as_bytes(), &requests());
    assert_eq!((report.totals.refused_blocked, report.totals.passed), (10, 10));
}

#[test]
fn hosts_methods_and_dots_choose_routes_and_a_client_header_is_not_read() {
    let policy: Policy = "
        version = 1
        [client]
        header = 'x-forwarded-for'
        trusted_proxies = ['192.0.2.0/24']
        [limits.a]
        quota = '1/day'
        key = 'address'
        [[routes]]
        name = 'api'
        host = 'api.example'
        path = '/v1/{*rest}'
        limits = ['a']
        [[routes]]
        name = 'writes'
        method = 'POST'
        path = '/{*rest}'
    "
    .parse()
    .expect("a policy");
    let log: String = [
        "GET https://api.example/v1/x",
        "GET https://api.example/v1/y?z",
        "POST /v1/x",
        "GET /v1/x",
        "GET https://api.example/v1/../x",
    ]
    .iter()
    .map(|request| line(1, "192.0.2.1", "-", request, 200))
    .collect();
    let report = replay(&policy, log.as_bytes(), &requests());
    let routes: Vec<_> =
        report.routes.iter().map(|route| (route.route.as_deref(), route.requests)).collect();
    assert_eq!(routes, [(None, 2), (Some("api"), 2), (Some("writes"), 1)]);
    let totals = &report.totals;
    assert_eq!((totals.refused_by_limits, totals.refused_ambiguous), (1, 1));
    assert_eq!(totals.with_host, 3);
}

#[test]
fn what_a_log_does_not_tell_is_noted() {
    let policy: Policy = "
        version = 1
        always = ['a', 'b']
        [limits.a]
        quota = '1/day'
        key = 'header:x-tenant'
        missing = 'share'
        [limits.b]
        quota = '1/day'
        key = ['api-key', 'address']
        missing = 'skip'
        [[routes]]
        path = '/'
        charge = ['2xx']
    "
    .parse()
    .expect("a policy");
    let line = "192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET /\" -\n";
    let report = replay(&policy, line.as_bytes(), &requests());
    for note in
        ["the part `header:x-tenant`", "the part `api-key`", "1 requests of routes with a `charge`"]
    {
        assert!(report.notes.iter().any(|found| found.contains(note)), "{note}: {report:?}");
    }
    let refused = self::line(0, "192.0.2.1", "-", "GET /", 429);
    let report = replay(&policy, refused.as_bytes(), &requests());
    assert_eq!((report.totals.answered_429, report.totals.with_status), (1, 1));
    assert!(report.notes.iter().any(|found| found.contains("answered with 429")), "{report:?}");
}

#[test]
fn a_policy_in_the_mode_shadow_refuses_nothing_and_tells() {
    let policy: Policy = "
        version = 1
        mode = 'shadow'
        always = ['a']
        [limits.a]
        quota = '1/day'
        key = 'address'
        [[subjects]]
        address = '192.0.2.9'
        blocked = true
        [penalty]
        after = '1/day'
        block = '1min'
    "
    .parse()
    .expect("a policy");
    let of = |address: &str| line(0, address, "-", "GET /", 200);
    let log = [of("192.0.2.1"), of("192.0.2.1"), of("192.0.2.1"), of("192.0.2.9")].concat();
    let report = replay(&policy, log.as_bytes(), &requests());
    assert_eq!((report.totals.passed, report.totals.would_refuse), (4, 3));
    assert_eq!(report.totals.penalties_begun, 0);
    assert_eq!(report.limits[0].quotas[0].smallest_burst, Some(3));
    assert_eq!(report.callers.len(), 2);
}

#[test]
fn a_key_that_asks_under_two_quotas_makes_the_burst_an_estimate() {
    let policy: Policy = "
        version = 1
        always = ['a']
        [limits.a]
        quota = '1/min burst 5'
        key = 'address'
        [tiers.gold]
        a = '60/min burst 50'
        [[subjects]]
        user = 'alice'
        tier = 'gold'
    "
    .parse()
    .expect("a policy");
    let log: String = ["-", "-", "alice", "alice", "alice"]
        .iter()
        .map(|user| line(0, "192.0.2.1", user, "GET /", 200))
        .collect();
    let report = replay(&policy, log.as_bytes(), &requests());
    let limit = &report.limits[0];
    assert!(!limit.exact);
    let bursts: Vec<_> = limit.quotas.iter().map(|quota| quota.smallest_burst).collect();
    assert_eq!(bursts, [Some(2), Some(5)]);
    assert!(table(&report).contains("(estimate)"));
}

/// A quota of any rate, even ones that divide nothing.
fn rate() -> impl Strategy<Value = Quota> {
    (1..2_000u64, 1..100_000u64)
        .prop_map(|(permits, ms)| Quota::per(permits, std::time::Duration::from_millis(ms)))
}

proptest! {
    // Each case is three replays.
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What the report calls the smallest burst is just that, whatever requests cost.
    #[test]
    fn the_smallest_burst_is_enough_and_no_less_is(
        rate in rate(),
        cost in 1..4u64,
        asked in prop::collection::vec((0..300u64, 1..4u8, any::<bool>()), 1..200),
    ) {
        let log: String = asked
            .iter()
            .map(|(at, client, is_dear)| {
                let request = if *is_dear { "GET /dear" } else { "GET /" };
                line(*at, &format!("192.0.2.{client}"), "-", request, 200)
            })
            .collect();
        let report = |burst: u64| {
            let text = format!(
                "version = 1\nalways = ['a']\n[limits.a]\nquota = '{}'\nkey = 'address'\n\
                 [[routes]]\npath = '/dear'\ncost = {cost}",
                rate.burst(burst)
            );
            let policy: Policy = text.parse().expect("a policy");
            replay(&policy, log.as_bytes(), &requests())
        };
        let needed = report(1_000).limits[0].quotas[0].smallest_burst.expect("a token bucket");
        prop_assert!(needed >= 1);
        let enough = report(needed.max(cost));
        prop_assert_eq!(enough.totals.refused, 0);
        prop_assert_eq!(enough.limits[0].quotas[0].smallest_burst, Some(needed));
        if needed > cost {
            let less = report(needed - 1);
            prop_assert!(less.totals.refused > 0);
            // However much is refused, the answer is the same.
            prop_assert_eq!(less.limits[0].quotas[0].smallest_burst, Some(needed));
        }
    }
}
