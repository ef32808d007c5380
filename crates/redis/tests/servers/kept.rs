//! What is kept on the server, and for how long.

use std::collections::HashSet;
use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{
    Ask, Charge, LimitSpec, Namespace, Outcome, Part, Rule, Store, Verb,
};
use tollgate_redis::Redis;

use crate::support::random::Random;
use crate::support::server::{Server, kinds};
use crate::support::{Micros, answer, ask, eventually, one_limit, open};

/// Enough for a busy machine.
const PATIENT: std::time::Duration = std::time::Duration::from_secs(10);

const RULES: [Rule; 4] =
    [Rule::TokenBucket, Rule::FixedWindow, Rule::SlidingWindow, Rule::StrictWindow];

/// A limit of each rule.
fn limits(quota: Quota) -> Vec<LimitSpec> {
    RULES.map(|rule| LimitSpec::new(format!("{rule:?}"), rule, quota)).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_goes_by_itself() {
    for kind in kinds() {
        let server = Server::start(kind);
        let mut random = Random::new("every_key_goes_by_itself");
        let quota = Quota::per(20, Duration::from_millis(200));
        let namespaces: Vec<_> = limits(quota)
            .into_iter()
            .map(|limit| Namespace::new(limit.name.to_string(), vec![limit]))
            .chain([Namespace::new("all", limits(quota))])
            .collect();
        let buckets = open(&server, &namespaces).await;
        let mut longest = Duration::ZERO;
        for _ in 0..300 {
            let asks = (0..20).map(|_| {
                let verbs = [Verb::Take, Verb::TakeUpTo, Verb::Consume, Verb::Credit, Verb::Reset];
                let namespace = random.below(5) as usize;
                let charges = if namespace == 4 { 4 } else { 1 };
                let costs: Vec<_> = (0..charges).map(|_| Charge::new(random.below(6))).collect();
                let part = Part::new(namespace, format!("s{}", random.below(10)), costs);
                let mut ask = Ask::new(*random.pick(&verbs), random.below(3), part);
                ask.patience = Duration::from_millis(random.below(50));
                ask
            });
            for answer in buckets.ask(asks.collect()).await {
                for level in answer.expect("an answer").levels {
                    longest = longest.max(level.full_after);
                }
            }
        }
        assert_eq!(server.keys_without_expiry(), 0, "{kind}");
        assert!(server.number(&["DBSIZE"]) > 0 && longest > Duration::from_millis(200));
        // The server looks for keys that have expired ten times a second.
        tokio::time::sleep(longest + Duration::from_millis(5)).await;
        let names = server.number(&["EVAL", "return #redis.call('KEYS', '*')", "0"]);
        assert_eq!(names, 0, "{kind}: all have expired");
        eventually(|| async { server.number(&["DBSIZE"]) == 0 }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lives_until_its_limits_are_full() {
    for kind in kinds() {
        let server = Server::start(kind);
        for rule in RULES {
            let quota = Quota::per(7, Duration::from_secs(1_000));
            let buckets = open(&server, &[one_limit(rule, quota)]).await;
            let level = answer(&buckets, ask(Verb::Take, "alice", 5)).await.unwrap().levels[0];
            let key = server.command(&["KEYS", "*"]);
            let key = key.lines().nth(2).expect("one key").to_string();
            let live = server.number(&["PTTL", &key]);
            let full = i64::try_from(level.full_after.as_millis()).unwrap();
            assert!(
                (full - 5_000..=full + 3).contains(&live),
                "{kind} {rule:?}: {live} and {full}"
            );
            // A refusal and a look write nothing.
            let dump = server.command(&["DUMP", &key]);
            let refused = answer(&buckets, ask(Verb::Take, "alice", 3)).await.unwrap();
            assert_eq!(refused.outcome, Outcome::Refused, "{kind} {rule:?}");
            answer(&buckets, ask(Verb::Look, "alice", 1)).await.unwrap();
            answer(&buckets, ask(Verb::Credit, "bob", 1)).await.unwrap();
            assert_eq!(server.command(&["DUMP", &key]), dump, "{kind} {rule:?}");
            assert_eq!(server.number(&["DBSIZE"]), 1, "{kind} {rule:?}");
            server.command(&["FLUSHALL"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_takes_little_memory() {
    for kind in kinds() {
        let server = Server::start(kind);
        let store = Redis::builder(&server.url())
            .prefix("")
            .connect_deadline(PATIENT)
            .deadline(PATIENT)
            .connect()
            .await
            .unwrap();
        let limit = |name: &str, n| LimitSpec::new(name, Rule::TokenBucket, Quota::per_minute(n));
        let one = Namespace::new("u", vec![limit("requests", 500)]);
        let two = Namespace::new("v", vec![limit("requests", 500), limit("tokens", 200_000)]);
        let buckets = store.open(&[one, two]).unwrap();
        for (namespace, charges, most) in [(0, 1, 104), (1, 2, 140)] {
            let part = Part::new(namespace, "subject", vec![Charge::new(1); charges]);
            // A debt takes no more, whether it was consumed or reported.
            for (verb, count) in [(Verb::Take, 1), (Verb::Consume, 300_000), (Verb::Raise, 400_000)]
            {
                answer(&buckets, Ask::new(verb, count, part.clone())).await.unwrap();
                let reply = server.command(&["KEYS", if namespace == 0 { "u:*" } else { "v:*" }]);
                let key = reply.lines().nth(2).expect("a key");
                assert_eq!(key.len(), 18, "{key}");
                let bytes = server.number(&["MEMORY", "USAGE", key]);
                eprintln!("{kind}: {charges} limits take {bytes} bytes after {verb:?}");
                assert!(bytes <= most, "{kind}: {charges} limits take {bytes} bytes");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_back_of_the_servers_clock_brings_nothing_and_takes_nothing() {
    for kind in kinds() {
        let server = Server::start(kind);
        for rule in RULES {
            let quota = Quota::per(10, Duration::from_secs(600));
            let namespaces = [one_limit(rule, quota)];
            // Written when the clock was an hour ahead.
            let ahead = Micros::default();
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            ahead.set((now + Duration::from_secs(3_600)).as_micros() as u64);
            let store = Redis::builder(&server.url()).callers_clock(ahead.clock());
            let before = store
                .connect_deadline(PATIENT)
                .deadline(PATIENT)
                .connect()
                .await
                .unwrap()
                .open(&namespaces)
                .unwrap();
            let level = answer(&before, ask(Verb::Take, "alice", 9)).await.unwrap().levels[0];
            let buckets = open(&server, &namespaces).await;
            let look = answer(&buckets, ask(Verb::Look, "alice", 0)).await.unwrap().levels[0];
            assert_eq!((look.used, look.full_after), (9, level.full_after), "{kind} {rule:?}");
            let taken = answer(&buckets, ask(Verb::Take, "alice", 1)).await.unwrap();
            assert_eq!(taken.levels[0].used, 10, "{kind} {rule:?}");
            // From then on, time passes.
            let after = answer(&buckets, ask(Verb::Look, "alice", 0)).await.unwrap().levels[0];
            assert!(after.full_after < taken.levels[0].full_after, "{kind} {rule:?}");
            server.command(&["FLUSHALL"]);
        }
    }
}

/// As after a failover to a server whose clock is behind: what was taken before comes back as fast
/// as ever, also to a subject that is refused all the time.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_step_back_of_the_servers_clock_permits_come_back() {
    for kind in kinds() {
        let server = Server::start(kind);
        let alone = RULES.map(|rule| {
            let limit = LimitSpec::new("requests", rule, Quota::per_second(10));
            Namespace::new(format!("{rule:?}"), vec![limit])
        });
        let all =
            RULES.map(|rule| LimitSpec::new(format!("{rule:?}"), rule, Quota::per_second(10)));
        let namespaces: Vec<_> =
            alone.into_iter().chain([Namespace::new("all", all.to_vec())]).collect();
        let ahead = Micros::default();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        ahead.set((now + Duration::from_secs(3_600)).as_micros() as u64);
        let store = Redis::builder(&server.url()).callers_clock(ahead.clock());
        let store = store.connect_deadline(PATIENT).deadline(PATIENT).connect().await.unwrap();
        let before = store.open(&namespaces).unwrap();
        let buckets = open(&server, &namespaces).await;
        for (number, namespace) in namespaces.iter().enumerate() {
            let costs = vec![Charge::new(1); namespace.limits.len()];
            let part = Part::new(number, "alice", costs);
            answer(&before, Ask::new(Verb::Take, 10, part.clone())).await.unwrap();
            let refused = answer(&buckets, Ask::new(Verb::Take, 10, part.clone())).await.unwrap();
            assert_eq!(refused.outcome, Outcome::Refused, "{kind} {}", namespace.name);
            // Nothing was gained by that.
            assert!(refused.levels.iter().all(|level| level.used == 10), "{kind}: {refused:?}");
            let wait = refused.levels.iter().map(|level| level.wait).max().unwrap();
            assert!(wait <= Duration::from_secs(2), "{kind} {}: {wait:?}", namespace.name);
            tokio::time::sleep(wait).await;
            let taken = answer(&buckets, Ask::new(Verb::Take, 10, part)).await.unwrap();
            assert!(matches!(taken.outcome, Outcome::Done { .. }), "{kind}: {taken:?}");
        }
        assert_eq!(server.keys_without_expiry(), 0, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_written_by_the_store_is_an_error_of_one_ask() {
    for kind in kinds() {
        let server = Server::start(kind);
        // No key goes while the test runs.
        let namespaces: Vec<_> = limits(Quota::per_hour(20))
            .into_iter()
            .map(|limit| Namespace::new(limit.name.to_string(), vec![limit]))
            .collect();
        let buckets = open(&server, &namespaces).await;
        let ask_of = |namespace: usize, subject: &str| {
            Ask::new(Verb::Take, 1, Part::new(namespace, subject, [Charge::new(1)]))
        };
        let all: Vec<_> = (0..4).map(|namespace| ask_of(namespace, "alice")).collect();
        for answer in buckets.ask(all.clone()).await {
            assert!(matches!(answer.unwrap().outcome, Outcome::Done { .. }));
        }
        let keys = server.command(&["KEYS", "*"]);
        let keys: HashSet<_> = keys.lines().filter(|line| line.contains(':')).collect();
        assert_eq!(keys.len(), 4);
        for foreign in ["", "x", "12345678", &"\0".repeat(28), &"y".repeat(48), &"z".repeat(300)] {
            for key in &keys {
                server.command(&["SET", key, foreign]);
            }
            let asks: Vec<_> =
                all.iter().cloned().flat_map(|ask| [ask, ask_of(0, "bob")]).collect();
            let answers = buckets.ask(asks).await;
            for (number, answer) in answers.into_iter().enumerate() {
                if number % 2 == 1 {
                    assert!(answer.is_ok(), "{kind}: {answer:?}");
                } else {
                    // A text of the right length is taken for levels, whatever they are.
                    assert_eq!(
                        answer.is_err(),
                        foreign.len() != 28 || number > 0,
                        "{kind} {number} {foreign:?}: {answer:?}"
                    );
                }
            }
        }
        for key in &keys {
            server.command(&["DEL", key]);
            server.command(&["LPUSH", key, "x"]);
        }
        let mut both = all;
        both.push(ask_of(0, "carol"));
        let answers = buckets.ask(both).await;
        let errors = answers.iter().filter(|answer| {
            matches!(answer, Err(tollgate::shared::store::StoreError::Foreign(_)))
        });
        assert_eq!((errors.count(), answers[4].is_ok()), (4, true), "{kind}");
    }
}
