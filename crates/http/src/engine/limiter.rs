//! The limiter: a policy in force, which can be replaced while requests are decided.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use smallvec::SmallVec;
use tollgate::Clock;

use super::compiled::Compiled;
use super::decide::{Engine, Step};
use super::decision::{Decision, LimitPart};
use super::error::BuildError;
use super::explain::Explanation;
use super::facts::Facts;
use super::key::{Hashed, Key};
use super::penalty::Penalties;
use super::secret::Secret;
use super::store::{Answers, Charge, EngineClock, Later, Memory, Reply, Store, StoreError, Verb};
use crate::observe::{Observer, ObserverOptions, Started};
use crate::policy::Policy;
use crate::reload::Reloads;

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
}

/// A limiter that ends if nobody else uses it.
#[cfg(feature = "watch")]
pub(crate) struct WeakLimiter(std::sync::Weak<Inner>);

/// Collects the options of an [`HttpLimiter`].
#[must_use = "nothing is built before `build`"]
pub struct HttpLimiterBuilder {
    policy: Policy,
    clock: EngineClock,
    store: Option<Arc<dyn Store>>,
    wall_clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    fails_closed: bool,
    pub(crate) observer: ObserverOptions,
    #[cfg(feature = "watch")]
    pub(crate) watched: Option<crate::reload::Watched>,
}

impl HttpLimiter {
    /// A limiter under `policy`, with its buckets in memory.
    ///
    /// # Errors
    ///
    /// If the store can't keep a limit of the policy; memory can keep all that a policy may have.
    pub fn new(policy: &Policy) -> Result<Self, BuildError> {
        Self::builder(policy).build()
    }

    /// Starts building a limiter with options.
    pub fn builder(policy: &Policy) -> HttpLimiterBuilder {
        HttpLimiterBuilder {
            policy: policy.clone(),
            clock: EngineClock::default(),
            store: None,
            wall_clock: Box::new(SystemTime::now),
            fails_closed: false,
            observer: ObserverOptions::default(),
            #[cfg(feature = "watch")]
            watched: None,
        }
    }

    /// Decides about a request, and takes its permits from all limits or from none.
    pub fn decide(&self, facts: &Facts<'_>) -> Deciding {
        let started = self.0.engine.started();
        let policy = self.0.current.load_full();
        match self.0.engine.decide(&policy, facts, Verb::Take) {
            Step::Done(decision) => {
                self.0.engine.observe(&decision, started);
                Deciding(State::Now(Some(decision)))
            }
            Step::Waits(decision, later) => {
                let (limiter, decision) = (self.clone(), Some(decision));
                Deciding(State::Later { limiter, decision, later, started })
            }
        }
    }

    /// Tells what would be decided about a request, and why, and takes nothing. `None` if the
    /// limits are in a store that can't answer at once.
    #[must_use]
    pub fn explain(&self, facts: &Facts<'_>) -> Option<Explanation> {
        let policy = self.0.current.load_full();
        match self.0.engine.decide(&policy, facts, Verb::Look) {
            Step::Done(decision) => Some(Explanation::new(decision)),
            Step::Waits(..) => None,
        }
    }

    /// Tells the limiter the status of the answer to a request that was allowed. If the route does
    /// not charge this status, its own limits get their permits back, and the decision then says
    /// what is left.
    pub fn answered(&self, decision: &mut Decision, status: u16) {
        let Some(route) = decision.route.and_then(|at| decision.policy.routes.get(usize::from(at)))
        else {
            return;
        };
        let is_charged = |charge: &[(u16, u16)]| {
            charge.iter().any(|(first, last)| (*first..=*last).contains(&status))
        };
        if decision.is_allowed() && !route.charge.as_deref().is_none_or(is_charged) {
            let policy = Arc::clone(&decision.policy);
            #[cfg(feature = "metrics")]
            policy.metrics.returned(&decision.limits);
            change(&policy, Verb::Credit, &mut decision.limits, |part| {
                part.is_returnable().then_some(part.cost)
            });
        }
    }

    /// Charges `permits` more to a limit of a request, or to all its enforced ones, as debt if they
    /// are not there. Returns whether the request has the limit.
    pub(crate) fn charge_more(&self, of: &Decision, limit: Option<&str>, permits: u64) -> bool {
        self.change_by_handle(of, Verb::Consume, limit, permits)
    }

    /// Gives `permits` back to a limit of a request, or to all its enforced ones. Returns whether
    /// the request has the limit.
    pub(crate) fn give_back(&self, of: &Decision, limit: Option<&str>, permits: u64) -> bool {
        self.change_by_handle(of, Verb::Credit, limit, permits)
    }

    fn change_by_handle(
        &self,
        of: &Decision,
        verb: Verb,
        limit: Option<&str>,
        permits: u64,
    ) -> bool {
        let policy = &of.policy;
        let is_meant = |part: &LimitPart| match limit {
            Some(name) => *policy.limits[usize::from(part.limit)].name == *name,
            None => !part.shadow,
        };
        let is_there = of.limits.iter().any(is_meant);
        change(policy, verb, &mut of.limits.clone(), |part| is_meant(part).then_some(permits));
        self.0.handle_uses.fetch_add(1, Ordering::Relaxed);
        is_there
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
    pub(crate) fn look_again(&self, decision: &mut Decision) {
        let policy = Arc::clone(&decision.policy);
        change(&policy, Verb::Look, &mut decision.limits, |part| (!part.shadow).then_some(0));
    }

    /// Replaces the policy; returns the one before.
    pub(crate) fn replace(&self, policy: &Policy) -> Result<Arc<Compiled>, StoreError> {
        let compiled = Arc::new(Compiled::new(policy, &*self.0.store)?);
        if let Some(penalty) = &compiled.penalty {
            self.0.engine.penalties.set_after(penalty.after);
        }
        Ok(self.0.current.swap(compiled))
    }

    /// The compiled policy in force.
    #[cfg(feature = "metrics")]
    pub(crate) fn compiled(&self) -> Arc<Compiled> {
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
    pub fn lift_penalty(&self, key: &Key) -> bool {
        self.0.engine.penalties.lift(&key.view())
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
    pub fn hash_of_key(&self, key: &Key) -> Hashed {
        key.hashed(&self.0.engine.secret)
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

/// Gives back or takes what `cost` says of each part of a decision, and notes what is then left.
/// A store that answers later does it in the background of the caller's runtime: nobody waits for
/// the answer.
fn change(
    policy: &Compiled,
    verb: Verb,
    parts: &mut SmallVec<[LimitPart; 4]>,
    cost: impl Fn(&LimitPart) -> Option<u64>,
) {
    let changed: SmallVec<[(usize, u64); 4]> =
        parts.iter().enumerate().filter_map(|(at, part)| Some((at, cost(part)?))).collect();
    let charges: SmallVec<[Charge<'_>; 4]> = changed
        .iter()
        .map(|(at, cost)| {
            let part = &parts[*at];
            Charge {
                limit: usize::from(part.limit),
                key: part.key.view(),
                quota: usize::try_from(part.quota).unwrap_or(0),
                cost: *cost,
                shadow: part.shadow,
            }
        })
        .collect();
    if charges.is_empty() {
        return;
    }
    let mut answers = Answers::new();
    let reply = policy.buckets.ask(verb, &charges, &mut answers);
    drop(charges);
    if let Reply::Now = reply {
        for ((at, _), answer) in changed.iter().zip(answers) {
            parts[*at].answer = answer;
        }
    }
}

impl HttpLimiterBuilder {
    /// The clock of the buckets in memory, and of penalties. Default: the core's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = EngineClock::Other(Arc::new(clock));
        self
    }

    /// The time of day: for the ends of blocks, and for `X-RateLimit-Reset` as an epoch. Default:
    /// the system's clock.
    pub fn wall_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.wall_clock = Box::new(now);
        self
    }

    /// Where the buckets are. Default: in memory.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Whether requests are refused with 503 while the store fails. Default: they go on. Memory
    /// does not fail.
    pub fn fail_closed(mut self, fails_closed: bool) -> Self {
        self.fails_closed = fails_closed;
        self
    }

    /// Builds the limiter.
    ///
    /// # Errors
    ///
    /// If the store can't keep a limit of the policy, or the operating system refuses a thread that
    /// the limiter needs for [`on_violation`](Self::on_violation) or to watch a file.
    pub fn build(self) -> Result<HttpLimiter, BuildError> {
        let clock = self.clock;
        let store = self.store.unwrap_or_else(|| Arc::new(Memory::on(clock.clone())));
        let compiled = Compiled::new(&self.policy, &*store)?;
        let engine = Engine {
            secret: Secret::new(),
            penalties: Penalties::new(clock.clone()),
            wall_clock: self.wall_clock,
            fails_closed: self.fails_closed,
            observer: Observer::new(self.observer, clock)?,
        };
        if let Some(penalty) = &compiled.penalty {
            engine.penalties.set_after(penalty.after);
        }
        let reloads = Reloads::new(&self.policy, (engine.wall_clock)());
        let (current, handle_uses) = (ArcSwap::from_pointee(compiled), AtomicUsize::new(0));
        let inner = Inner { current, engine, store, handle_uses, reloads };
        let limiter = HttpLimiter(Arc::new(inner));
        #[cfg(feature = "metrics")]
        limiter.measure_first_policy();
        #[cfg(feature = "watch")]
        if let Some(watched) = self.watched {
            limiter.watch(watched)?;
        }
        Ok(limiter)
    }
}

/// A decision that is made at once, or by awaiting it: see [`HttpLimiter::decide`].
#[must_use = "without it nobody knows whether the request may go on"]
pub struct Deciding(State);

enum State {
    Now(Option<Decision>),
    Later { limiter: HttpLimiter, decision: Option<Decision>, later: Later, started: Started },
}

impl Deciding {
    /// The decision, if it is made: always, if the buckets are in memory.
    ///
    /// # Errors
    ///
    /// The future decision, if the store answers later.
    pub fn now(self) -> Result<Decision, Self> {
        match self.0 {
            State::Now(Some(decision)) => Ok(decision),
            later => Err(Self(later)),
        }
    }
}

impl Future for Deciding {
    type Output = Decision;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Decision> {
        match &mut self.0 {
            State::Now(decision) => match decision.take() {
                Some(decision) => Poll::Ready(decision),
                None => panic!("a decision was polled after it was made"),
            },
            State::Later { limiter, decision, later, started } => {
                let answers = std::task::ready!(later.as_mut().poll(context));
                match decision.take() {
                    Some(decision) => {
                        let decision = limiter.engine().conclude(decision, answers);
                        limiter.engine().observe(&decision, *started);
                        Poll::Ready(decision)
                    }
                    None => panic!("a decision was polled after it was made"),
                }
            }
        }
    }
}

impl fmt::Debug for Deciding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Now(decision) => f.debug_tuple("Now").field(decision).finish(),
            State::Later { decision, .. } => f.debug_tuple("Later").field(decision).finish(),
        }
    }
}

impl fmt::Debug for HttpLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLimiter").finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpLimiterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLimiterBuilder").finish_non_exhaustive()
    }
}
