//! Policies in code, with the words of the file.
//!
//! What is built becomes the same tree as a text, so it is read and checked by the same code.

mod additions;
mod answer;
mod descriptor;
mod fields;
mod limit;
mod restore;
mod route;
mod subject;

use std::fmt;

pub use additions::Additions;
pub use answer::{Penalty, Response};
pub use descriptor::DescriptorRule;
use fields::Fields;
pub use limit::{Limit, Tier};
pub(super) use restore::restored;
pub use route::Route;
pub use subject::Subject;

use super::policy::{NO_NAME, Policy};
use super::problem::PolicyError;
use super::problems::Problems;
use super::read;
use super::settings::{KeyPart, Mode};
use super::source::{Node, Value};
use super::words::{self, Word};
use crate::address::{ClientAddress, Prefixes, Source, Trust};

/// Builds a [`Policy`] in code. Each setting has the name that it has in a file.
///
/// ```
/// use tollgate_http::Quota;
/// use tollgate_http::policy::{KeyPart, Limit, Policy, Route, Subject, Tier};
///
/// let policy = Policy::builder()
///     .limit(Limit::new("calls", Quota::per_minute(10)).key([KeyPart::Caller]))
///     .tier(Tier::new("gold").limit("calls", Quota::per_minute(300)))
///     .subject(Subject::user("alice").tier("gold"))
///     .route(Route::new("/v1/exports/{id}").methods(["GET"]).limits(["calls"]).cost(5))
///     .build()?;
/// assert_eq!(policy.to_string().parse::<Policy>()?, policy);
/// # Ok::<(), tollgate_http::policy::PolicyError>(())
/// ```
#[derive(Clone, Default, PartialEq)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PolicyBuilder {
    rest: Fields,
    client: Fields,
    limits: Fields,
    tiers: Fields,
    subjects: Vec<Fields>,
    routes: Vec<Fields>,
    descriptors: Vec<Fields>,
    response: Fields,
    penalty: Fields,
}

impl PolicyBuilder {
    /// Whether limits refuse, only tell, or rest. Default: [`Mode::Enforce`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.rest.set("mode", mode.word());
        self
    }

    /// The names of the limits of every request, in this order. Default: none.
    pub fn always<S: Into<String>>(mut self, limits: impl IntoIterator<Item = S>) -> Self {
        self.rest.set("always", texts(limits));
        self
    }

    /// The tier of those who have no other. Default: none.
    pub fn default_tier(mut self, name: &str) -> Self {
        self.rest.set("default_tier", name);
        self
    }

    /// How the client's address is found. Default: it is the peer's.
    pub fn client(mut self, client: ClientAddress) -> Self {
        self.client = client_fields(client);
        self
    }

    /// Adds a limit.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(&limit.name, limit.fields.sorted(read::limit::LIMIT));
        self
    }

    /// Adds a tier.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tiers.push(&tier.name, tier.quotas);
        self
    }

    /// Adds what holds for one user, API key or network.
    pub fn subject(mut self, subject: Subject) -> Self {
        self.subjects.push(subject.fields.sorted(read::subject::SUBJECT));
        self
    }

    /// Adds a route behind those that were added before. A request takes the first that matches.
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route.fields.sorted(read::route::ROUTE));
        self
    }

    /// Adds what holds for the descriptors of Envoy's rate limit service that match.
    pub fn descriptor(mut self, rule: DescriptorRule) -> Self {
        self.descriptors.push(rule.into_fields().sorted(read::descriptor::DESCRIPTOR));
        self
    }

    /// How a refusal is told. Default: [`Response::new`].
    pub fn response(mut self, response: Response) -> Self {
        self.response = response.fields.sorted(read::answer::RESPONSE);
        self
    }

    /// What happens to those who go on in spite of refusals. Default: nothing.
    pub fn penalty(mut self, penalty: Penalty) -> Self {
        self.penalty = penalty.fields.sorted(read::answer::PENALTY);
        self
    }

    /// Checks the settings, and builds the policy.
    ///
    /// # Errors
    ///
    /// If the settings are not a policy. The places of the problems are paths such as
    /// `limits.calls.quota`.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let mut problems = Problems::new(NO_NAME);
        let root = self.tree(&mut problems);
        Policy::from_tree(Some(&root), problems)
    }

    /// The tree that a file with these settings has.
    pub(super) fn tree(self, problems: &mut Problems) -> Node {
        let mut root = Fields::default();
        root.set("version", 1);
        root.append(self.rest.sorted(read::POLICY));
        let mut push = |key: &str, table: Fields| {
            if !table.is_empty() {
                root.push(key, table);
            }
        };
        push("client", self.client);
        push("limits", self.limits);
        push("tiers", self.tiers);
        push("response", self.response);
        push("penalty", self.penalty);
        let lists = [
            ("subjects", self.subjects),
            ("routes", self.routes),
            ("descriptors", self.descriptors),
        ];
        for (key, tables) in lists {
            if !tables.is_empty() {
                root.push(key, tables.into_iter().collect::<Value>());
            }
        }
        fields::placed(root.sorted(read::POLICY), problems)
    }
}

/// Says nothing of the API keys of subjects, not even their hashes.
impl fmt::Debug for PolicyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyBuilder").finish_non_exhaustive()
    }
}

fn texts<S: Into<String>>(texts: impl IntoIterator<Item = S>) -> Value {
    texts.into_iter().map(Into::into).collect()
}

/// A key as it stands in a file: one word, or a list.
fn key_value(parts: impl IntoIterator<Item = KeyPart>) -> Option<Value> {
    let words: Vec<String> = parts.into_iter().map(|part| words::key::word(&part)).collect();
    match words.as_slice() {
        [] => None,
        [word] => Some(word.as_str().into()),
        _ => Some(words.into_iter().collect()),
    }
}

fn client_fields(client: ClientAddress) -> Fields {
    let mut fields = Fields::default();
    match client.source {
        Source::Peer => {}
        Source::XForwardedFor => fields.set("header", "x-forwarded-for"),
        Source::Forwarded => fields.set("header", "forwarded"),
        Source::Single(name) => fields.set("header", name.as_str()),
    }
    match client.trust {
        Trust::Nobody => {}
        Trust::Proxies { networks, unix } => {
            let networks = networks.iter().map(ToString::to_string);
            let unix = unix.then(|| "unix".into());
            fields.set("trusted_proxies", networks.chain(unix).collect::<Value>());
        }
        Trust::Hops(hops) => fields.set("trusted_hops", u64::from(hops)),
    }
    let default = Prefixes::default();
    for (key, prefix, default) in [
        ("ipv4_prefix", client.prefixes.ipv4, default.ipv4),
        ("ipv6_prefix", client.prefixes.ipv6, default.ipv6),
    ] {
        if prefix != default {
            fields.set(key, u64::from(prefix));
        }
    }
    fields
}
