//! The descriptors of one request through the engine.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use smallvec::SmallVec;

use super::asking::Asking;
use super::decision::{DescriptorDecision, DescriptorsDecision, Matched};
use super::facts::facts;
use super::rules::{Found, What};
use crate::engine::compiled::{Compiled, RouteLimit};
use crate::engine::decide::Engine;
use crate::engine::decision::{Decision, Outcome};
use crate::engine::key::Part;
use crate::engine::limiter::HttpLimiter;
use crate::engine::request::{NoKey, Request};
use crate::engine::store::{Charge, Later, Verb};
use crate::policy::Mode;

/// A descriptor of Envoy's rate limit service: a list of entries, each with a key and a value.
///
/// ```
/// use tollgate_http::engine::Descriptor;
/// let entries = [("generic_key", "login"), ("remote_address", "203.0.113.7")];
/// let descriptor = Descriptor::new(&entries).hits(2);
/// ```
#[derive(Clone, Copy)]
pub struct Descriptor<'a> {
    entries: &'a [(&'a str, &'a str)],
    hits: u64,
    gives_back: bool,
}

impl<'a> Descriptor<'a> {
    /// A descriptor with these entries, which takes one permit of each of its limits.
    #[must_use]
    pub fn new(entries: &'a [(&'a str, &'a str)]) -> Self {
        Self { entries, hits: 1, gives_back: false }
    }

    /// It gives its permits back, never above full, and does not take them. If another descriptor of
    /// the request is over its limit, it does nothing.
    #[must_use]
    pub fn give_back(mut self) -> Self {
        self.gives_back = true;
        self
    }

    /// How many permits it takes. With 0 it takes none, and is over its limit if none is left.
    #[must_use]
    pub fn hits(mut self, hits: u64) -> Self {
        self.hits = hits;
        self
    }
}

/// How many permits a descriptor takes or gives back, and whether it may take them as debt.
pub(super) struct Hits {
    pub(super) count: u64,
    pub(super) owes: bool,
    pub(super) gives_back: bool,
}

impl HttpLimiter {
    /// Decides about the descriptors of one request to Envoy's rate limit service. The permits of
    /// all their enforced limits are taken, or none are.
    ///
    /// ```
    /// use tollgate_http::engine::{Descriptor, Matched};
    /// use tollgate_http::{HttpLimiter, Policy};
    ///
    /// let policy: Policy = r#"
    ///     version = 1
    ///     [limits.logins]
    ///     quota = "1/min"
    ///     key = "entry:remote_address"
    ///     [[descriptors]]
    ///     domain = "edge"
    ///     entries = ["generic_key=login", "remote_address"]
    ///     limits = ["logins"]
    /// "#.parse()?;
    /// let limiter = HttpLimiter::new(&policy)?;
    /// let login = [("generic_key", "login"), ("remote_address", "203.0.113.7")];
    /// let decide = |entries| {
    ///     let descriptors = [Descriptor::new(entries)];
    ///     limiter.decide_descriptors("edge", &descriptors).now().expect("memory answers at once")
    /// };
    /// assert!(decide(&login).is_allowed());
    /// assert!(!decide(&login).is_allowed());
    /// let unknown = decide(&login[1..]);
    /// assert!(unknown.is_allowed());
    /// assert_eq!(unknown.descriptors()[0].matched(), Matched::Nothing);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decide_descriptors(
        &self,
        domain: &str,
        descriptors: &[Descriptor<'_>],
    ) -> DecidingDescriptors {
        let (policy, engine) = (self.current(), self.engine());
        let started = engine.started();
        let mut decided = Vec::with_capacity(descriptors.len());
        let mut hits: SmallVec<[Hits; 4]> = SmallVec::new();
        for descriptor in descriptors {
            // A decision is large: it is filled in where it stays.
            let decision = Decision::new(Arc::clone(&policy), started);
            decided.push(DescriptorDecision { matched: Matched::Nothing, decision });
            let Some(decided) = decided.last_mut() else { continue };
            let owes = prepare(engine, decided, domain, descriptor);
            let Descriptor { hits: count, gives_back, .. } = *descriptor;
            hits.push(Hits { count, owes: owes && !gives_back, gives_back });
        }
        if decided.iter().any(|descriptor| descriptor.matched == Matched::UnknownDomain) {
            engine.observe_unknown_domain(&policy, domain);
        }
        let mut asking = Asking::new(&mut decided, &hits);
        let mut decided = DescriptorsDecision(decided);
        let later = asking.go_on(engine, &policy);
        let waiting = match later {
            None => {
                conclude(engine, &policy, &mut asking, &mut decided);
                None
            }
            Some(later) => {
                let limiter = self.clone();
                Some(Box::new(Waiting { limiter, policy, asking, later }))
            }
        };
        DecidingDescriptors { decided, waiting }
    }
}

/// Finds everything that is known of a descriptor without asking a limit; returns whether it may
/// owe.
fn prepare(
    engine: &Engine,
    DescriptorDecision { matched, decision }: &mut DescriptorDecision,
    domain: &str,
    descriptor: &Descriptor<'_>,
) -> bool {
    let policy = Arc::clone(&decision.policy);
    let found = policy.descriptors.find(domain, descriptor.entries);
    *matched = Matched::from(&found);
    match found {
        _ if policy.settings().mode == Mode::Off => false,
        Found::UnknownDomain | Found::Nothing => {
            decision.outcome = Outcome::Allowed;
            false
        }
        Found::Rule(rule) => {
            let facts = facts(descriptor.entries);
            match &rule.what {
                What::Blocked => {
                    decision.refuse(Outcome::Blocked, 403);
                }
                What::Request => {
                    engine.prepare(decision, &facts, Verb::Take);
                }
                What::Limits(limits) => {
                    decision.outcome = Outcome::Allowed;
                    decision.has_usual_limits = false;
                    // Which route it is matters only for keys with the name of the route.
                    let (request, _) = Request::new(&facts, &policy, &engine.secret);
                    if let Err(why) = charge(decision, &request, limits) {
                        decision.refuse_without_key(why);
                    }
                }
            }
            let shares = |charge: &Charge| charge.key.parts().contains(&Part::Missing);
            if facts.address_is_odd && decision.charges.iter().any(shares) {
                engine.observe_odd_address(domain);
            }
            rule.owes
        }
    }
}

/// Makes the decisions from the answers of the store.
fn conclude(
    engine: &Engine,
    policy: &Compiled,
    asking: &mut Asking,
    decided: &mut DescriptorsDecision,
) {
    asking.conclude(engine, &mut decided.0);
    engine.observe_descriptors(decided, policy);
}

/// Notes the charges of a rule's own limits.
fn charge(decision: &mut Decision, request: &Request<'_>, limits: &[u16]) -> Result<(), NoKey> {
    for limit in limits {
        let limit = RouteLimit { limit: *limit, cost: 1, own: true };
        decision.charge_limit(request, limit, 0, Verb::Take)?;
    }
    Ok(())
}

/// A decision about descriptors that is made at once, or by awaiting it: see
/// [`HttpLimiter::decide_descriptors`].
///
/// # Cancel safety
///
/// If the future is dropped, the store may still take the permits.
#[must_use = "without it nobody knows whether the request may go on"]
pub struct DecidingDescriptors {
    decided: DescriptorsDecision,
    /// What is still to be known.
    waiting: Option<Box<Waiting>>,
}

/// A store that answers later, and what it is asked.
struct Waiting {
    limiter: HttpLimiter,
    policy: Arc<Compiled>,
    asking: Asking,
    later: Later,
}

impl DecidingDescriptors {
    /// The decision, if it is made: always, if the buckets are in memory.
    ///
    /// # Errors
    ///
    /// The future decision, if the store answers later.
    pub fn now(self) -> Result<DescriptorsDecision, Self> {
        if self.waiting.is_none() { Ok(self.decided) } else { Err(self) }
    }
}

impl Future for DecidingDescriptors {
    type Output = DescriptorsDecision;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<DescriptorsDecision> {
        let this = &mut *self;
        while let Some(waiting) = &mut this.waiting {
            let answers = ready!(waiting.later.as_mut().poll(context));
            let Waiting { limiter, policy, asking, later } = &mut **waiting;
            let engine = limiter.engine();
            asking.answered(engine, answers);
            if let Some(next) = asking.go_on(engine, policy) {
                *later = next;
            } else {
                conclude(engine, policy, asking, &mut this.decided);
                this.waiting = None;
            }
        }
        Poll::Ready(DescriptorsDecision(std::mem::take(&mut this.decided.0)))
    }
}

impl fmt::Debug for Descriptor<'_> {
    /// The values of entries are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.entries.iter().map(|(key, _)| *key).collect();
        f.debug_struct("Descriptor")
            .field("entries", &keys)
            .field("hits", &self.hits)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DecidingDescriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("DecidingDescriptors");
        debug.field("is_made", &self.waiting.is_none()).finish_non_exhaustive()
    }
}
