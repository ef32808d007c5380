//! Events for a subscriber of `tracing`. Nothing is formatted or hashed if none listens.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tollgate::keyed::WhenFull;
use tollgate::{KeyedLimiter, Quota};
use tracing::field::{DebugValue, DisplayValue, debug, display};
use tracing::{Level, enabled, error, info, warn};

use crate::engine::compiled::Compiled;
use crate::engine::decide::Engine;
use crate::engine::store::{Charge, EngineClock, StoreError};
use crate::engine::{Decision, Hashed, KeyParts, Outcome};
use crate::policy::{Policy, nearest};

/// For how many keys is known that they were told in this minute. Further keys share one event.
const MAX_KEYS: usize = 10_000;

/// What to do if the peers are not known.
#[cfg(feature = "axum")]
const NO_PEER: &str = "a limit needs the address of the peer, and the server does not tell it: \
    with axum, serve `app.into_make_service_with_connect_info::<SocketAddr>()`; with others, \
    insert a `Peer` or a `SocketAddr` into the extensions of the request";

/// What to do if the peers are not known, and this build can't learn them from axum.
#[cfg(not(feature = "axum"))]
const NO_PEER: &str = "a limit needs the address of the peer, and the server does not tell it: \
    the feature `axum` of tollgate-http is off, so with axum, turn it on \
    (`tollgate-http = { features = [\"axum\"], .. }` in Cargo.toml) and serve \
    `app.into_make_service_with_connect_info::<SocketAddr>()`; with others, insert a `Peer` or a \
    `SocketAddr` into the extensions of the request";

/// What a key's hash is made of beside the key: what happened, and the limit.
type About<'a> = (&'static str, &'a str);

/// What was told already.
pub(super) struct Events {
    /// One event per minute for each key.
    sample: KeyedLimiter<Hashed, EngineClock>,
    /// How many events were left out since the last one.
    suppressed: AtomicU64,
    no_peer_told: AtomicBool,
}

impl Events {
    pub(super) fn new(clock: EngineClock) -> Self {
        let sample = KeyedLimiter::builder(Quota::per_minute(1))
            .name("events")
            .clock(clock)
            .max_keys(MAX_KEYS)
            .when_full(WhenFull::Share)
            .build()
            .expect("one event per minute and a number of keys are valid");
        let (suppressed, no_peer_told) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { sample, suppressed, no_peer_told }
    }

    /// Whether to tell of something; then, how often nothing was told since the last time.
    fn sampled(&self, engine: &Engine, about: About<'_>, key: Option<&KeyParts>) -> Option<u64> {
        if self.sample.allow(&engine.secret.hash_of(&(about, key))) {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Tells of a decision that is not a plain success.
    pub(super) fn decided(&self, engine: &Engine, decision: &Decision) {
        match decision.outcome {
            Outcome::NoPeer => self.no_peer(),
            Outcome::StoreFailed => {}
            _ if decision.begins_penalty => {
                if let Some(key) = &decision.penalty_key {
                    penalty_begins(engine, decision, key, decision.retry_after);
                }
            }
            _ if enabled!(target: "tollgate_http", Level::INFO) => {
                self.refused(engine, decision);
                self.would_refuse(engine, decision);
            }
            _ => {}
        }
    }

    fn refused(&self, engine: &Engine, decision: &Decision) {
        let reason = decision.reason();
        let (what, key) = match decision.outcome {
            Outcome::Allowed | Outcome::Exempt => return,
            Outcome::Penalty => ("penalty", decision.penalty_key.as_ref()),
            Outcome::Blocked => ("blocked", None),
            Outcome::Ambiguous => ("ambiguous", None),
            Outcome::MissingKey => ("a part of the key is missing", None),
            Outcome::Full => ("no room for the key", reason.map(|charge| &charge.key)),
            _ => ("limit", reason.map(|charge| &charge.key)),
        };
        let limit = reason.map_or("", |charge| &*decision.limit(charge).name);
        let Some(suppressed) = self.sampled(engine, (what, limit), key) else { return };
        let (key_kind, key_hash) = shown(engine, key);
        info!(
            target: "tollgate_http",
            reason = what,
            limit = reason.is_some().then(|| display(Refusing(decision))),
            route = decision.route(),
            tier = decision.tier(),
            key_kind,
            key_hash,
            wait = wait(decision.retry_after),
            suppressed,
            "refused"
        );
    }

    /// Tells of what shadow limits would refuse.
    fn would_refuse(&self, engine: &Engine, decision: &Decision) {
        let would = |charge: &&Charge| charge.shadow && charge.answer.refuses();
        for charge in decision.charges.iter().filter(would) {
            let limit = &*decision.limit(charge).name;
            let key = Some(&charge.key);
            let Some(suppressed) = self.sampled(engine, ("shadow", limit), key) else { continue };
            let (key_kind, key_hash) = shown(engine, key);
            let report = decision.report(charge);
            info!(
                target: "tollgate_http",
                limit = display(limit),
                route = decision.route(),
                tier = decision.tier(),
                key_kind,
                key_hash,
                wait = wait(report.retry_after()),
                suppressed,
                "would refuse"
            );
        }
    }

    /// Tells of a tier that the application says and the policy does not know.
    pub(super) fn unknown_tier(&self, engine: &Engine, policy: &Compiled, name: &str) {
        if enabled!(target: "tollgate_http", Level::WARN)
            && let Some(suppressed) = self.sampled(engine, ("unknown tier", name), None)
        {
            let settings = policy.settings();
            let known = settings.tiers.iter().map(|tier| &*tier.name);
            warn!(
                target: "tollgate_http",
                nearest = nearest(name, known),
                default_tier = settings.default_tier.as_deref(),
                suppressed,
                "the application says a tier that the policy does not know: the caller has the \
                 default tier"
            );
        }
    }

    /// Tells that Envoy asks about a domain that no rule is about. Other than a tier, a domain is
    /// written by whoever runs Envoy, so it is told.
    pub(super) fn unknown_domain(&self, engine: &Engine, policy: &Compiled, domain: &str) {
        if enabled!(target: "tollgate_http", Level::WARN)
            && let Some(suppressed) = self.sampled(engine, ("unknown domain", ""), None)
        {
            warn!(
                target: "tollgate_http",
                domain = debug(shortened(domain)),
                nearest = nearest(domain, policy.descriptors.domains()),
                suppressed,
                "Envoy asks about a domain that the policy does not know: nothing is limited"
            );
        }
    }

    /// Tells that Envoy says addresses that are none, without them: clients may have written them.
    pub(super) fn odd_address(&self, engine: &Engine, domain: &str) {
        if enabled!(target: "tollgate_http", Level::WARN)
            && let Some(suppressed) = self.sampled(engine, ("odd address", ""), None)
        {
            warn!(
                target: "tollgate_http",
                domain = debug(shortened(domain)),
                suppressed,
                "Envoy says a `remote_address` that is none: all such requests share a bucket"
            );
        }
    }

    /// Tells once that the server does not say who its peers are.
    fn no_peer(&self) {
        if enabled!(target: "tollgate_http", Level::ERROR)
            && !self.no_peer_told.swap(true, Ordering::Relaxed)
        {
            error!(target: "tollgate_http", "{NO_PEER}");
        }
    }

    /// Tells that the store did not answer, at most once per minute.
    pub(super) fn store_failed(&self, error: &StoreError) {
        if enabled!(target: "tollgate_http", Level::WARN) {
            if self.sample.allow(&Hashed([0; 16])) {
                let suppressed = self.suppressed.swap(0, Ordering::Relaxed);
                warn!(target: "tollgate_http", %error, suppressed, "the store of the limits failed");
            } else {
                self.suppressed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Tells each warning of a policy that comes into force.
pub(crate) fn policy_warnings(policy: &Policy) {
    for warning in policy.warnings() {
        warn!(target: "tollgate_http", %warning, "the policy has a warning");
    }
}

/// Tells that a penalty begins.
pub(super) fn penalty_begins(
    engine: &Engine,
    decision: &Decision,
    key: &KeyParts,
    block: Option<Duration>,
) {
    if enabled!(target: "tollgate_http", Level::WARN) {
        let (key_kind, key_hash) = shown(engine, Some(key));
        warn!(
            target: "tollgate_http",
            limit = decision.reason().is_some().then(|| display(Refusing(decision))),
            route = decision.route(),
            tier = decision.tier(),
            key_kind,
            key_hash,
            wait = wait(block),
            "a penalty begins"
        );
    }
}

/// The kind of a key and its keyed hash.
fn shown<'a>(
    engine: &Engine,
    key: Option<&'a KeyParts>,
) -> (Option<DisplayValue<impl fmt::Display + 'a>>, Option<DisplayValue<Hashed>>) {
    let kind = key.map(|key| display(key.kinds()));
    (kind, key.map(|key| display(engine.secret.hash_of_parts(key.parts()))))
}

/// The beginning of a text that somebody else has written.
fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

fn wait(wait: Option<Duration>) -> Option<DebugValue<Duration>> {
    wait.map(debug)
}

/// Displays the names of the limits that refused, joined by `, `.
struct Refusing<'a>(&'a Decision);

impl fmt::Display for Refusing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.refused_by().enumerate() {
            let joint = if index == 0 { "" } else { ", " };
            write!(f, "{joint}{name}")?;
        }
        Ok(())
    }
}
