//! A request under a policy: what its keys, its route and its quotas are.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::client_address::client_of;
use super::compiled::{Compiled, CompiledRoute};
use super::facts::Facts;
use super::host;
use super::key::{Hashed, KeyParts, Part};
use super::path::PathSegments;
use super::secret::Secret;
use crate::address::{Network, NoPeer, Peer, Prefixes};
use crate::policy::{KeyPart, Missing, hex};

/// Why a limit has no key for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// The limit is left out.
    Skip,
    /// The request is refused.
    Refuse,
    /// The address is needed, and the peer is not known.
    NoPeer,
}

impl From<NoPeer> for NoKey {
    fn from(_: NoPeer) -> Self {
        Self::NoPeer
    }
}

/// How many bytes of a value that a client chooses are kept in a key as they are. A longer value is
/// kept as its keyed hash, so that the number of keys bounds their memory.
const LONGEST_VALUE: usize = 256;

/// A request under a policy.
pub(crate) struct Request<'a> {
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) policy: &'a Compiled,
    secret: &'a Secret,
    host: Option<Cow<'a, str>>,
    client: OnceCell<Result<Peer, NoPeer>>,
    api_key: OnceCell<Hashed>,
    pub(crate) route: Option<u16>,
}

/// A request that would be read differently by another program (rule P6).
#[derive(Debug)]
pub(crate) struct Ambiguous;

impl<'a> Request<'a> {
    /// The request, with its route. Whether it is ambiguous is told beside it, because a blocked
    /// subject is refused as such in any case.
    pub(crate) fn new(
        facts: &'a Facts<'a>,
        policy: &'a Compiled,
        secret: &'a Secret,
    ) -> (Self, Result<(), Ambiguous>) {
        let (host, one_host) = if policy.needs_host { host_of(facts) } else { (None, Ok(())) };
        let (route, one_route) = route(policy, facts, host.as_deref());
        let (client, api_key) = (OnceCell::new(), OnceCell::new());
        let request = Self { facts, policy, secret, host, client, api_key, route };
        (request, one_host.and(one_route))
    }

    /// The client's address.
    pub(crate) fn client(&self) -> Result<Peer, NoPeer> {
        *self.client.get_or_init(|| client_of(self.policy, self.facts))
    }

    pub(crate) fn route(&self) -> Option<&'a CompiledRoute> {
        self.route.and_then(|route| self.policy.routes.get(usize::from(route)))
    }

    /// The key of a limit or of the penalty.
    pub(crate) fn key(
        &self,
        parts: &[KeyPart],
        missing: Option<Missing>,
        prefixes: Prefixes,
    ) -> Result<KeyParts, NoKey> {
        let mut key = KeyParts::default();
        for part in parts {
            key.push(match (self.part(part, prefixes)?, missing) {
                (Some(part), _) => part,
                (None, Some(Missing::Address)) => self.network(prefixes)?,
                (None, Some(Missing::Skip)) => return Err(NoKey::Skip),
                (None, Some(Missing::Refuse)) => return Err(NoKey::Refuse),
                (None, Some(Missing::Share) | None) => Part::Missing,
            });
        }
        Ok(key)
    }

    fn part(&self, part: &KeyPart, prefixes: Prefixes) -> Result<Option<Part>, NoPeer> {
        Ok(match part {
            KeyPart::Address => Some(self.network(prefixes)?),
            KeyPart::User => self.user_part(),
            KeyPart::ApiKey => self.api_key(),
            KeyPart::Caller => match self.user_part() {
                Some(user) => Some(user),
                None => match self.api_key() {
                    Some(key) => Some(key),
                    None => Some(self.network(prefixes)?),
                },
            },
            KeyPart::Header(name) => self.facts.header(name).map(|value| {
                Part::Header(match self.short(value) {
                    None => value.into(),
                    Some(hash) => hash.into_bytes().into(),
                })
            }),
            KeyPart::Route => Some(
                self.route().map_or(Part::NoRoute, |route| Part::Route(Arc::clone(&route.name))),
            ),
            KeyPart::Method => Some(Part::Method(self.short_text(self.facts.method))),
            KeyPart::Entry(name) => self.entry(name),
            KeyPart::Host => self.host.as_deref().map(|host| Part::Host(self.short_text(host))),
        })
    }

    fn entry(&self, name: &str) -> Option<Part> {
        let mut values = self.facts.entry(name);
        let first = self.short_text(values.next()?);
        let Some(second) = values.next() else { return Some(Part::Entry(first)) };
        let others = std::iter::once(second).chain(values).map(|value| self.short_text(value));
        Some(Part::Entries(std::iter::once(first).chain(others).collect()))
    }

    /// The user. Of a long name, the SHA-256 is kept: it needs no secret, so it is the same in all
    /// processes that share a store.
    fn user_part(&self) -> Option<Part> {
        let user = self.user()?;
        if user.len() <= LONGEST_VALUE {
            return Some(Part::User(Arc::clone(user)));
        }
        Some(Part::User(hex(&Sha256::digest(user.as_bytes())).into()))
    }

    /// What is kept of a value that is too long; `None` if it is kept as it is.
    fn short(&self, value: &[u8]) -> Option<String> {
        (value.len() > LONGEST_VALUE).then(|| self.secret.hash_of_bytes(value).to_string())
    }

    fn short_text(&self, value: &str) -> Arc<str> {
        self.short(value.as_bytes()).map_or_else(|| value.into(), Into::into)
    }

    /// The client's network. Whoever says an address that is none is one client with all who do so:
    /// it would have no limit if that was an error, or if each such text had a bucket of its own.
    fn network(&self, prefixes: Prefixes) -> Result<Part, NoPeer> {
        match self.client() {
            Ok(client) => Ok(Part::Address(Network::of(client, prefixes))),
            Err(NoPeer) if self.facts.address_is_odd => Ok(Part::Missing),
            Err(NoPeer) => Err(NoPeer),
        }
    }

    fn api_key(&self) -> Option<Part> {
        let Some(key) = self.facts.api_key else {
            return self.facts.api_key_hash.map(Part::ApiKey);
        };
        Some(Part::ApiKey(*self.api_key.get_or_init(|| self.secret.hash_api_key(key))))
    }

    /// Whether this is a CORS preflight (rule P10).
    pub(crate) fn is_preflight(&self) -> bool {
        self.facts.method == "OPTIONS"
            && self.facts.headers.is_some_and(|headers| {
                headers.contains_key(http::header::ORIGIN)
                    && headers.contains_key(http::header::ACCESS_CONTROL_REQUEST_METHOD)
            })
    }

    pub(crate) fn user(&self) -> Option<&Arc<str>> {
        self.facts.user.as_ref()
    }
}

/// The host that the request names: that of its URI, else that of the only `Host` header. Two
/// headers are a request that no server may serve (RFC 9112, section 3.2).
fn host_of<'a>(facts: &Facts<'a>) -> (Option<Cow<'a, str>>, Result<(), Ambiguous>) {
    if let Some(host) = facts.host {
        return (host::normalised(host), Ok(()));
    }
    let Some(headers) = facts.headers else { return (None, Ok(())) };
    let mut values = headers.get_all(http::header::HOST).iter();
    let host = values.next().and_then(|value| value.to_str().ok());
    match values.next() {
        Some(_) => (None, Err(Ambiguous)),
        None => (host.and_then(|host| host::normalised(host.trim())), Ok(())),
    }
}

/// The first route that matches.
fn route(
    policy: &Compiled,
    facts: &Facts<'_>,
    host: Option<&str>,
) -> (Option<u16>, Result<(), Ambiguous>) {
    if policy.routes.is_empty() {
        return (None, Ok(()));
    }
    let first = |path: &PathSegments<'_>| {
        let fits = |index: &u16| {
            policy
                .routes
                .get(usize::from(*index))
                .is_some_and(|route| route.accepts(facts.method, host) && route.path.matches(path))
        };
        policy.route_index.of(path).iter().copied().find(fits)
    };
    if let Some(template) = facts.template {
        return (first(&PathSegments::of_template(template)), Ok(()));
    }
    let path = PathSegments::of(facts.path);
    let plain = first(&path);
    match path.without_dots() {
        None => (plain, Ok(())),
        Some(resolved) => {
            let route = first(&resolved);
            (route, if route == plain { Ok(()) } else { Err(Ambiguous) })
        }
    }
}
