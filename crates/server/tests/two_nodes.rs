//! Two services over one Redis, which are real programs: what becomes of the limits if one of them
//! is killed, and if Redis is.

#[path = "support/redis.rs"]
mod redis;
#[path = "support/service.rs"]
mod service;

use redis::Redis;
use service::Service;
use tollgate_test_programs::{Answer, needs, until};

/// Two services and their Redis.
struct Scene {
    redis: Redis,
    nodes: [Service; 2],
}

impl Scene {
    /// Starts all, if the programs are here. Twenty requests a day pass for each address, and two
    /// for an address that visits `/two`, which is under no other limit.
    fn start(test: &str, on_outage: &str, deadline: &str) -> Option<Self> {
        if !needs(test, &["redis-server", "curl"]) {
            return None;
        }
        let redis = Redis::start();
        let policy = "always = [\"calls\"]\n\
            [limits.calls]\nquota = \"20/day\"\nkey = \"address\"\n\
            [limits.two]\nquota = \"2/day\"\nkey = \"address\"\n\
            [[routes]]\npath = \"/two\"\nalways = false\nlimits = [\"two\"]\n";
        let settings = redis.settings(deadline, on_outage);
        let node = || Service::start(policy, &settings).connected();
        let nodes = [node(), node()];
        Some(Self { redis, nodes })
    }

    /// Ends with a Redis that was killed, after `used` requests at each of both nodes.
    fn without_redis(test: &str, on_outage: &str, used: usize) -> Option<Self> {
        // The deadline is also how long the first request of an outage takes.
        let mut scene = Self::start(test, on_outage, "2s")?;
        for node in &scene.nodes {
            assert_eq!(statuses(node, "203.0.113.7", used), vec![200; used]);
        }
        scene.redis.program.kill();
        Some(scene)
    }

    /// Starts another Redis, and waits until both nodes use it.
    fn with_redis_again(mut self) -> Self {
        self.redis = self.redis.restart();
        for node in &self.nodes {
            until(|| {
                node.operator("/metrics").body.contains("\ntollgate_shared_outages_present 0\n")
            });
        }
        self
    }
}

fn ask(node: &Service, address: &str, path: &str) -> Answer {
    node.check(&format!(r#"{{"method": "GET", "path": "{path}", "address": "{address}"}}"#))
}

fn statuses(node: &Service, address: &str, n: usize) -> Vec<u16> {
    (0..n).map(|_| ask(node, address, "/").status).collect()
}

/// The quota of an address is shared to the permit, whichever node it asks, and all at once.
fn quota_is_shared(scene: &Scene, address: &str) {
    let mut all = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..6)
            .map(|n| scope.spawn(move || statuses(&scene.nodes[n % 2], address, 8)))
            .collect();
        clients.into_iter().flat_map(|client| client.join().expect("no panic")).collect::<Vec<_>>()
    });
    all.sort_unstable();
    assert_eq!(all, [[200; 20].as_slice(), &[429; 28]].concat());
}

#[test]
fn limits_hold_over_both() {
    let Some(scene) = Scene::start("two_nodes::limits_hold_over_both", "closed", "30s") else {
        return;
    };
    quota_is_shared(&scene, "203.0.113.7");
    // One node sees what was taken at the other.
    for (rest, node) in (0..20).rev().zip(scene.nodes.iter().cycle()) {
        let answer = ask(node, "203.0.113.8", "/");
        let remaining = rest.to_string();
        assert_eq!(answer.field("x-ratelimit-remaining"), Some(&*remaining), "{answer:?}");
    }
    for node in &scene.nodes {
        let answer = ask(node, "203.0.113.8", "/");
        assert_eq!(answer.status, 429, "{answer:?}");
        let retry_after: u64 = answer.field("retry-after").expect("a wait").parse().expect("text");
        assert!((4_200..=4_320).contains(&retry_after), "{answer:?}");
    }
}

#[test]
fn one_node_is_killed_and_the_other_goes_on() {
    let test = "two_nodes::one_node_is_killed_and_the_other_goes_on";
    let Some(mut scene) = Scene::start(test, "closed", "30s") else { return };
    assert_eq!(statuses(&scene.nodes[0], "203.0.113.7", 12), vec![200; 12]);
    scene.nodes[0].program.kill();
    let rest = statuses(&scene.nodes[1], "203.0.113.7", 10);
    assert_eq!(rest, [[200; 8].as_slice(), &[429; 2]].concat());
    // It comes back, and knows what was taken.
    let [killed, other] = scene.nodes;
    scene.nodes = [killed.restart().connected(), other];
    assert_eq!(statuses(&scene.nodes[0], "203.0.113.7", 1), [429]);
    quota_is_shared(&scene, "203.0.113.8");
}

#[test]
fn redis_is_killed_and_requests_are_refused() {
    let test = "two_nodes::redis_is_killed_and_requests_are_refused";
    let Some(scene) = Scene::without_redis(test, "closed", 2) else { return };
    for node in &scene.nodes {
        let answer = ask(node, "203.0.113.7", "/");
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.field("retry-after").is_some(), "{answer:?}");
    }
    // The nodes live, and take requests: another node would answer no better.
    for node in &scene.nodes {
        assert_eq!(node.operator("/readyz").status, 200);
    }
    quota_is_shared(&scene.with_redis_again(), "203.0.113.8");
}

#[test]
fn redis_is_killed_and_requests_pass() {
    let test = "two_nodes::redis_is_killed_and_requests_pass";
    let Some(scene) = Scene::without_redis(test, "open", 2) else { return };
    for node in &scene.nodes {
        assert_eq!(statuses(node, "203.0.113.7", 30), vec![200; 30]);
    }
    quota_is_shared(&scene.with_redis_again(), "203.0.113.8");
}

#[test]
fn redis_is_killed_and_each_node_has_its_share() {
    let test = "two_nodes::redis_is_killed_and_each_node_has_its_share";
    let Some(scene) = Scene::without_redis(test, "1/2", 0) else { return };
    for node in &scene.nodes {
        let statuses = statuses(node, "203.0.113.7", 12);
        assert_eq!(statuses, [[200; 10].as_slice(), &[429; 2]].concat());
    }
    quota_is_shared(&scene.with_redis_again(), "203.0.113.8");
}

/// Refusals of requests with one limit are remembered.
#[test]
fn redis_is_killed_and_only_who_was_refused_is_refused() {
    let test = "two_nodes::redis_is_killed_and_only_who_was_refused_is_refused";
    let Some(mut scene) = Scene::start(test, "last-known", "2s") else { return };
    let two = |node, address| (0..3).map(|_| ask(node, address, "/two").status).collect::<Vec<_>>();
    for (node, address) in scene.nodes.iter().zip(["203.0.113.7", "203.0.113.8"]) {
        assert_eq!(two(node, address), [200, 200, 429]);
    }
    scene.redis.program.kill();
    for (node, address) in scene.nodes.iter().zip(["203.0.113.7", "203.0.113.8"]) {
        assert_eq!(two(node, address), [429; 3]);
        assert_eq!(two(node, "203.0.113.9"), [200; 3]);
    }
    quota_is_shared(&scene.with_redis_again(), "203.0.113.10");
}
