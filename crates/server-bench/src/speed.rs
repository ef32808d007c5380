//! Requests per second, beside a constant answer and beside other services.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::contest::{self, Contestant};
use crate::load::{Client, Load, Request};
use crate::policies::{check, forward_auth, one_limit, sample};
use crate::process::{Process, ask, free_port, wait_for};

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
}

/// What the service is configured with, what it is asked, and how that is called.
type Case = (&'static str, String, Request);

fn cases() -> Vec<Case> {
    vec![
        ("check, one limit", one_limit(), check()),
        ("check, the sample with wide quotas", sample(true), check()),
        ("forward-auth, one limit", one_limit(), forward_auth()),
        ("forward-auth, the sample with wide quotas", sample(true), forward_auth()),
        ("check, the sample: refused", sample(false), check()),
    ]
}

/// The service, and beside it the same server answering what the service has answered.
pub(crate) fn beside_a_constant(client: Client, length: Length, only: Option<&str>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut contestants: Vec<Contestant> = Vec::new();
    for (name, config, request) in cases() {
        if only.is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let service = Process::service(&config);
        let answer = answer(service.address, &request);
        let constant = constant(&folder, &answer);
        let at = contestants.len();
        let load = Load::new(client, constant.address, &request);
        contestants.push(Contestant::new("a constant", constant, load, None));
        let load = Load::new(client, service.address, &request);
        contestants.push(Contestant::new(name, service, load, Some(at)));
    }
    let title = format!("The service beside a constant answer, {client:?}");
    contest::run(&title, &mut contestants, length.rounds, length.seconds);
}

/// The server that answers a constant.
fn constant(folder: &TempDir, answer: &str) -> Process {
    let file = folder.path().join("answer");
    std::fs::write(&file, answer).expect("the folder can be written");
    Process::role(&["constant", &file.display().to_string()])
}

/// What a server answers to a request.
fn answer(address: SocketAddr, request: &Request) -> String {
    let Request { method, path, fields, body, .. } = request;
    let fields = fields
        .iter()
        .fold(String::new(), |fields, (name, value)| fields + "\r\n" + name + ": " + value);
    let body = std::str::from_utf8(body).expect("the body is text");
    // The one before is told when it comes to a penalty; from the third refusal on, the answer is
    // of the same kind each time.
    for _ in 0..200 {
        let _ = ask(address, &format!("{method} {path} HTTP/1.1{fields}"), body);
    }
    ask(address, &format!("{method} {path} HTTP/1.1{fields}"), body).expect("an answer")
}

/// Other services, each as it is by default, with one limit in memory.
pub(crate) fn beside_others(length: Length) {
    let client = Client::Wrk { connections: 32 };
    let folder = tempfile::tempdir().expect("a folder");
    let mut contestants: Vec<Contestant> = Vec::new();
    if let Some((process, address, _)) = limitador(folder.path()) {
        let mut request = check();
        request.path = "/check_and_report";
        request.body = br#"{"namespace":"bench","values":{"user":"alice"},"delta":1}"#.into();
        let load = Load::new(client, address, &request);
        contestants.push(Contestant::new("limitador-server", process, load, None));
    }
    if let Some(program) = peer("THROTTLECRAB_SERVER") {
        let address = free_port();
        let mut command = Command::new(program);
        command.args(["--http", "--http-host", "127.0.0.1", "--http-port"]);
        command.arg(address.port().to_string());
        let process = Process::other(&mut command, address);
        let mut request = check();
        request.path = "/throttle";
        let body = r#"{"key":"alice","max_burst":100000000,"count_per_period":100000000,"period":1,"quantity":1}"#;
        request.body = body.into();
        let load = Load::new(client, address, &request);
        contestants.push(Contestant::new("throttlecrab-server", process, load, None));
    }
    let peers = contestants.len();
    for at in 0..peers {
        let process = Process::service(&one_limit());
        let load = Load::new(client, process.address, &check());
        contestants.push(Contestant::new("tollgate, one limit", process, load, Some(at)));
    }
    contest::run("Other services, HTTP/1.1", &mut contestants, length.rounds, length.seconds);
}

/// limitador-server with one limit for each user, where it answers HTTP, and where gRPC.
pub(crate) fn limitador(folder: &Path) -> Option<(Process, SocketAddr, SocketAddr)> {
    let program = peer("LIMITADOR_SERVER")?;
    let (http, rls, limits) = (free_port(), free_port(), folder.join("limits.yaml"));
    let text = "- namespace: bench\n  max_value: 1000000000\n  seconds: 60\n  conditions: []\n  \
                variables:\n    - \"descriptors[0]['user']\"\n";
    std::fs::write(&limits, text).expect("the folder can be written");
    let mut command = Command::new(program);
    command.args(["--http-ip", "127.0.0.1", "--http-port"]).arg(http.port().to_string());
    command.args(["--rls-ip", "127.0.0.1", "--rls-port"]).arg(rls.port().to_string());
    command.arg(&limits).arg("memory");
    let process = Process::other(&mut command, http);
    wait_for(rls);
    Some((process, http, rls))
}

/// The program of another service, which the environment names.
fn peer(variable: &str) -> Option<PathBuf> {
    let program = std::env::var_os(variable).map(PathBuf::from);
    if program.is_none() {
        println!("{variable} is not set: without this service");
    }
    program
}
