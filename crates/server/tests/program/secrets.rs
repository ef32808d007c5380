//! No secret is told: not in logs, not in metrics, not on a page.

use std::fs;

use rustix::process::Signal;
use tempfile::tempdir;

use crate::support::{Service, ask};

const API_KEY: &str = "sk-live-7d1f1c0ffee";
const TOKEN: &str = "token-of-the-operators-1";
const WRONG: &str = "token-that-was-guessed-2";
const PASSWORD: &str = "password-of-the-store-3";

#[test]
fn a_whole_run_tells_none() {
    let folder = tempdir().expect("a folder");
    // Nothing listens on this port, so each decision is an outage, and is written about.
    let file = format!(
        "version = 1
always = ['calls']
[limits.calls]
quota = '2/day'
key = 'caller'
[penalty]
after = '1/day'
block = '1h'
[server]
listen = '127.0.0.1:0'
store = 'redis://:{PASSWORD}@127.0.0.1:1'
[server.shared]
on_outage = '1/1'
[server.callers]
api_key = 'authorization'
[server.admin]
listen = '127.0.0.1:0'
token_file = 'token'
[server.log]
level = 'trace'
"
    );
    fs::write(folder.path().join("tollgate.toml"), file).expect("the file is written");
    fs::write(folder.path().join("token"), TOKEN).expect("the file is written");
    let service = Service::start(folder.path());
    let mut told = String::new();
    let mut refused = 0;
    for _ in 0..6 {
        let body =
            format!(r#"{{"method":"GET","path":"/","address":"::1","api_key":"{API_KEY}"}}"#);
        told += &ask(service.checks, "POST /v1/check HTTP/1.1", &body).expect("an answer");
        let head = format!(
            "GET /v1/forward-auth HTTP/1.1\r\nx-forwarded-method: GET\r\nx-forwarded-uri: /\r\n\
             authorization: Bearer {API_KEY}"
        );
        let answer = ask(service.checks, &head, "").expect("an answer");
        refused += usize::from(answer.contains(" 429 "));
        told += &answer;
    }
    assert!(refused > 0, "the key is limited: {told}");
    let wrong = format!("GET /metrics HTTP/1.1\r\nauthorization: Bearer {WRONG}");
    let answer = ask(service.admin, &wrong, "").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    told += &answer;
    for page in [
        "/metrics",
        "/rate_limit/config",
        "/rate_limit/violations",
        "/rate_limit/penalties",
        "/rate_limit/status?address=::1",
        "/openapi.json",
    ] {
        let head = format!("GET {page} HTTP/1.1\r\nauthorization: Bearer {TOKEN}");
        let answer = ask(service.admin, &head, "").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{page}: {answer}");
        told += &answer;
    }
    service.signal(Signal::TERM);
    let (succeeded, log) = service.end();
    assert!(succeeded, "{log}");
    assert!(log.contains("a penalty begins"), "the log is there: {log}");
    for secret in [API_KEY, TOKEN, WRONG, PASSWORD] {
        for (place, text) in [("an answer", &told), ("the log", &log)] {
            let line = text.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{secret} is in {place}: {line:?}");
        }
    }
}
