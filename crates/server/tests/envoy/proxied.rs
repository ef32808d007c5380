//! A real Envoy in front of an application, with the limits of `deploy/envoy/tollgate.toml`. Time
//! stands still in the service, so the counts are exact.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use http::{HeaderMap, Request as HttpRequest};
use tollgate_http::HttpLimiter;
use tollgate_http::policy::Policy;

use crate::proxy::{Answer, CONFIGURATION, Envoy, program};
use crate::server::{Running, builder};

const POLICY: &str = include_str!("../../../../deploy/envoy/tollgate.toml");

/// The policy is the configuration of the program, whose listener answers.
#[tokio::test]
async fn the_program_answers_with_the_configuration_for_envoy() {
    use tollgate_server::run::Server;
    use tollgate_server::settings::ConfigFile;

    use crate::client::{Client, descriptor};

    let ports = "[server]\nlisten = '127.0.0.1:0'\n[server.admin]\nlisten = '127.0.0.1:0'\n";
    let text = POLICY.replace("127.0.0.1:8082", "127.0.0.1:0");
    let text = text.replace("[server.envoy]", &format!("{ports}[server.envoy]"));
    let config = ConfigFile::parse("tollgate.toml".as_ref(), text.as_bytes()).expect("settings");
    let server = Server::start(&config, None).await.expect("the service starts");
    let address = server.envoy().expect("a listener for Envoy").to_string();
    let mut client = Client::at(&address).await;
    let response = client.edge(vec![descriptor(&[("path", "/internal/x")])]).await;
    assert_eq!(response.overall_code, 2);
    let response = client.edge(vec![descriptor(&[("remote_address", "192.0.2.1")])]).await;
    assert_eq!((response.overall_code, response.statuses[0].limit_remaining), (1, 9));
    drop(client);
    server.stop().await;
}

/// An Envoy, the service that it asks, and the application behind it.
struct Scene {
    envoy: Envoy,
    service: Option<Running>,
    limiter: HttpLimiter,
    _application: Running,
}

impl Scene {
    /// `None` if there is no Envoy on this machine.
    async fn start() -> Option<Self> {
        Self::with(CONFIGURATION).await
    }

    async fn with(configuration: &str) -> Option<Self> {
        let program = program()?;
        let policy: Policy = POLICY.parse().expect("a policy");
        assert_eq!(policy.warnings(), []);
        let limiter = builder(&policy).build().expect("memory");
        let service = Running::of(limiter.clone()).await;
        let application = Running::start(axum::Router::new().fallback(answer)).await;
        let envoy =
            Envoy::start(&program, configuration, application.address, service.address).await;
        Some(Self { envoy, service: Some(service), limiter, _application: application })
    }

    async fn get(&self, last: u8, path: &str) -> Answer {
        self.envoy.get_from(last, path).await
    }

    /// The statuses of so many requests, one after the other.
    async fn statuses(&self, count: usize, last: u8, path: &str) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..count {
            statuses.push(self.get(last, path).await.status.as_u16());
        }
        statuses
    }
}

/// The application tells a number of tokens if the request says one.
async fn answer(request: Request) -> Response {
    let mut headers = HeaderMap::new();
    if let Some(tokens) = request.headers().get("x-use") {
        headers.insert("x-tokens", tokens.clone());
    }
    (headers, "hello").into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_address_passes_exactly_as_often_as_its_limit_says() {
    const LIMIT: &str = "10, 10;w=60;name=\"per_client\"";
    let Some(scene) = Scene::start().await else { return };
    let first = join_all((0..25).map(|_| scene.get(1, "/")));
    let second = join_all((0..25).map(|_| scene.get(2, "/")));
    let (first, second) = tokio::join!(first, second);
    for answers in [first, second] {
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        let count = |status: u16| statuses.iter().filter(|found| **found == status).count();
        assert_eq!((count(200), count(429)), (10, 15), "{statuses:?}");
        for refused in answers.iter().filter(|answer| answer.status == 429) {
            assert_eq!(refused.field("x-envoy-ratelimited"), Some("true"));
            assert_eq!(refused.field("retry-after"), Some("6"), "one of ten in a minute");
            assert_eq!(refused.field("x-ratelimit-limit"), Some(LIMIT));
            assert_eq!(refused.field("x-ratelimit-remaining"), Some("0"));
            assert_eq!(refused.field("x-ratelimit-reset"), Some("6"));
        }
    }
    let third = scene.get(4, "/").await;
    assert_eq!(third.status, 200);
    assert_eq!(third.field("retry-after"), None);
    assert_eq!(third.field("x-envoy-ratelimited"), None);
    assert_eq!(third.field("x-ratelimit-remaining"), Some("9"));
    assert_eq!(third.field("x-ratelimit-reset"), Some("6"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_takes_from_both_of_its_descriptors_or_from_none() {
    let Some(scene) = Scene::start().await else { return };
    assert_eq!(scene.statuses(4, 1, "/login").await, [200, 200, 200, 429]);
    // Five for all together: the refused one has taken nothing.
    assert_eq!(scene.statuses(3, 2, "/login").await, [200, 200, 429]);
    let refused = scene.get(4, "/login").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.field("retry-after"), Some("12"), "one of five in a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_of_envoy_says_how_many_permits_a_request_takes() {
    let Some(scene) = Scene::start().await else { return };
    assert_eq!(scene.statuses(3, 1, "/uploads/1").await, [200, 200, 429]);
    assert_eq!(scene.statuses(1, 1, "/").await, [429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_and_subjects_of_the_policy_decide() {
    let Some(scene) = Scene::start().await else { return };
    let post = || HttpRequest::post(scene.envoy.url("/v1/reports?x=1"));
    assert_eq!(scene.envoy.send(1, post()).await.status, 200);
    assert_eq!(scene.statuses(3, 1, "/v1/items").await, [200, 200, 429]);
    assert_eq!(scene.statuses(1, 2, "/v1/items").await, [200]);
    assert_eq!(scene.statuses(1, 3, "/v1/items").await, [429], "a blocked address");
    assert_eq!(scene.statuses(1, 4, "/internal/pages").await, [429], "a blocked descriptor");
    let worst = scene.limiter.most_limited("calls", 9);
    assert_eq!(
        worst.iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>(),
        ["address 127.0.0.1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_once_the_response_has_ended() {
    let Some(scene) = Scene::start().await else { return };
    let chat = async |user: &str, tokens: &str| {
        let request = HttpRequest::get(scene.envoy.url("/chat"));
        let request = request.header("x-user", user).header("x-use", tokens);
        scene.envoy.send(1, request).await.status.as_u16()
    };
    assert_eq!(chat("alice", "900").await, 200);
    let left = async |user: &str, tokens: u64| {
        use tollgate_http::engine::Descriptor;
        let entries = [("user", user)];
        // Envoy asks after it has sent the response, so this may take a moment.
        let is_told = async {
            loop {
                let descriptors = [Descriptor::new(&entries).hits(0)];
                let decided = scene.limiter.decide_descriptors("edge", &descriptors).await;
                let limit = decided.descriptors()[0].decision().limits().next();
                if limit.is_some_and(|limit| limit.remaining() == tokens) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let told = tokio::time::timeout(std::time::Duration::from_secs(60), is_told).await;
        told.expect("Envoy has told the tokens");
    };
    left("alice", 100).await;
    // A permit is left, so this passes; what it has used is owed.
    assert_eq!(chat("alice", "5000").await, 200);
    left("alice", 0).await;
    assert_eq!(chat("alice", "1").await, 429);
    assert_eq!(chat("bob", "1").await, 200);
    let answer =
        scene.envoy.send(1, HttpRequest::get(scene.envoy.url("/chat")).header("x-user", "alice"));
    let wait: u64 = answer.await.field("retry-after").expect("a wait").parse().expect("a number");
    // 4900 of 1000 an hour, and one more.
    assert!((17_640..=17_650).contains(&wait), "{wait}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_service_requests_go_on() {
    let Some(mut scene) = Scene::start().await else { return };
    assert_eq!(scene.get(1, "/").await.field("x-ratelimit-remaining"), Some("9"));
    scene.service.take().expect("a service").stop().await;
    let statuses = scene.statuses(12, 1, "/").await;
    assert_eq!(statuses, [200; 12]);
    assert_eq!(scene.get(1, "/").await.field("x-ratelimit-remaining"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_service_requests_are_refused_if_envoy_is_told_so() {
    let closed = CONFIGURATION.replace("failure_mode_deny: false", "failure_mode_deny: true");
    assert_ne!(closed, CONFIGURATION);
    let Some(mut scene) = Scene::with(&closed).await else { return };
    assert_eq!(scene.statuses(1, 1, "/").await, [200]);
    scene.service.take().expect("a service").stop().await;
    assert_eq!(scene.statuses(2, 1, "/").await, [500, 500]);
}
