//! What holds for every proxy.

use std::time::Instant;

use tollgate_test_programs::{Answer, Signal, until};

use crate::scene::{Patience, Proxy, Scene, WhenDown};

/// The tests of this file for one kind of proxy, and `while_down` for one that can let requests go
/// on while tollgate does not answer.
#[macro_export]
macro_rules! suite {
    ($proxy:ty) => {
        mod suite {
            $crate::suite!(
                $proxy,
                counts_each_client_to_the_permit,
                counts_to_the_permit_if_all_ask_at_once,
                no_header_of_a_client_changes_what_is_counted,
                method_host_and_path_choose_the_route,
                bodies_reach_the_backend,
                other_refusals_have_their_status,
                a_status_is_charged_whatever_the_policy_says,
                the_service_is_killed,
                the_service_is_stopped,
            );
        }
    };
    ($proxy:ty, while_down) => {
        mod while_down {
            $crate::suite!(
                $proxy,
                the_service_is_killed_and_requests_go_on,
                the_service_is_stopped_and_requests_go_on,
            );
        }
    };
    ($proxy:ty, $($test:ident),+ $(,)?) => {
        $(#[test]
        fn $test() {
            $crate::suite::$test::<$proxy>(stringify!($test));
        })+
    };
}

/// Five requests an hour for each address: the next permit comes after 720 seconds.
const FIVE: &str = "[limits.calls]\nquota = \"5/h\"\nkey = \"address\"\n";

/// Headers by which a client may try to be counted as somebody else, or for something else; each
/// item is what one request sends.
const FORGED: &[&[&str]] = &[
    &[],
    &["X-Forwarded-For: 127.0.0.9"],
    &["X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 203.0.113.9, 127.0.0.1"],
    &["X-Forwarded-Uri: /free", "X-Forwarded-Method: OPTIONS", "X-Forwarded-Host: free.example"],
    &["X-Forwarded-Uri: /free", "X-Forwarded-Uri: /free", "X-Original-URI: /free"],
    &["X-User: boss", "X-Api-Key: boss"],
    &["x-user: boss", "X_User: boss", "Remote-User: boss"],
    &["Forwarded: for=127.0.0.9;host=free.example", "X-Real-IP: 127.0.0.9"],
    &["Connection: X-Forwarded-For, X-Forwarded-Uri, X-Forwarded-Method", "X-Forwarded-For: a"],
    &["Content-Type: application/grpc", "TE: trailers"],
    // What a browser says of a page elsewhere: a proxy passes some of it on.
    &["Origin: https://elsewhere.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"],
];

fn headers<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    lines.iter().flat_map(|line| ["--header", line]).collect()
}

/// What a field of tollgate's answer to an allowed request says: the client sees it, or else the
/// backend has got it as a header.
fn told<'a, P: Proxy>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    if P::TELLS_WHAT_IS_LEFT {
        return answer.field(name);
    }
    assert_eq!(answer.field(name), None);
    let mut lines = answer.body.split("\n\n").next().unwrap_or_default().lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The value of `r` in the field `RateLimit` that names one limit.
fn left<P: Proxy>(answer: &Answer) -> Option<u64> {
    let mut parts = told::<P>(answer, "ratelimit")?.split(';');
    parts.find_map(|part| part.strip_prefix("r=")?.parse().ok())
}

pub(crate) fn counts_each_client_to_the_permit<P: Proxy>(test: &str) {
    let begin = Instant::now();
    let scene = Scene::start::<P>(test, FIVE, WhenDown::Closed, Patience::Long);
    let Some(scene) = scene else { return };
    let mut forged = FORGED.iter().cycle();
    for client in ["127.0.0.2", "127.0.0.3"] {
        for rest in (0..5).rev() {
            let sent = forged.next().expect("a cycle has no end");
            let answer = scene.ask(client, "/x", &headers(sent));
            assert_eq!(
                (answer.status, left::<P>(&answer)),
                (200, Some(rest)),
                "{sent:?} {answer:?}"
            );
            assert_eq!(told::<P>(&answer, "ratelimit-policy"), Some("\"calls\";q=5;w=3600"));
            assert_eq!(told::<P>(&answer, "x-ratelimit-limit"), Some("5"));
            assert_eq!(told::<P>(&answer, "x-ratelimit-remaining"), Some(&*rest.to_string()));
            assert!(answer.body.starts_with("GET /x\n"), "{answer:?}");
        }
    }
    let refused = || {
        let answer = scene.ask("127.0.0.2", "/x", &[]);
        let retry_after: u64 = answer.field("retry-after")?.parse().ok()?;
        let soonest = 720 - begin.elapsed().as_secs() - 1;
        assert!((soonest..=720).contains(&retry_after), "{answer:?}");
        assert_eq!(answer.field("ratelimit"), Some(&*format!("\"calls\";r=0;t={retry_after}")));
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        assert_eq!(answer.field("content-type"), Some("application/problem+json"));
        assert!(answer.body.contains("#quota-exceeded\""), "{answer:?}");
        assert!(answer.body.contains("\"status\":429"), "{answer:?}");
        Some(answer.status)
    };
    assert_eq!(refused(), Some(429));
    for sent in FORGED {
        assert_eq!(scene.ask("127.0.0.3", "/x", &headers(sent)).status, 429, "{sent:?}");
    }
    assert_eq!(scene.backend.requests(), 10);
}

pub(crate) fn counts_to_the_permit_if_all_ask_at_once<P: Proxy>(test: &str) {
    let policy = "[limits.calls]\nquota = \"20/h\"\nkey = \"address\"\n";
    let scene = Scene::start::<P>(test, policy, WhenDown::Closed, Patience::Long);
    let Some(scene) = scene else { return };
    let ask = || (0..10).map(|_| scene.ask("127.0.0.2", "/x", &[]).status).collect::<Vec<_>>();
    let mut statuses = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..6).map(|_| scope.spawn(ask)).collect();
        clients.into_iter().flat_map(|client| client.join().expect("no panic")).collect::<Vec<_>>()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 20].as_slice(), &[429; 40]].concat());
    assert_eq!(scene.backend.requests(), 20);
}

pub(crate) fn no_header_of_a_client_changes_what_is_counted<P: Proxy>(test: &str) {
    let policy = "[limits.calls]\nquota = \"1/h\"\n\
        [[subjects]]\nuser = \"boss\"\nexempt = true\n\
        [[subjects]]\naddress = \"127.0.0.9\"\nexempt = true\n\
        [[routes]]\npath = \"/free\"\nalways = false\n\
        [[routes]]\nhost = \"free.example\"\npath = \"/{*rest}\"\nalways = false\n";
    let scene = Scene::start::<P>(test, policy, WhenDown::Closed, Patience::Long);
    let Some(scene) = scene else { return };
    assert_eq!(scene.ask("127.0.0.2", "/x", &[]).status, 200);
    for sent in FORGED {
        assert_eq!(scene.ask("127.0.0.2", "/x", &headers(sent)).status, 429, "{sent:?}");
    }
    // What is not limited here: else the refusals above would prove nothing.
    assert_eq!(scene.ask("127.0.0.9", "/x", &[]).status, 200);
    assert_eq!(scene.ask("127.0.0.2", "/free", &[]).status, 200);
    assert_eq!(scene.ask("127.0.0.2", "/x", &headers(&["Host: free.example"])).status, 200);
}

pub(crate) fn method_host_and_path_choose_the_route<P: Proxy>(test: &str) {
    let policy = "[limits.calls]\nquota = \"1000/h\"\n\
        [limits.login]\nquota = \"1000/h\"\n\
        [limits.files]\nquota = \"1000/h\"\n\
        [limits.other]\nquota = \"1000/h\"\n\
        [[routes]]\nhost = \"other.example\"\npath = \"/{*rest}\"\nlimits = [\"other\"]\n\
        [[routes]]\nmethod = \"POST\"\npath = \"/login\"\nlimits = [\"login\"]\n\
        [[routes]]\npath = \"/files/{name}\"\nlimits = [\"files\"]\n";
    let scene = Scene::start::<P>(test, policy, WhenDown::Closed, Patience::Long);
    let Some(scene) = scene else { return };
    let post = ["--request", "POST"];
    let head = ["--head"];
    let host = ["--header", "Host: Other.Example:8443"];
    let cases: [(&str, &[&str], &str); 13] = [
        ("/login", &[], "calls"),
        ("/login", &post, "calls login"),
        ("//login/", &post, "calls login"),
        ("/%6cogin", &post, "calls login"),
        ("/login?x=/files/a", &post, "calls login"),
        ("/Login", &post, "calls"),
        ("/files/a", &[], "calls files"),
        ("/files/a", &head, "calls files"),
        ("/files/a%2Fb", &[], "calls files"),
        ("/files/%C3%A9%20x?%", &[], "calls files"),
        ("/files/a/b", &[], "calls"),
        ("/?/files/a", &[], "calls"),
        ("/login", &host, "calls other"),
    ];
    for (path, args, limits) in cases {
        let answer = scene.ask("127.0.0.2", path, args);
        assert_eq!(answer.status, 200, "{path} {args:?}: {answer:?}");
        let is_head = args == head;
        if is_head && !P::TELLS_WHAT_IS_LEFT {
            // The backend tells what it has got in the body.
            continue;
        }
        let policy = told::<P>(&answer, "ratelimit-policy").unwrap_or_default();
        let names: Vec<_> = policy.split('"').skip(1).step_by(2).collect();
        assert_eq!(names.join(" "), limits, "{path} {args:?}");
        if !is_head {
            // The backend gets the same as tollgate.
            let method = if args == post { "POST" } else { "GET" };
            let is_same = answer.body.starts_with(&format!("{method} {path}\n"));
            assert!(is_same || P::CLEANS_PATHS, "{answer:?}");
        }
    }
}

pub(crate) fn bodies_reach_the_backend<P: Proxy>(test: &str) {
    let scene = Scene::start::<P>(test, FIVE, WhenDown::Closed, Patience::Long);
    let Some(scene) = scene else { return };
    let body = "0123456789".repeat(5_000);
    let put = ["--request", "PUT", "--data", &body, "--header", "Content-Type: text/plain"];
    let chunked = [&put[..], &["--header", "Transfer-Encoding: chunked"]].concat();
    for args in [&put[..], &chunked] {
        let answer = scene.ask("127.0.0.2", "/x", args);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.starts_with("PUT /x\n"), "{answer:?}");
        assert!(answer.body.ends_with(&format!("\n\n{body}")), "the body has changed");
    }
}

pub(crate) fn other_refusals_have_their_status<P: Proxy>(test: &str) {
    let policy = "[limits.calls]\nquota = \"1000/h\"\n\
        [limits.busy]\nquota = \"1/h\"\nstatus = 503\n\
        [[subjects]]\naddress = \"127.0.0.8\"\nblocked = true\n\
        [[routes]]\npath = \"/busy\"\nlimits = [\"busy\"]\n\
        [[routes]]\npath = \"/a/{x}\"\n";
    let scene = Scene::start::<P>(test, policy, WhenDown::Closed, Patience::Long);
    let Some(scene) = scene else { return };
    let blocked = scene.ask("127.0.0.8", "/x", &[]);
    assert_eq!((blocked.status, blocked.field("retry-after")), (403, None));
    // It is `/busy` for tollgate and the backend alike if the proxy says so.
    let ambiguous = scene.ask("127.0.0.2", "/a/../busy", &[]).status;
    assert_eq!(ambiguous, if P::CLEANS_PATHS { 200 } else { 400 });
    if !P::CLEANS_PATHS {
        assert_eq!(scene.ask("127.0.0.2", "/busy", &[]).status, 200);
    }
    let busy = scene.ask("127.0.0.2", "/busy", &[]);
    assert_eq!(busy.status, 503, "{busy:?}");
    assert!(busy.field("retry-after").is_some(), "{busy:?}");
    assert!(busy.body.contains("#temporary-reduced-capacity\""), "{busy:?}");
    assert_eq!(busy.field("x-ratelimit-status"), None);
    assert_eq!(scene.backend.requests(), 1);
}

/// No proxy tells tollgate the status of the backend's answer.
pub(crate) fn a_status_is_charged_whatever_the_policy_says<P: Proxy>(test: &str) {
    let policy = "[limits.calls]\nquota = \"1000/h\"\n\
        [limits.login]\nquota = \"2/h\"\n\
        [[routes]]\npath = \"/login\"\nlimits = [\"login\"]\ncharge = [401]\n";
    let scene = Scene::start::<P>(test, policy, WhenDown::Closed, Patience::Long);
    let Some(scene) = scene else { return };
    let statuses: Vec<_> = (0..3).map(|_| scene.ask("127.0.0.2", "/login", &[]).status).collect();
    assert_eq!(statuses, [200, 200, 429]);
}

/// What a client is told while tollgate does not answer.
fn is_unavailable<P: Proxy>(answer: &Answer) {
    assert_eq!(answer.status, P::STATUS_WHEN_DOWN, "{answer:?}");
    let retry_after = (P::STATUS_WHEN_DOWN == 503).then_some("1");
    assert_eq!(answer.field("retry-after"), retry_after, "{answer:?}");
}

/// The body reaches the backend, without a limit.
fn goes_on(answer: &Answer) {
    assert_eq!((answer.status, answer.field("ratelimit")), (200, None), "{answer:?}");
    assert!(answer.body.starts_with("POST /x?y\n"), "{answer:?}");
    assert!(answer.body.ends_with("\n\nabc"), "{answer:?}");
}

const POST: &[&str] = &["--data", "abc"];

pub(crate) fn the_service_is_killed<P: Proxy>(test: &str) {
    killed::<P>(test, WhenDown::Closed, is_unavailable::<P>);
}

pub(crate) fn the_service_is_killed_and_requests_go_on<P: Proxy>(test: &str) {
    killed::<P>(test, WhenDown::Open, goes_on);
}

fn killed<P: Proxy>(test: &str, when_down: WhenDown, check: impl Fn(&Answer)) {
    let scene = Scene::start::<P>(test, FIVE, when_down, Patience::Long);
    let Some(mut scene) = scene else { return };
    assert_eq!(left::<P>(&scene.ask("127.0.0.2", "/x?y", POST)), Some(4));
    scene.service.program.kill();
    for _ in 0..8 {
        check(&scene.ask("127.0.0.2", "/x?y", POST));
    }
    let gone_on = if when_down == WhenDown::Open { 8 } else { 0 };
    assert_eq!(scene.backend.requests(), 1 + gone_on);
    scene.service = scene.service.restart();
    for rest in (0..5).rev() {
        assert_eq!(left::<P>(&scene.ask("127.0.0.2", "/x?y", POST)), Some(rest));
    }
    assert_eq!(scene.ask("127.0.0.2", "/x?y", POST).status, 429);
}

pub(crate) fn the_service_is_stopped<P: Proxy>(test: &str) {
    stopped::<P>(test, WhenDown::Closed, is_unavailable::<P>);
}

pub(crate) fn the_service_is_stopped_and_requests_go_on<P: Proxy>(test: &str) {
    stopped::<P>(test, WhenDown::Open, goes_on);
}

/// The service accepts connections, and never answers. That the client is answered in spite of it
/// shows the deadline of the proxy.
fn stopped<P: Proxy>(test: &str, when_down: WhenDown, check: impl Fn(&Answer)) {
    let policy = "[limits.calls]\nquota = \"1000/h\"\n";
    let scene = Scene::start::<P>(test, policy, when_down, Patience::AsDeployed);
    let Some(scene) = scene else { return };
    let is_limited = || left::<P>(&scene.ask("127.0.0.2", "/x?y", POST)).is_some();
    until(is_limited);
    scene.service.program.stop();
    check(&scene.ask("127.0.0.2", "/x?y", POST));
    scene.service.program.signal(Signal::CONT);
    until(is_limited);
}
