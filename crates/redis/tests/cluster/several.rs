//! Asks over several subjects, whose servers a client asks one after the other.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{
    Ask, Charge, LimitSpec, Namespace, Outcome, Part, Rule, Store, Verb, Verdict,
};
use tollgate::shared::{Client, Source};

use crate::patient;
use crate::support::cluster::Cluster;
use crate::support::eventually;
use crate::support::server::kinds;

fn part(namespace: usize, subject: &str) -> Part {
    Part::new(namespace, subject, [Charge::new(1)])
}

async fn used(client: &Client, namespace: usize, subject: &str) -> u64 {
    let look = client.ask(Ask::new(Verb::Look, 0, part(namespace, subject))).await;
    look.expect("the server answers").answer.levels[0].used
}

#[tokio::test(flavor = "multi_thread")]
async fn several_subjects_are_charged_all_or_none() {
    for kind in kinds() {
        let cluster = Cluster::start(kind);
        let store = patient(&cluster).connect().await.unwrap();
        let namespace = |name: &str, most| {
            let limit = LimitSpec::new("requests", Rule::FixedWindow, Quota::per_hour(most));
            Namespace::new(name, vec![limit])
        };
        let namespaces = [namespace("addresses", 100), namespace("users", 30)];
        let buckets = store.open(&namespaces).unwrap();
        let server = |namespace, subject: &str| {
            buckets.server_of(&Ask::new(Verb::Take, 1, part(namespace, subject)))
        };
        let elsewhere = |user: &String| server(1, user) != server(0, "10.0.0.1");
        let users: Vec<_> =
            (0..1_000).map(|at| format!("user {at}")).filter(elsewhere).take(4).collect();
        let client = Client::builder(store).deadline(Duration::from_secs(10));
        // Each request is to be decided by the servers.
        let client = client.trust_refusals_for(Duration::ZERO).open(&namespaces).unwrap();
        let request = |user: &str, count| {
            client.ask(Ask::over(Verb::Take, count, [part(0, "10.0.0.1"), part(1, user)]))
        };

        let decision = request(&users[0], 30).await.unwrap();
        assert_eq!(decision.source, Source::Shared, "{kind}");
        let remaining: Vec<_> =
            decision.answer.levels.iter().map(|level| level.remaining).collect();
        assert_eq!(remaining, [70, 0], "{kind}");
        let refused = request(&users[0], 1).await.unwrap().answer;
        assert_eq!(refused.outcome, Outcome::Refused, "{kind}");
        let told: Vec<_> =
            refused.levels.iter().map(|level| (level.verdict, level.remaining)).collect();
        assert_eq!(told, [(Verdict::Granted, 70), (Verdict::Refused, 0)], "{kind}");
        eventually(|| async { used(&client, 0, "10.0.0.1").await == 30 }).await;

        // Many at once, of which some are refused by one limit and some by the other.
        let mut tasks = tokio::task::JoinSet::new();
        for at in 0..200 {
            let (client, user) = (client.clone(), users[at % users.len()].clone());
            tasks.spawn(async move {
                let parts = [part(0, "10.0.0.1"), part(1, &user)];
                let decision = client.ask(Ask::over(Verb::Take, 1, parts)).await;
                let answer = decision.expect("the servers answer").answer;
                (matches!(answer.outcome, Outcome::Done { .. }), user)
            });
        }
        let granted = tasks.join_all().await;
        let of = |user: &str| {
            granted.iter().filter(|(is_granted, of)| *is_granted && of == user).count() as u64
        };
        let all: u64 = users.iter().map(|user| of(user)).sum();
        assert!((1..=70).contains(&all), "{kind}: {all} were granted");
        assert_eq!(of(&users[0]), 0, "{kind}");
        // In the end, only what was granted is in use.
        eventually(|| async { used(&client, 0, "10.0.0.1").await == 30 + all }).await;
        for user in &users[1..] {
            assert!(of(user) <= 30, "{kind}: {user}");
            eventually(|| async { used(&client, 1, user).await == of(user) }).await;
        }
        eprintln!("{kind}: {all} of 70 were granted to 200 requests at the same time");
    }
}
