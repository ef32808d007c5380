//! Decisions by the clocks of the callers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tollgate::Quota;
use tollgate::shared::store::{Outcome, Rule, Store, Verb};
use tollgate_redis::{ConnectError, Redis};

use crate::support::server::{Server, kinds};
use crate::support::{Micros, answer, ask, one_limit};

/// Enough for a busy machine.
const PATIENT: Duration = Duration::from_secs(10);

/// A server that refuses `TIME` in scripts, as some that are rented do.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_never_asked_for_its_clock() {
    for kind in kinds() {
        let server = Server::start(kind);
        let all = include_str!("../../docs/promises.md");
        let rights = all.lines().find(|line| line.starts_with("ACL SETUSER")).expect("a line");
        let rights: Vec<_> = rights.split_whitespace().filter(|right| *right != "+time").collect();
        assert_eq!(server.command(&rights), "+OK\r\n");
        let builder = || {
            let builder = Redis::builder(&server.url()).user("limiter", "password");
            builder.deadline(PATIENT).connect_deadline(PATIENT)
        };
        let of_the_server = builder().connect().await;
        assert!(matches!(of_the_server, Err(ConnectError::Refused(_))), "{kind}");
        server.command(&["CONFIG", "RESETSTAT"]);
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let store = builder().callers_clock(now).connect().await;
        let store = store.unwrap_or_else(|error| panic!("{kind}: {error}"));
        for rule in [Rule::TokenBucket, Rule::SlidingWindow] {
            let buckets = store.open(&[one_limit(rule, Quota::per_hour(9))]).unwrap();
            let taken = answer(&buckets, ask(Verb::Take, "alice", 4)).await.unwrap();
            assert_eq!(taken.levels[0].used, 4, "{kind} {rule:?}");
        }
        // No script was called but for asks.
        let stats = server.command(&["INFO", "commandstats"]);
        let calls = stats.lines().find(|line| line.starts_with("cmdstat_evalsha:"));
        assert!(calls.is_some_and(|line| line.contains("calls=2,")), "{kind}: {calls:?}");
    }
}

/// Two processes, of which one is ahead.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ahead_gives_the_refill_of_the_difference_once() {
    const AHEAD: u64 = 2_000_000;
    for kind in kinds() {
        let server = Server::start(kind);
        let quota = Quota::per_second(10).burst(100);
        let (clocks, mut stores) = ([Micros::default(), Micros::default()], Vec::new());
        for clock in &clocks {
            let builder = Redis::builder(&server.url()).callers_clock(clock.clock());
            let store = builder.deadline(PATIENT).connect_deadline(PATIENT).connect().await;
            stores.push(store.unwrap().open(&[one_limit(Rule::TokenBucket, quota)]).unwrap());
        }
        let set = |at: u64| {
            clocks[0].set(at);
            clocks[1].set(at + AHEAD);
        };
        let (start, mut granted) = (1_700_000_000_000_000, 0);
        for step in 0..300_u64 {
            // Thirty seconds, in which both take all there is.
            set(start + step * 100_000);
            for buckets in &stores {
                let taken = answer(buckets, ask(Verb::TakeUpTo, "alice", 1_000)).await.unwrap();
                granted += taken.count;
            }
            let refilled = (step * 100_000 + AHEAD) / 100_000;
            assert_eq!(granted, 100 + refilled, "{kind} after {step}");
        }
        // When the process that is ahead has gone, the other waits until its clock catches up.
        let refused = answer(&stores[0], ask(Verb::Take, "alice", 1)).await.unwrap();
        assert_eq!(refused.outcome, Outcome::Refused, "{kind}");
        set(start + 299 * 100_000 + AHEAD);
        let refused = answer(&stores[0], ask(Verb::Take, "alice", 1)).await.unwrap();
        assert_eq!(refused.outcome, Outcome::Refused, "{kind}: no time has passed");
        set(start + 300 * 100_000 + AHEAD);
        let taken = answer(&stores[0], ask(Verb::Take, "alice", 1)).await.unwrap();
        assert!(matches!(taken.outcome, Outcome::Done { .. }), "{kind}: {taken:?}");
        // The key outlives its limits by a minute.
        let key = server.command(&["KEYS", "*"]);
        let live = server.number(&["PTTL", key.lines().nth(2).expect("one key")]);
        let full = i64::try_from(taken.levels[0].full_after.as_millis()).unwrap();
        assert!((full + 50_000..=full + 60_001).contains(&live), "{kind}: {live} and {full}");
    }
}
