//! A small HTTP client, which tells what a user would look at in an answer.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};

use crate::serve::AnyError;

/// The fields of an answer that tell limits.
const FIELDS: [&str; 7] = [
    "ratelimit-policy",
    "ratelimit",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "retry-after",
    "www-authenticate",
];

/// A client of one server, with the fields that all its requests have.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: String,
    fields: HeaderMap,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn of(server: impl std::fmt::Display) -> Self {
        let (http, fields) = (reqwest::Client::new(), HeaderMap::new());
        Self { http, server: format!("http://{server}"), fields }
    }

    /// The same client with one more field.
    pub(crate) fn with(
        &self,
        name: impl TryInto<HeaderName, Error: Into<AnyError>>,
        value: impl TryInto<HeaderValue, Error: Into<AnyError>>,
    ) -> Result<Self, AnyError> {
        let name = name.try_into().map_err(Into::into)?;
        let value = value.try_into().map_err(Into::into)?;
        let mut client = self.clone();
        client.fields.insert(name, value);
        Ok(client)
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<Answer, AnyError> {
        let request = self.http.request(method, format!("{}{path}", self.server));
        let answer = request.headers(self.fields.clone()).body(body).send().await?;
        let (status, fields) = (answer.status(), answer.headers().clone());
        Ok(Answer { status, fields, body: answer.text().await? })
    }

    #[allow(dead_code, reason = "not all examples only get")]
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, AnyError> {
        self.send(Method::GET, path, String::new()).await
    }
}

impl Answer {
    /// The value of a field, if it is text.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.to_str().ok()
    }

    /// The status, the fields that tell limits, and the body, as `curl --include` prints them.
    pub(crate) fn print(&self) {
        println!("  {}", self.status);
        for name in FIELDS {
            if let Some(value) = self.field(name) {
                println!("  {name}: {value}");
            }
        }
        println!("  {}", self.body.trim_end());
    }
}
