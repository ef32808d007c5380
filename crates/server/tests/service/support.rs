//! A running service, and a client of it.

use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tollgate_server::net::ListenAddress;
use tollgate_server::run::Server;
use tollgate_server::settings::ConfigFile;

/// A service on free ports.
pub(crate) struct Running {
    pub(crate) server: Server,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Running {
    /// A service with this policy in TOML, and these lines of `[server]`.
    pub(crate) async fn with(policy: &str, server: &str) -> Self {
        Self::of(&config(policy, server), None).await
    }

    /// A service whose configuration is in a file.
    pub(crate) async fn of_file(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("the file is there");
        Self::of(&text, Some(path)).await
    }

    async fn of(text: &str, path: Option<&Path>) -> Self {
        let name = path.unwrap_or("test.toml".as_ref());
        let config = ConfigFile::parse(name, text.as_bytes()).expect("the configuration is right");
        let server = Server::start(&config, path).await.expect("the service starts");
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { server, client }
    }

    pub(crate) fn checks(&self) -> String {
        url(self.server.listen())
    }

    pub(crate) fn admin(&self) -> String {
        url(self.server.admin())
    }

    /// Checks a request, which is a JSON object.
    pub(crate) async fn check(&self, check: &Value) -> Answer {
        let url = format!("{}/v1/check", self.checks());
        self.send(Request::post(url), check.to_string()).await
    }

    /// Asks the listener of operators.
    pub(crate) async fn operator(&self, method: &str, path: &str) -> Answer {
        let url = format!("{}{path}", self.admin());
        self.send(Request::builder().method(method).uri(url), String::new()).await
    }

    pub(crate) async fn send(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Answer {
        let request = request.body(Full::new(body.into())).expect("the request is right");
        let response = self.client.request(request).await.expect("the service answers");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the body comes").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("the field is text"))
    }
}

/// A configuration on free ports.
pub(crate) fn config(policy: &str, server: &str) -> String {
    let admin = if server.contains("[server.admin]") { "" } else { "[server.admin]\n" };
    let ports = "listen = '127.0.0.1:0'\n";
    let server = match server.split_once("[server.admin]\n") {
        Some((before, after)) => format!("{before}[server.admin]\n{ports}{after}"),
        None => format!("{server}\n{admin}{ports}"),
    };
    format!("version = 1\n{policy}\n[server]\n{ports}{server}")
}

fn url(address: &ListenAddress) -> String {
    format!("http://{address}")
}

/// One limit of three requests a day for each user.
pub(crate) const THREE_A_DAY: &str = "
always = ['calls']
[limits.calls]
quota = '3/day'
key = 'caller'
";
