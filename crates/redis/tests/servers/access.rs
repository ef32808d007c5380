//! Users, databases and sockets.

use tollgate::Quota;
use tollgate::shared::store::{
    Ask, Charge, LimitSpec, Namespace, Part, Rule, Store, StoreError, Verb,
};
use tollgate_redis::{ConnectError, Redis};

use crate::support::server::{Server, kinds};
use crate::support::verbs::VERBS;
use crate::support::{answer, ask, one_limit};

/// Enough for a busy machine.
const PATIENT: std::time::Duration = std::time::Duration::from_secs(10);

/// The rights that the documentation names.
fn documented_rights() -> Vec<String> {
    let docs = include_str!("../../docs/promises.md");
    let line = docs.lines().find(|line| line.starts_with("ACL SETUSER")).expect("a line");
    line.split_whitespace().map(str::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rights_are_enough_and_needed() {
    for kind in kinds() {
        let server = Server::start(kind);
        let rights = documented_rights();
        let words: Vec<_> = rights.iter().map(String::as_str).collect();
        assert_eq!(server.command(&words), "+OK\r\n");
        let store = Redis::builder(&server.url()).user("limiter", "password");
        let store = store.connect_deadline(PATIENT).deadline(PATIENT).connect().await.unwrap();
        let rules = [Rule::TokenBucket, Rule::FixedWindow, Rule::SlidingWindow, Rule::StrictWindow];
        let limits =
            rules.map(|rule| LimitSpec::new(format!("{rule:?}"), rule, Quota::per_hour(9)));
        let buckets = store.open(&[Namespace::new("users", limits.to_vec())]).unwrap();
        for verb in VERBS {
            let part = Part::new(0, "alice", [1; 4].map(Charge::new));
            let answer = answer(&buckets, Ask::new(verb, 1, part)).await;
            assert!(answer.is_ok(), "{kind} {verb:?}: {answer:?}");
        }
        // Other keys are not its business.
        let store = Redis::builder(&server.url()).user("limiter", "password").prefix("other:");
        let buckets = store.connect_deadline(PATIENT).deadline(PATIENT).connect().await.unwrap();
        let buckets = buckets.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(9))]).unwrap();
        let refused = answer(&buckets, ask(Verb::Take, "alice", 1)).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{kind}: {refused:?}");
        // Each of the rights is needed.
        for right in ["+evalsha", "+eval", "+script|load", "+get", "+psetex", "+time"] {
            let less: Vec<_> = words.iter().copied().filter(|word| *word != right).collect();
            server.command(&["ACL", "DELUSER", "limiter"]);
            assert_eq!(server.command(&less), "+OK\r\n");
            let store = Redis::builder(&server.url()).user("limiter", "password").connect().await;
            let Ok(store) = store else { continue };
            let quota = Quota::per_hour(9);
            let buckets = store.open(&[one_limit(Rule::TokenBucket, quota)]).unwrap();
            server.command(&["SCRIPT", "FLUSH"]);
            let refused = answer(&buckets, ask(Verb::Take, "alice", 1)).await;
            assert!(refused.is_err(), "{kind} without {right}: {refused:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_and_never_told() {
    for kind in kinds() {
        let server = Server::start_with(kind, &["--requirepass", "right-secret"]);
        let url = format!("redis://:wrong-secret@127.0.0.1:{}", server.port);
        let builder = Redis::builder(&url);
        let told = format!("{builder:?}");
        let error = builder.connect().await.expect_err("a wrong password");
        assert!(matches!(error, ConnectError::Refused(_)), "{kind}: {error:?}");
        let none = Redis::connect(&format!("redis://127.0.0.1:{}", server.port)).await;
        assert!(matches!(none, Err(ConnectError::Refused(_))), "{kind}: {none:?}");
        let right = format!("redis://:right-secret@127.0.0.1:{}", server.port);
        let store = Redis::connect(&right).await.unwrap();
        let later = Redis::builder(&url).connect_later().unwrap();
        let buckets = later.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(9))]).unwrap();
        let lost = answer(&buckets, ask(Verb::Take, "alice", 1)).await;
        let broken = Redis::builder("redis://:wrong-secret@127.0.0.1:port").connect_later();
        for text in [
            told,
            format!("{error} {error:?} {none:?} {lost:?} {broken:?}"),
            format!("{store:?} {later:?}"),
        ] {
            assert!(!text.contains("-secret"), "{kind}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_are_apart() {
    for kind in kinds() {
        let server = Server::start(kind);
        let namespaces = [one_limit(Rule::TokenBucket, Quota::per_hour(9))];
        for number in [0, 3, 3] {
            let store = Redis::builder(&server.url())
                .database(number)
                .connect_deadline(PATIENT)
                .deadline(PATIENT)
                .connect()
                .await
                .unwrap();
            let buckets = store.open(&namespaces).unwrap();
            assert!(answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok(), "{kind}");
        }
        let url = format!("{}/3", server.url());
        let buckets = Redis::connect(&url).await.unwrap().open(&namespaces).unwrap();
        let used = answer(&buckets, ask(Verb::Look, "alice", 0)).await.unwrap().levels[0].used;
        assert_eq!(used, 2, "{kind}");
        let none = Redis::builder(&server.url()).database(99).connect().await;
        assert!(none.is_err(), "{kind}: {none:?}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_will_do() {
    for kind in kinds() {
        let server = Server::start_with(kind, &["--unixsocket", "socket"]);
        let url = format!("redis+unix://{}", server.dir().join("socket").display());
        let store = Redis::connect(&url).await.unwrap();
        let buckets = store.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(9))]).unwrap();
        assert!(answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok(), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_crate_redis_will_do() {
    for kind in kinds() {
        let server = Server::start(kind);
        let client = redis::Client::open(server.url()).unwrap();
        let store = Redis::from_client(&client)
            .prefix("x:")
            .connect_deadline(PATIENT)
            .deadline(PATIENT)
            .connect()
            .await
            .unwrap();
        let buckets = store.open(&[one_limit(Rule::TokenBucket, Quota::per_hour(9))]).unwrap();
        assert!(answer(&buckets, ask(Verb::Take, "alice", 1)).await.is_ok(), "{kind}");
        assert!(server.command(&["KEYS", "*"]).contains("x:users:"), "{kind}");
    }
}
