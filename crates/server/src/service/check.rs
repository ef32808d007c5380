//! `POST /v1/check`: whether a request may go on.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer};
use tollgate_http::address::Peer;
use tollgate_http::{Facts, Outcome};

use super::{Service, answer};
use crate::web::{OfAProgram, Problem};

/// The body of a check: what is known of a request.
///
/// ```
/// use tollgate_server::service::Check;
/// let text = r#"{"method": "GET", "path": "/items", "address": "203.0.113.7", "user": "alice"}"#;
/// let check: Check<'_> = serde_json::from_str(text)?;
/// assert_eq!(check.method, "GET");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check<'a> {
    /// The method.
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    /// The path as the client sent it, with or without a query.
    #[serde(borrow)]
    pub path: Cow<'a, str>,
    /// The other end of the client's connection: an address with or without a port, or `unix`.
    #[serde(default, deserialize_with = "peer")]
    pub address: Option<Peer>,
    /// The host.
    #[serde(borrow, default, deserialize_with = "text")]
    pub host: Option<Cow<'a, str>>,
    /// Those headers that the policy names.
    #[serde(default)]
    pub headers: CheckHeaders,
    /// The user, whom the caller of this service has authenticated.
    #[serde(borrow, default, deserialize_with = "text")]
    pub user: Option<Cow<'a, str>>,
    /// The API key.
    #[serde(borrow, default, deserialize_with = "text")]
    pub api_key: Option<Cow<'a, str>>,
    /// The caller's tier.
    #[serde(borrow, default, deserialize_with = "text")]
    pub tier: Option<Cow<'a, str>>,
    /// The template of the path that a router has matched.
    #[serde(borrow, default, deserialize_with = "text")]
    pub template: Option<Cow<'a, str>>,
}

/// The headers of a check: an object whose values are texts, or lists of texts for a header that is
/// there several times.
#[derive(Default)]
pub struct CheckHeaders(pub Option<HeaderMap>);

/// Shows what the facts show: no user, no API key, no value of a header.
impl std::fmt::Debug for Check<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.facts().fmt(f)
    }
}

/// Shows the names only.
impl std::fmt::Debug for CheckHeaders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().flat_map(HeaderMap::keys)).finish()
    }
}

impl Check<'_> {
    /// What would make routes of the policy miss the request.
    fn mistake(&self) -> Option<&'static str> {
        if self.method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Some(
                "`method` has lower-case letters: methods are case-sensitive, write `GET`",
            );
        }
        let is_path = self.path.starts_with('/') || self.path == "*";
        (!is_path).then_some("`path` does not begin with `/`: send the path without the host")
    }

    /// The facts of the request.
    #[must_use]
    pub fn facts(&self) -> Facts<'_> {
        let mut facts = Facts::new(&self.method, &self.path);
        if let Some(peer) = self.address {
            facts = facts.peer(peer);
        }
        if let Some(host) = &self.host {
            facts = facts.host(host);
        }
        if let Some(headers) = &self.headers.0 {
            facts = facts.headers(headers);
        }
        if let Some(user) = &self.user {
            facts = facts.user(&**user);
        }
        if let Some(key) = &self.api_key {
            facts = facts.api_key(key);
        }
        if let Some(tier) = &self.tier {
            facts = facts.tier(tier);
        }
        if let Some(template) = &self.template {
            facts = facts.template(template);
        }
        facts
    }
}

pub(super) async fn check(
    _: OfAProgram,
    State(service): State<Service>,
    body: Body,
) -> Result<Response, Problem> {
    let (most, longest) = service.body_bounds();
    let text = crate::web::read_body(body, most, longest).await?;
    let check: Check<'_> = crate::web::parse_body(&text, "The body is not a check")?;
    if let Some(detail) = check.mistake() {
        return Err(Problem::new(400, "The body is not a check", detail));
    }
    let limiter = &service.0.limiter;
    let decision = match limiter.decide(&check.facts()).now() {
        Ok(decision) => decision,
        Err(deciding) => deciding.await,
    };
    if decision.outcome() == Outcome::NoPeer {
        let detail = "the policy needs the client's address: send it as `address`";
        return Err(Problem::new(400, "The check has no address", detail));
    }
    let waits = decision.is_allowed() && decision.may_give_back();
    let report = waits.then(|| service.0.pending.keep(decision.clone()));
    Ok(answer::check(limiter, &decision, report))
}

/// A text, which is copied only if it has escapes. (serde copies each text within an `Option`.)
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let text = Option::<Text<'de>>::deserialize(deserializer)?;
    Ok(text.map(|Text(text)| text))
}

/// An address with or without a port, or `unix`.
fn peer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Peer>, D::Error> {
    let Some(text) = text(deserializer)? else { return Ok(None) };
    crate::web::parse_address(&text).map(Some).map_err(serde::de::Error::custom)
}

impl<'de> Deserialize<'de> for CheckHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersVisitor).map(|headers| Self(Some(headers)))
    }
}

struct HeadersVisitor;

/// The value, or the values, of one header.
struct Values(Vec<String>);

impl<'de> serde::de::Visitor<'de> for HeadersVisitor {
    type Value = HeaderMap;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of headers, such as {\"x-forwarded-for\": \"203.0.113.7\"}")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<HeaderMap, A::Error> {
        use serde::de::Error;
        let mut headers = HeaderMap::new();
        while let Some((name, values)) = map.next_entry::<Cow<'de, str>, Values>()? {
            let name = HeaderName::try_from(&*name)
                .map_err(|_| A::Error::custom("a name is not one of a header"))?;
            for value in values.0 {
                let value = HeaderValue::try_from(value)
                    .map_err(|_| A::Error::custom(format!("the value of `{name}` is not one")))?;
                headers
                    .try_append(&name, value)
                    .map_err(|_| A::Error::custom("there are too many headers"))?;
            }
        }
        Ok(headers)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> serde::de::Visitor<'de> for OneOrMany {
            type Value = Values;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text, or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<Values, E> {
                Ok(Values(vec![text.to_owned()]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<Values, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(Values(values))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}
