//! Buckets that several processes share, in a store of the library's feature `shared`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{self as asked, Ask, Namespace, OpenError, Outcome, Rule};
use tollgate::shared::{AskError, Client, ClientBuilder, Decision, Outage, Stats};

use super::{Answer, Buckets, Charge, LimitSpec, Reply, Store, StoreError, Verb, Verdict};
use crate::address::Prefixes;
use crate::engine::key::{Key, KeyParts, Part};
use crate::policy::{Algorithm, KeyPart};

/// The buckets of a policy in a store that several processes share, such as Redis.
///
/// A request with several limits is one ask, all or nothing. Processes share the buckets of limits
/// that have the same name, key, algorithm and prefixes. The store is asked as a
/// [`Client`](tollgate::shared::Client) does: within a deadline, in batches, and with an outage
/// mode. In the mode [`Outage::Closed`], which is the default, the limiter does what
/// [`fail_closed`](crate::engine::HttpLimiterBuilder::fail_closed) says.
///
/// Penalties are counted in each process. `max_keys` and `when_full` bound the memory of a process,
/// so they have no effect: a store's keys end by themselves.
///
/// ```
/// use std::time::Duration;
/// use tollgate::shared::{Outage, store::Memory};
/// use tollgate_http::engine::store::SharedStore;
/// use tollgate_http::{Facts, HttpLimiter, Policy};
///
/// let policy: Policy = "version = 1\nalways = ['a']\n[limits.a]\nquota = '1/min'".parse()?;
/// let store = SharedStore::new(Memory::new()) // or Redis
///     .deadline(Duration::from_millis(20))
///     .on_outage(Outage::local_share(1, 4));
/// let limiter = HttpLimiter::builder(&policy).store(store).build()?;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// assert!(limiter.decide(&Facts::new("GET", "/")).await.is_allowed());
/// assert!(!limiter.decide(&Facts::new("GET", "/")).await.is_allowed());
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SharedStore {
    client: ClientBuilder,
    key_secret: Option<[u8; 16]>,
}

impl SharedStore {
    /// The buckets in `store`.
    #[must_use]
    pub fn new(store: impl asked::Store) -> Self {
        Self { client: Client::builder(store), key_secret: None }
    }

    /// The longest time that a decision takes. The default is 50 ms.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.client = self.client.deadline(deadline);
        self
    }

    /// How requests are decided while the store does not answer.
    #[must_use]
    pub fn on_outage(mut self, outage: Outage) -> Self {
        self.client = self.client.on_outage(outage);
        self
    }

    /// The longest time for which a refusal answers further requests of the same key. The default
    /// is 1 s.
    #[must_use]
    pub fn trust_refusals_for(mut self, longest: Duration) -> Self {
        self.client = self.client.trust_refusals_for(longest);
        self
    }

    /// What was asked and decided so far, also for the limiters that clones of this store were
    /// given to.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.client.stats()
    }

    /// The secret with which API keys, and values that are too long, are hashed. It must be the
    /// same in all processes, and nobody else may know it. Without it, a policy whose keys have
    /// such parts can't be opened.
    #[must_use]
    pub fn key_secret(mut self, secret: [u8; 16]) -> Self {
        self.key_secret = Some(secret);
        self
    }
}

impl Store for SharedStore {
    fn open(&self, limits: &[LimitSpec]) -> Result<Arc<dyn Buckets>, StoreError> {
        let is_hashed =
            |part: &KeyPart| !matches!(part, KeyPart::Address | KeyPart::User | KeyPart::Route);
        if let Some(limit) = limits.iter().find(|limit| limit.identity.key.iter().any(is_hashed))
            && self.key_secret.is_none()
        {
            return Err(StoreError::NeedsSecret { limit: limit.identity.name.to_string() });
        }
        let namespaces: Vec<Namespace> = limits.iter().map(namespace).collect();
        // Requests under the policy before keep their client, so each policy has one.
        let client = self.client.clone().open(&namespaces).map_err(refused)?;
        let quotas = limits.iter().map(quota_indices).collect();
        Ok(Arc::new(SharedBuckets { client, quotas }))
    }

    fn key_secret(&self) -> Option<[u8; 16]> {
        self.key_secret
    }
}

/// The buckets of one policy's limits.
struct SharedBuckets {
    client: Client,
    /// Of each limit, for each of its quotas: its index among those that are not unlimited.
    quotas: Vec<Vec<Option<usize>>>,
}

impl Buckets for SharedBuckets {
    fn ask(&self, verb: Verb, charges: &mut [Charge]) -> Reply {
        let mut parts = Vec::with_capacity(charges.len());
        let mut asked_about = Vec::with_capacity(charges.len());
        for charge in charges.iter() {
            let quota = self.quotas.get(charge.limit).and_then(|quotas| quotas.get(charge.quota));
            let Some(quota) = quota else {
                return Reply::Failed(StoreError::Unavailable(
                    "a charge of an unknown quota".into(),
                ));
            };
            asked_about.push(match (quota, verb) {
                (None, _) => Asked::No,
                (_, Verb::Look) => Asked::WhatIfTaken(charge.cost),
                (_, Verb::Take) if charge.shadow => Asked::AfterOthers,
                _ => Asked::Yes,
            });
            if let Some(quota) = *quota {
                let mut cost = asked::Charge::new(charge.cost);
                cost.quota = quota;
                let mut part = asked::Part::new(charge.limit, subject(&charge.key), [cost]);
                part.shadow = charge.shadow;
                parts.push(part);
            }
        }
        if parts.is_empty() {
            for charge in charges.iter_mut() {
                charge.answer = Answer::UNLIMITED;
            }
            return Reply::Now;
        }
        let client = self.client.clone();
        let ask = Ask::over(verb_of(verb), 1, parts);
        let asking = async move {
            let decision = client.ask(ask).await.map_err(|error| match error {
                AskError::Unavailable { .. } => {
                    StoreError::Unavailable("it is in an outage".into())
                }
                other => StoreError::Unavailable(other.to_string()),
            })?;
            Ok(answers(&decision, &asked_about))
        };
        match verb {
            Verb::Take | Verb::Look => Reply::Later(Box::pin(asking)),
            // These are done also if nobody awaits the answer.
            Verb::Credit | Verb::Consume => match tokio::runtime::Handle::try_current() {
                Err(_) => Reply::Later(Box::pin(asking)),
                Ok(runtime) => {
                    let task = runtime.spawn(asking);
                    let lost = |error| StoreError::Unavailable(format!("{error}"));
                    Reply::Later(Box::pin(async move { task.await.map_err(lost)? }))
                }
            },
        }
    }

    /// Not known: a store does not count keys.
    fn keys(&self, _: usize) -> usize {
        0
    }

    /// Not known: a store does not count refusals.
    fn most_limited(&self, _: usize, _: usize) -> Vec<(Key, u64)> {
        Vec::new()
    }
}

/// The namespace of a limit: all that makes it the same limit is in its name.
fn namespace(limit: &LimitSpec) -> Namespace {
    let identity = &limit.identity;
    let mut name = identity.name.to_string();
    for part in &identity.key {
        // Writing to a text does not fail. The name of an entry can have any characters, so its
        // length stands before it.
        let _ = match part {
            KeyPart::Entry(entry) => write!(name, ",entry:{}:{entry}", entry.len()),
            part => write!(name, ",{part}"),
        };
    }
    let Prefixes { ipv4, ipv6 } = identity.prefixes;
    let _ = write!(name, "/{ipv4}/{ipv6}");
    let quotas = limit.quotas.iter().filter(|quota| !quota.is_unlimited());
    let mut quotas: Vec<Quota> = quotas.copied().collect();
    if quotas.is_empty() {
        // Nobody asks under it.
        quotas.push(Quota::per_second(1));
    }
    let mut spec =
        asked::LimitSpec::new(identity.name.clone(), rule(identity.algorithm), quotas[0]);
    spec.quotas = quotas;
    Namespace::new(name, vec![spec])
}

fn quota_indices(limit: &LimitSpec) -> Vec<Option<usize>> {
    let mut next = 0..;
    let index = |quota: &Quota| if quota.is_unlimited() { None } else { next.next() };
    limit.quotas.iter().map(index).collect()
}

fn rule(algorithm: Algorithm) -> Rule {
    match algorithm {
        Algorithm::TokenBucket => Rule::TokenBucket,
        Algorithm::FixedWindow => Rule::FixedWindow,
        Algorithm::SlidingWindow => Rule::SlidingWindow,
        Algorithm::Strict => Rule::StrictWindow,
    }
}

fn verb_of(verb: Verb) -> asked::Verb {
    match verb {
        Verb::Take => asked::Verb::Take,
        Verb::Look => asked::Verb::Look,
        Verb::Credit => asked::Verb::Credit,
        Verb::Consume => asked::Verb::Consume,
    }
}

/// The name of a key in the store. No value can look like another key: the length of each value
/// stands before it.
fn subject(key: &KeyParts) -> String {
    let mut name = String::new();
    for part in key.parts() {
        let value = match part {
            Part::Address(network) => network.to_string(),
            Part::User(value)
            | Part::Route(value)
            | Part::Method(value)
            | Part::Host(value)
            | Part::Entry(value) => value.to_string(),
            Part::ApiKey(hash) => hash.to_string(),
            Part::Header(value) => value.escape_ascii().to_string(),
            Part::Entries(values) => {
                let parts = values
                    .iter()
                    .map(|value| [value.len().to_string().as_str(), ":", value].concat());
                parts.collect()
            }
            Part::NoRoute | Part::Missing => String::new(),
        };
        let kind = match part {
            Part::NoRoute => "no-route",
            Part::Entries(_) => "entries",
            part => part.kind(),
        };
        let joint = if name.is_empty() { "" } else { "+" };
        let _ = write!(name, "{joint}{kind}:{}:{value}", value.len());
    }
    name
}

/// Whether a store was asked about a charge.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Yes,
    /// It is under an unlimited quota.
    No,
    /// A shadow limit is asked only if the request is let through.
    AfterOthers,
    /// What would be left if so much was taken. The engine asks what is left now.
    WhatIfTaken(u64),
}

/// One answer for each charge.
fn answers(decision: &Decision, asked_about: &[Asked]) -> Vec<Answer> {
    let was_refused = decision.answer.outcome == Outcome::Refused;
    let mut levels = decision.answer.levels.iter();
    let answer = |asked: &Asked| {
        let level = if *asked == Asked::No { None } else { levels.next() };
        level.map_or(Answer::UNLIMITED, |level| {
            let verdict = match level.verdict {
                _ if was_refused && *asked == Asked::AfterOthers => Verdict::Granted,
                asked::Verdict::Never => Verdict::Never,
                asked::Verdict::Refused => Verdict::Refused,
                _ => Verdict::Granted,
            };
            let untaken = match asked {
                Asked::WhatIfTaken(cost) if !was_refused => *cost,
                _ => 0,
            };
            let remaining = level.remaining.saturating_add(untaken);
            Answer::new(verdict, remaining, level.full_after, level.wait)
        })
    };
    asked_about.iter().map(answer).collect()
}

fn refused(error: OpenError) -> StoreError {
    match error {
        OpenError::Quota { limit, error, .. } => StoreError::Quota { limit, error },
        OpenError::Inexact { limit, quota, why, .. } => {
            StoreError::Unsupported { limit, why: format!("{quota} can't be kept exactly: {why}") }
        }
        other => StoreError::Unavailable(other.to_string()),
    }
}
