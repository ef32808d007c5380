//! A real Envoy on free ports, with the configuration of `deploy/envoy`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The configuration that operators copy.
pub(crate) const CONFIGURATION: &str = include_str!("../../../../deploy/envoy/envoy.yaml");

/// The program, if it is there.
pub(crate) fn program() -> Option<PathBuf> {
    let is_here = tollgate_test_programs::needs("Envoy's protocol", &["envoy"]);
    tollgate_test_programs::find("envoy").filter(|_| is_here)
}

/// A running Envoy. It is killed when this is dropped.
pub(crate) struct Envoy {
    _process: Child,
    _folder: tempfile::TempDir,
    edge: SocketAddr,
}

/// What Envoy has answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().expect("a text");
        assert!(values.next().is_none(), "{name} is there twice: {:?}", self.headers);
        Some(value)
    }
}

impl Envoy {
    /// Starts Envoy in front of an application, with the limits of a service.
    pub(crate) async fn start(
        program: &Path,
        configuration: &str,
        application: SocketAddr,
        service: SocketAddr,
    ) -> Self {
        let mut text = configuration.to_owned();
        // Envoy takes free ports for 0, and tells them.
        for (port, by) in
            [(10000, 0), (9901, 0), (3000, application.port()), (8082, service.port())]
        {
            let (old, new) = (format!("port_value: {port} }}"), format!("port_value: {by} }}"));
            assert_eq!(text.matches(&old).count(), 1, "{old}");
            text = text.replace(&old, &new);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("envoy.yaml"), text).expect("the configuration can be written");
        let mut process = Command::new(program)
            .args(["--concurrency", "1", "--disable-hot-restart", "-l", "info"])
            .arg("-c")
            .arg(path("envoy.yaml"))
            .arg("--admin-address-path")
            .arg(path("admin"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Envoy starts");
        let log = process.stderr.take().expect("a pipe");
        let mut lines = BufReader::new(log).lines();
        let mut told = Vec::new();
        loop {
            let line = lines.next_line().await.expect("the log can be read");
            let Some(line) = line else { panic!("Envoy has ended:\n{}", told.join("\n")) };
            let is_ready = line.contains("all dependencies initialized. starting workers");
            told.push(line);
            if is_ready {
                break;
            }
        }
        // The pipe must not get full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let admin = std::fs::read_to_string(path("admin")).expect("the address of the admin pages");
        let edge = loop {
            let listeners = get(&format!("http://{admin}/listeners"), None).await.1;
            let listeners = String::from_utf8_lossy(&listeners).into_owned();
            let address = listeners.lines().find_map(|line| line.strip_prefix("edge::"));
            match address.map(|address| address.trim().parse::<SocketAddr>()) {
                Some(Ok(address)) if address.port() > 0 => break address,
                _ => tokio::task::yield_now().await,
            }
        };
        Self { _process: process, _folder: folder, edge }
    }

    /// Sends a request for a path from one of the addresses of loopback.
    pub(crate) async fn get_from(&self, last: u8, path: &str) -> Answer {
        self.send(last, Request::get(self.url(path))).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.edge)
    }

    pub(crate) async fn send(&self, last: u8, request: http::request::Builder) -> Answer {
        let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        send(request, Some(from)).await.0
    }
}

async fn get(url: &str, from: Option<IpAddr>) -> (Answer, Bytes) {
    send(Request::get(url), from).await
}

async fn send(request: http::request::Builder, from: Option<IpAddr>) -> (Answer, Bytes) {
    let mut connector = HttpConnector::new();
    connector.set_local_address(from);
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let request = request.body(Empty::new()).expect("a request");
    let response = client.request(request).await.expect("Envoy answers");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    (Answer { status: parts.status, headers: parts.headers }, body)
}
