//! The limiter: a policy in force, which can be replaced while requests are decided.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::builder::HttpLimiterBuilder;
use super::compiled::Compiled;
use super::decide::Engine;
use super::deciding::Deciding;
use super::decision::Decision;
use super::error::BuildError;
use super::explain::Explanation;
use super::facts::Facts;
use super::key::{Hashed, Key, Part};
use super::store::{Charge, Later, Reply, Store, StoreError, Verb};
use crate::engine::reload::Reloads;
use crate::policy::Policy;

/// Decides about requests under a [`Policy`]. A clone is the same limiter.
///
/// ```
/// use std::net::IpAddr;
/// use tollgate_http::{Facts, HttpLimiter, Policy};
///
/// let policy: Policy = r#"
///     version = 1
///     always = ["calls"]
///     [limits.calls]
///     quota = "2/h"
///     key = "caller"
/// "#.parse()?;
/// let limiter = HttpLimiter::new(&policy)?;
/// let address: IpAddr = "203.0.113.7".parse()?;
/// let ask = |user: &str| {
///     let facts = Facts::new("GET", "/v1/items").peer(address).user(user);
///     limiter.decide(&facts).now().expect("memory answers at once")
/// };
/// assert!(ask("alice").is_allowed() && ask("alice").is_allowed());
/// let refused = ask("alice");
/// assert_eq!(refused.status(), Some(429));
/// assert_eq!(refused.refused_by().collect::<Vec<_>>(), ["calls"]);
/// assert!(ask("bob").is_allowed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct HttpLimiter(Arc<Inner>);

struct Inner {
    current: ArcSwap<Compiled>,
    engine: Engine,
    store: Arc<dyn Store>,
    /// How often handlers have changed what a request is charged.
    handle_uses: AtomicUsize,
    reloads: Reloads,
    /// Policies that were replaced, and that requests may still use.
    retired: Mutex<Vec<Arc<Compiled>>>,
}

/// A limiter that ends if nobody else uses it.
#[cfg(feature = "watch")]
pub(crate) struct WeakLimiter(std::sync::Weak<Inner>);

impl HttpLimiter {
    /// A limiter under `policy`, with its buckets in memory.
    ///
    /// # Errors
    ///
    /// If the store can't keep a limit of the policy; memory can keep all that a policy may have.
    pub fn new(policy: impl Borrow<Policy>) -> Result<Self, BuildError> {
        Self::builder(policy).build()
    }

    /// Starts building a limiter with options.
    pub fn builder(policy: impl Borrow<Policy>) -> HttpLimiterBuilder {
        HttpLimiterBuilder::new(policy.borrow())
    }

    pub(super) fn from_parts(policy: Compiled, engine: Engine, store: Arc<dyn Store>) -> Self {
        let reloads = Reloads::new(&policy.policy, (engine.wall_clock)());
        let (current, handle_uses) = (ArcSwap::from_pointee(policy), AtomicUsize::new(0));
        let retired = Mutex::default();
        Self(Arc::new(Inner { current, engine, store, handle_uses, reloads, retired }))
    }

    /// Decides about a request, and takes its permits from all limits or from none. If the request
    /// goes on, then tell the status of the answer by [`answered`](Self::answered), or a route's
    /// `charge` has no effect.
    pub fn decide(&self, facts: &Facts<'_>) -> Deciding {
        let mut deciding = Deciding { decision: self.undecided(), later: None };
        let later = self.decide_into(&mut deciding.decision, facts);
        deciding.later = later.map(|later| (self.clone(), later));
        deciding
    }

    /// A decision under the policy in force, of which nothing is known yet.
    pub(crate) fn undecided(&self) -> Decision {
        Decision::new(self.0.current.load_full(), self.0.engine.started())
    }

    /// Decides about a request where the decision stays. If the store answers later, returns its
    /// answers, with which the engine concludes the decision.
    pub(crate) fn decide_into(&self, decision: &mut Decision, facts: &Facts<'_>) -> Option<Later> {
        self.0.engine.decide(decision, facts, Verb::Take)
    }

    /// Tells what would be decided about a request, and why, and takes nothing. `None` if the
    /// limits are in a store that can't answer at once.
    #[must_use]
    pub fn explain(&self, facts: &Facts<'_>) -> Option<Explanation> {
        let mut decision = self.undecided();
        let later = self.0.engine.decide(&mut decision, facts, Verb::Look);
        later.is_none().then(|| Explanation::new(decision))
    }

    /// Tells the limiter the status of the answer to a request that was allowed. If the route does
    /// not charge this status, its own limits get their permits back, and the decision then says
    /// what is left. Only the first status counts.
    pub fn answered(&self, decision: &mut Decision, status: u16) {
        if std::mem::replace(&mut decision.is_answered, true) {
            return;
        }
        let policy = Arc::clone(&decision.policy);
        let route = decision.route.and_then(|route| policy.routes.get(usize::from(route)));
        let charge = route.and_then(|route| route.charge.as_deref());
        let gives_back = charge.is_some_and(|charged| {
            !charged.iter().any(|(first, last)| (*first..=*last).contains(&status))
        });
        if gives_back && decision.is_allowed() {
            #[cfg(feature = "metrics")]
            policy.metrics.returned(&decision.charges);
            let returned = |charge: &Charge| charge.is_returnable().then_some(charge.cost);
            change(&policy, Verb::Credit, &mut decision.charges, returned);
        }
    }

    /// Changes what is charged for a request to one of its limits, or to all its enforced ones, by
    /// [`Verb::Consume`] or [`Verb::Credit`]. Returns whether the request has the limit.
    pub(crate) fn change(
        &self,
        of: &Decision,
        verb: Verb,
        limit: Option<&str>,
        permits: u64,
    ) -> bool {
        let is_meant = |charge: &Charge| match limit {
            Some(name) => *of.policy.limits[charge.limit].name == *name,
            None => !charge.shadow,
        };
        let mut charges = of.charges.clone();
        let cost = |charge: &Charge| is_meant(charge).then_some(permits);
        change(&of.policy, verb, &mut charges, cost);
        self.0.handle_uses.fetch_add(1, Ordering::Relaxed);
        of.charges.iter().any(is_meant)
    }

    /// Counts a violation against the caller of a request; returns the block that it begins.
    pub(crate) fn violation(&self, of: &Decision) -> Option<Duration> {
        let (key, rules) = (of.penalty_key.as_ref()?, of.policy.penalty.as_ref()?);
        let block = self.0.engine.penalties.count(key, rules)?;
        if block.begins {
            self.0.engine.observe_reported(of, key, block.rest);
        }
        Some(block.rest)
    }

    /// How often handlers have changed what a request is charged.
    pub(crate) fn handle_uses(&self) -> usize {
        self.0.handle_uses.load(Ordering::Relaxed)
    }

    /// Notes what is left of the limits of a request now.
    pub(crate) fn look_again(decision: &mut Decision) {
        let policy = Arc::clone(&decision.policy);
        let enforced = |charge: &Charge| (!charge.shadow).then_some(0);
        change(&policy, Verb::Look, &mut decision.charges, enforced);
    }

    /// Replaces the policy; returns the one before.
    pub(crate) fn replace(&self, policy: &Policy) -> Result<Arc<Compiled>, StoreError> {
        let compiled = Arc::new(Compiled::new(policy, &*self.0.store)?);
        if let Some(penalty) = &compiled.penalty {
            self.0.engine.penalties.set_after(penalty.after);
        }
        let before = self.0.current.swap(compiled);
        // A request that ends does not spend its time on freeing a large policy: reloads do.
        self.0.retired.lock().push(Arc::clone(&before));
        Ok(before)
    }

    /// Frees the policies that were replaced and that no request uses any more, with the buckets of
    /// limits that have ended.
    pub(crate) fn free_retired(&self) {
        let mut free = Vec::new();
        let mut retired = self.0.retired.lock();
        retired.retain(|policy| {
            let is_used = Arc::strong_count(policy) > 1;
            if !is_used {
                free.push(Arc::clone(policy));
            }
            is_used
        });
        // Policies are large, and own what the application has given: freed without the lock.
        drop(retired);
    }

    /// The compiled policy in force.
    pub(crate) fn current(&self) -> Arc<Compiled> {
        self.0.current.load_full()
    }

    pub(crate) fn reloads(&self) -> &Reloads {
        &self.0.reloads
    }

    #[cfg(feature = "watch")]
    pub(crate) fn downgrade(&self) -> WeakLimiter {
        WeakLimiter(Arc::downgrade(&self.0))
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.0.current.load().policy.clone()
    }

    /// The keys that the limit `name` has refused most, and how many permits they were refused, the
    /// most refused first; at most `n`. Empty if there is no such limit.
    #[must_use]
    pub fn most_limited(&self, name: &str, n: usize) -> Vec<(Key, u64)> {
        let policy = self.0.current.load();
        let limit = policy.limits.iter().position(|limit| *limit.name == *name);
        limit.map_or_else(Vec::new, |limit| policy.buckets.most_limited(limit, n))
    }

    /// The callers that are in a penalty, and for how long.
    #[must_use]
    pub fn penalties(&self) -> Vec<(Key, Duration)> {
        self.0.engine.penalties.list()
    }

    /// Ends the penalty of a caller, and forgets it; returns whether there was one.
    #[allow(clippy::must_use_candidate, reason = "it is lifted in any case")]
    pub fn lift_penalty(&self, key: &Key) -> bool {
        self.0.engine.penalties.lift(key)
    }

    /// The keyed hash that stands for an API key in this limiter: in keys, in logs and on status
    /// pages. It differs from process to process.
    #[must_use]
    pub fn hash_of_api_key(&self, key: &str) -> Hashed {
        self.0.engine.secret.hash_api_key(key)
    }

    /// The keyed hash that stands for a key in events of `tracing` and in violations. It differs
    /// from process to process.
    #[must_use]
    pub fn hash_of_key(&self, key: &impl AsRef<[Part]>) -> Hashed {
        self.0.engine.secret.hash_of_parts(key.as_ref())
    }

    /// Whether this is the same limiter.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }
}

#[cfg(feature = "watch")]
impl WeakLimiter {
    /// The limiter, if anybody else uses it.
    pub(crate) fn upgrade(&self) -> Option<HttpLimiter> {
        self.0.upgrade().map(HttpLimiter)
    }
}

/// Does what `verb` says with those charges of a request for which `cost` says how much, and notes
/// what is then left.
fn change(
    policy: &Compiled,
    verb: Verb,
    charges: &mut [Charge],
    cost: impl Fn(&Charge) -> Option<u64>,
) {
    let mut changed: SmallVec<[Charge; 4]> = charges
        .iter()
        .filter_map(|charge| Some(Charge { cost: cost(charge)?, ..charge.clone() }))
        .collect();
    // A store that answers later does its work also if nobody awaits the answer.
    if matches!(policy.buckets.ask(verb, &mut changed), Reply::Now) {
        let charges = charges.iter_mut().filter(|charge| cost(charge).is_some());
        for (charge, changed) in charges.zip(changed) {
            charge.answer = changed.answer;
        }
    }
}

impl fmt::Debug for HttpLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLimiter").finish_non_exhaustive()
    }
}
