//! Signals, under load.

use std::fs;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;
use tempfile::tempdir;

use crate::support::{Service, ask, ask_on};

const FILE: &str = "
version = 1
always = ['calls']
[limits.calls]
quota = '1000000/s'
[server]
listen = '127.0.0.1:0'
[server.admin]
listen = '127.0.0.1:0'
";

const CHECK: &str = r#"{"method":"GET","path":"/"}"#;

/// While clients ask all the time, each on connections of its own, `during` is run. Whoever was
/// connected before the service was asked to end gets a whole answer. Returns how many there were.
fn under_load(service: &Service, during: impl FnOnce(&AtomicBool)) -> usize {
    let (answered, ends) = (AtomicUsize::new(0), AtomicBool::new(false));
    let checks = service.checks;
    let ask_all_the_time = || {
        while let Ok(stream) = TcpStream::connect(checks) {
            let is_late = ends.load(Ordering::SeqCst);
            match ask_on(stream, "POST /v1/check HTTP/1.1", CHECK) {
                Ok(answer) if !answer.is_empty() => {
                    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
                    assert!(answer.ends_with('}'), "{answer}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                // The operating system has connected it, but the service has not accepted it.
                broken => assert!(is_late, "a connection broke: {broken:?}"),
            }
            if is_late {
                return;
            }
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(ask_all_the_time)).collect();
        while answered.load(Ordering::Relaxed) < 100 {
            thread::yield_now();
        }
        during(&ends);
        ends.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().expect("every answer is whole");
        }
    });
    answered.into_inner()
}

#[test]
fn sigterm_lets_what_is_in_flight_end() {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("tollgate.toml"), FILE).expect("the file is written");
    let service = Service::start(folder.path());
    under_load(&service, |ends| {
        ends.store(true, Ordering::SeqCst);
        service.signal(Signal::TERM);
        service.event("ended");
    });
    let (succeeded, log) = service.end();
    assert!(succeeded, "{log}");
}

#[test]
fn sighup_reads_the_file_again_and_loses_nothing() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("tollgate.toml");
    fs::write(&path, FILE).expect("the file is written");
    let service = Service::start(folder.path());
    under_load(&service, |_| {
        for quota in ["2000000/s", "3000000/s"] {
            fs::write(&path, FILE.replace("1000000/s", quota)).expect("the file is written");
            service.signal(Signal::HUP);
            let replaced = service.event("the policy was replaced");
            let changes = replaced["changes"].as_str().unwrap_or_default();
            assert!(changes.contains(quota), "{changes}");
        }
        fs::write(&path, "version = 2").expect("the file is written");
        service.signal(Signal::HUP);
        let refused = service.event("the policy was not replaced, the old one stays in force");
        assert!(refused["error"].as_str().is_some_and(|error| error.contains(":1:11: ")));
    });
    // What the interface has put in force lasts until the file is asked for.
    fs::write(&path, FILE).expect("the file is written");
    service.event("the policy was replaced");
    let head = "POST /rate_limit/config HTTP/1.1\r\ncontent-type: application/toml";
    let posted = ask(service.admin, head, "version = 1").expect("an answer");
    assert!(posted.starts_with("HTTP/1.1 200 OK"), "{posted}");
    service.event("the policy was replaced");
    service.signal(Signal::HUP);
    service.event("the policy was replaced");
    let shown = ask(service.admin, "GET /rate_limit/config HTTP/1.1", "").expect("an answer");
    assert!(shown.contains("1000000/s"), "{shown}");
    let metrics = ask(service.admin, "GET /metrics HTTP/1.1", "").expect("an answer");
    assert!(metrics.contains("tollgate_policy_reloads_total{result=\"success\"} 5"), "{metrics}");
}
