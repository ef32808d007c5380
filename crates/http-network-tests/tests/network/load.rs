//! Many requests at the same time: exactly so many pass as there are permits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::routing::get;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tollgate_http::{HttpLimiter, Policy, RateLimitLayer};
use tollgate_http_network_tests::{
    Program, Server, count_statuses, left, limiter, needs, output, say,
};

const CONNECTIONS_OF_WRK: u64 = 8;

/// What wrk counts: answers in 2xx, and all other answers.
fn wrk(url: &str) -> (u64, u64) {
    let connections = CONNECTIONS_OF_WRK.to_string();
    let args = ["-c", &connections, "-t", "2", "-d", "2s", "--timeout", "60s", url];
    let text = output("wrk", &args);
    let number = |line: Option<&str>| -> u64 {
        let digits = line.map(|line| line.chars().filter(char::is_ascii_digit).collect::<String>());
        digits.map_or(0, |digits| digits.parse().expect("a number"))
    };
    // `  106862 requests in 2.00s, 13.5MB read` and `  Non-2xx or 3xx responses: 96862`
    let all = text.lines().find_map(|line| line.split_once(" requests in")).map(|(n, _)| n);
    let others =
        text.lines().find_map(|line| line.trim().strip_prefix("Non-2xx or 3xx responses:"));
    assert!(!text.contains("Socket errors"), "{text}");
    let (all, others) = (number(all), number(others));
    (all - others, others)
}

/// What wrk has counted in one or more runs.
#[derive(Clone, Copy, Debug)]
struct Counted {
    passed: u64,
    /// How many answers wrk may not have counted: those that it did not wait for when a run ended.
    uncounted: u64,
}

/// Asks until permits are refused; on a slow machine that may take several runs.
fn wrk_until_refused(url: &str) -> Counted {
    let mut counted = Counted { passed: 0, uncounted: 0 };
    for _ in 0..30 {
        let (passed, refused) = wrk(url);
        counted.passed += passed;
        if refused > 1000 {
            // The answers that it did not wait for were refusals.
            return counted;
        }
        counted.uncounted += CONNECTIONS_OF_WRK;
    }
    panic!("wrk is too slow to use the quota");
}

impl Counted {
    fn assert_is(self, expected: u64) {
        let all = self.passed..=self.passed + self.uncounted;
        assert!(all.contains(&expected), "{self:?} instead of {expected}");
    }
}

#[test]
fn exactly_the_permits_pass() {
    if !needs("load::exactly_the_permits_pass", &["wrk"]) {
        return;
    }
    // No permit comes back while the test runs.
    let limit = limiter("always = [\"calls\"]\n[limits.calls]\nquota = \"1/day burst 10000\"");
    let router = Router::new().route("/", get(|| async { "served" }));
    // The handler's own count, below the layer, and that of the answers, above it.
    let (router, handled) = count_statuses(router);
    let (router, answered) = count_statuses(router.layer(RateLimitLayer::new(limit)));
    let server = Server::start(router);
    wrk_until_refused(&server.url("/")).assert_is(10_000);
    server.stop();
    assert_eq!(answered.of(200), 10_000);
    assert_eq!(answered.statuses().len(), 2, "the others are refusals");
    assert!(answered.of(429) > 1000);
    assert_eq!(handled.statuses(), [(200, 10_000)]);
}

/// A request takes a permit of each of its limits, or none: refusals leave the wide limit alone.
#[test]
fn of_two_limits_all_or_nothing() {
    if !needs("load::of_two_limits_all_or_nothing", &["wrk"]) {
        return;
    }
    let limit = limiter(
        r#"
        [limits.wide]
        quota = "1/day burst 9000"
        [limits.tight]
        quota = "1/day burst 4000"
        [[routes]]
        name = "both"
        path = "/both"
        limits = ["wide", "tight"]
        [[routes]]
        name = "one"
        path = "/one"
        limits = ["wide"]
        "#,
    );
    let router = Router::new().fallback(get(|| async { "served" }));
    let (router, calls) = count_statuses(router.layer(RateLimitLayer::new(limit.clone())));
    let server = Server::start(router);
    wrk_until_refused(&server.url("/both")).assert_is(4_000);
    assert_eq!(left(&limit, "/both"), [5_000, 0]);
    wrk_until_refused(&server.url("/one")).assert_is(5_000);
    assert_eq!(left(&limit, "/both"), [0, 0]);
    server.stop();
    assert_eq!(calls.of(200), 9_000);
    assert_eq!(calls.statuses().len(), 2, "the others are refusals");
}

/// While a policy is replaced again and again, the levels of its limits stay.
#[test]
fn exactly_the_permits_pass_during_reloads() {
    if !needs("load::exactly_the_permits_pass_during_reloads", &["wrk"]) {
        return;
    }
    let text = "version = 1\nalways = [\"calls\"]\n[limits.calls]\nquota = \"1/day burst 10000\"";
    let policy = Policy::from_toml(text).expect("a policy");
    let limit = HttpLimiter::new(&policy).expect("a limiter");
    let router = Router::new().route("/", get(|| async { "served" }));
    let (router, calls) = count_statuses(router.layer(RateLimitLayer::new(limit.clone())));
    let server = Server::start(router);
    let done = AtomicBool::new(false);
    let reloads = std::thread::scope(|scope| {
        let reloading = scope.spawn(|| {
            let mut reloads = 0_u64;
            while !done.load(Ordering::Relaxed) {
                limit.reload(&policy).expect("a reload");
                reloads += 1;
                // Leaves time for requests.
                std::thread::yield_now();
            }
            reloads
        });
        wrk_until_refused(&server.url("/")).assert_is(10_000);
        done.store(true, Ordering::Relaxed);
        reloading.join().expect("no panic")
    });
    server.stop();
    assert!(reloads > 10, "{reloads}");
    assert_eq!(calls.of(200), 10_000);
    assert_eq!(calls.statuses().len(), 2, "the others are refusals");
}

const CONNECTIONS: usize = 10_000;
const PERMITS: usize = 6_000;

/// Raises the limit of open files as far as it goes, for this process and its children.
fn can_open(files: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < files) {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).expect("anybody may raise it to its maximum");
    }
    limit.maximum.is_none_or(|maximum| maximum >= files)
}

/// All connections are open at the same time, and then each sends its request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections() {
    let test = "load::ten_thousand_connections";
    // Other tests run beside it.
    if !can_open(CONNECTIONS as u64 + 1_000) {
        assert!(std::env::var_os("CI").is_none(), "{test} needs more open files: see ulimit -Hn");
        say(&format!("SKIPPED: {test}, because the limit of open files is too low (ulimit -Hn)"));
        return;
    }
    // The server is a process of its own, because each process has its own limit of open files.
    let folder = tempfile::tempdir().expect("a folder");
    let permits = PERMITS.to_string();
    let mut server =
        Program::start(env!("CARGO_BIN_EXE_limited_server"), &[&permits], folder.path());
    let address = server.first_line();

    // Not more at once than its queue of new connections takes.
    let connecting = Arc::new(Semaphore::new(100));
    let mut connects = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (connecting, address) = (Arc::clone(&connecting), address.clone());
        connects.spawn(async move {
            let _permit = connecting.acquire().await.expect("it is never closed");
            TcpStream::connect(address).await.expect("a connection")
        });
    }
    let connections = connects.join_all().await;
    assert_eq!(connections.len(), CONNECTIONS);

    let mut requests = JoinSet::new();
    for connection in connections {
        requests.spawn(async move { get_from(connection, "/").await.0 });
    }
    let statuses = requests.join_all().await;
    let of = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((of(200), of(429)), (PERMITS, CONNECTIONS - PERMITS));

    let connection = TcpStream::connect(address).await.expect("a connection");
    assert_eq!(get_from(connection, "/served").await, (200, permits), "the handler's count");
}

/// Sends one request, and reads its answer until the server closes the connection.
async fn get_from(mut connection: TcpStream, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    (status.and_then(|status| status.parse().ok()).expect("a status"), body.to_owned())
}
