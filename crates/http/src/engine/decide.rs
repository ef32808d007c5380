//! One request through the engine, in the order of rule P3.
//!
//! [`Engine::decide`] finds everything that is known without asking a limit: the route, the tier,
//! whether the request is blocked, exempt or in a penalty, and its charges. The store then answers
//! the charges, at once or later. `settle` makes the decision from the answers, and counts a
//! refusal against its caller. A decision is filled in where it stays, because it is large.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use smallvec::SmallVec;
use tollgate::Quota;

use super::compiled::{Compiled, RouteLimit};
use super::decision::{Decision, Outcome};
use super::facts::Facts;
use super::penalty::Penalties;
use super::request::{NoKey, Request};
use super::secret::Secret;
use super::store::{Answer, Charge, Later, Reply, StoreError, Verb, Verdict, note_answers};
use super::subjects::Matching;
use crate::engine::observe::{Observer, Started};
use crate::policy::{Missing, Mode};

/// What decisions need beside a policy. It stays the same when the policy is reloaded.
pub(crate) struct Engine {
    pub(crate) secret: Secret,
    pub(crate) penalties: Penalties,
    /// The time of day, for the ends of blocks and for headers.
    pub(crate) wall_clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    /// Whether requests are refused while the store fails.
    pub(crate) fails_closed: bool,
    /// Tells what was decided.
    pub(crate) observer: Observer,
}

impl Engine {
    /// Decides about a request. `verb` is [`Verb::Take`], or [`Verb::Look`] to tell and not to take.
    /// `decision` is a new one under `policy`. If the store answers later, returns its answers, for
    /// [`conclude`](Self::conclude).
    pub(crate) fn decide(
        &self,
        decision: &mut Decision,
        facts: &Facts<'_>,
        verb: Verb,
    ) -> Option<Later> {
        let later = self.begin(decision, facts, verb);
        if later.is_none() && verb == Verb::Take {
            self.observe(decision);
        }
        later
    }

    fn begin(&self, decision: &mut Decision, facts: &Facts<'_>, verb: Verb) -> Option<Later> {
        self.prepare(decision, facts, verb);
        if decision.charges.is_empty() {
            return None;
        }
        let policy = Arc::clone(&decision.policy);
        match policy.buckets.ask(verb, &mut decision.charges) {
            Reply::Now => self.settle(decision),
            Reply::Failed(error) => self.fail(decision, &error),
            Reply::Later(later) => return Some(later),
        }
        None
    }

    /// Finds everything that is known without asking a limit. Limits are to be asked if the decision
    /// has charges then.
    pub(crate) fn prepare(&self, decision: &mut Decision, facts: &Facts<'_>, verb: Verb) {
        let policy = Arc::clone(&decision.policy);
        if policy.settings().mode == Mode::Off {
            return;
        }
        let (request, one_reading) = Request::new(facts, &policy, &self.secret);
        decision.route = request.route;
        let client = request.client();
        if policy.subjects.needs_address() && client.is_err() && !facts.address_is_odd {
            return decision.refuse(Outcome::NoPeer, 500);
        }
        let subject = policy.subjects.matching(request.user(), facts.api_key, client.ok());
        if subject.is_blocked(&self.wall_clock) {
            return decision.refuse(Outcome::Blocked, 403);
        }
        if one_reading.is_err() {
            return decision.refuse(Outcome::Ambiguous, 400);
        }
        if request.is_preflight() || subject.is_exempt() {
            return;
        }
        decision.tier = self.tier(&policy, facts, &subject, verb);
        if let Some(penalty) = &policy.penalty {
            // The address stands for a part that is missing.
            match request.key(&penalty.key, Some(Missing::Address), penalty.prefixes) {
                Ok(key) => {
                    let rest = self.penalties.rest(&key);
                    // A refusal that is only told does not count.
                    decision.penalty_key = Some(key).filter(|_| verb == Verb::Take);
                    if let Some(rest) = rest {
                        decision.retry_after = Some(rest);
                        return decision.refuse(Outcome::Penalty, 429);
                    }
                }
                Err(_) => return decision.refuse(Outcome::NoPeer, 500),
            }
        }
        decision.outcome = Outcome::Allowed;
        if let Err(why) = decision.charge(&request, &subject, verb) {
            decision.refuse_without_key(why);
        }
    }

    /// The subject's tier, else the application's if the policy knows it, else the default.
    fn tier(
        &self,
        policy: &Compiled,
        facts: &Facts<'_>,
        subject: &Matching<'_>,
        verb: Verb,
    ) -> Option<u16> {
        let applications = || {
            let name = facts.tier?;
            let tier = policy.tier(name);
            if tier.is_none() && verb == Verb::Take {
                self.observe_unknown_tier(policy, name);
            }
            tier
        };
        subject.tier().or_else(applications).or(policy.default_tier)
    }

    /// Makes the decision from the answers of the store.
    pub(crate) fn conclude(
        &self,
        decision: &mut Decision,
        answers: Result<Vec<Answer>, StoreError>,
    ) {
        match note_answers(&mut decision.charges, answers) {
            Ok(()) => self.settle(decision),
            Err(error) => self.fail(decision, &error),
        }
        self.observe(decision);
    }

    /// The store has failed.
    #[cold]
    pub(crate) fn fail(&self, decision: &mut Decision, error: &StoreError) {
        self.observer.store_failed(error);
        decision.charges.clear();
        decision.outcome = Outcome::StoreFailed;
        if self.fails_closed {
            decision.retry_after = Some(SECOND);
            decision.refuse(Outcome::StoreFailed, 503);
        }
    }

    /// Makes the decision from the answers of the limits.
    pub(crate) fn settle(&self, decision: &mut Decision) {
        // The longest wait, and the status of the limit that has it.
        let mut longest: Option<(Wait, u16)> = None;
        for charge in decision.charges.iter().filter(|charge| !charge.shadow) {
            let Some(wait) = Wait::of(&charge.answer) else { continue };
            if longest.is_none_or(|(longer, _)| longer < wait) {
                longest = Some((wait, decision.limit(charge).status));
            }
        }
        let Some((wait, status)) = longest else { return };
        decision.retry_after = wait.retry_after();
        if wait == Wait::Full {
            decision.refuse(Outcome::Full, 503);
            return;
        }
        decision.refuse(Outcome::Refused, status);
        if let (Some(key), Some(rules)) = (&decision.penalty_key, &decision.policy.penalty)
            && let Some(block) = self.penalties.count(key, rules)
        {
            decision.retry_after = Some(block.rest);
            decision.status = Some(429);
            decision.begins_penalty = block.begins;
            if !block.begins {
                // Another request has begun it meanwhile.
                decision.outcome = Outcome::Penalty;
            }
        }
    }
}

/// What the client is told if a limit has no room for it, or if the store fails.
const SECOND: Duration = Duration::from_secs(1);

/// How long a refusal lasts, the shortest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    Full,
    For(Duration),
    Never,
}

impl Wait {
    /// The wait of a limit that has refused.
    fn of(answer: &Answer) -> Option<Self> {
        match answer.verdict {
            Verdict::Granted => None,
            Verdict::Refused => Some(Self::For(answer.wait)),
            Verdict::Full => Some(Self::Full),
            Verdict::Never => Some(Self::Never),
        }
    }

    fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Full => Some(SECOND),
            Self::For(wait) => Some(wait),
            Self::Never => None,
        }
    }
}

impl Decision {
    /// A decision that nothing is known of yet.
    pub(crate) fn new(policy: Arc<Compiled>, started: Started) -> Self {
        Self {
            policy,
            outcome: Outcome::Exempt,
            route: None,
            tier: None,
            retry_after: None,
            status: None,
            charges: SmallVec::new(),
            penalty_key: None,
            begins_penalty: false,
            has_usual_limits: true,
            is_answered: false,
            started,
        }
    }

    /// Refuses the request, unless the policy only tells.
    pub(crate) fn refuse(&mut self, outcome: Outcome, status: u16) {
        self.outcome = outcome;
        if self.policy.settings().mode == Mode::Shadow {
            self.retry_after = None;
        } else {
            self.status = Some(status);
        }
    }

    /// Refuses a request for which a limit has no key.
    pub(crate) fn refuse_without_key(&mut self, why: NoKey) {
        // The limits before this one were not asked either.
        self.charges.clear();
        match why {
            NoKey::NoPeer => self.refuse(Outcome::NoPeer, 500),
            NoKey::Refuse | NoKey::Skip => self.refuse(Outcome::MissingKey, 403),
        }
    }

    /// Notes the charges of a request (rules P4 and P5).
    fn charge(
        &mut self,
        request: &Request<'_>,
        subject: &Matching<'_>,
        verb: Verb,
    ) -> Result<(), NoKey> {
        let policy = request.policy;
        let limits: &[RouteLimit] = request.route().map_or(&policy.no_route, |route| &route.limits);
        for limit in limits.iter().copied() {
            self.has_usual_limits &= subject.quota(limit.limit).is_none();
            let quota = self.quota(subject, limit.limit);
            self.charge_limit(request, limit, quota, verb)?;
        }
        Ok(())
    }

    /// The quota of a limit, by its index: the subject's, else the tier's, else the limit's own.
    #[inline]
    pub(crate) fn quota(&self, subject: &Matching<'_>, limit: u16) -> u32 {
        let tiers = || {
            let tier = self.policy.tiers.get(usize::from(self.tier?))?;
            tier.quotas.get(usize::from(limit)).copied()
        };
        subject.quota(limit).or_else(tiers).unwrap_or(0)
    }

    /// Notes the charge of one limit under one of its quotas.
    #[inline]
    pub(crate) fn charge_limit(
        &mut self,
        request: &Request<'_>,
        RouteLimit { limit: index, cost, own }: RouteLimit,
        quota: u32,
        verb: Verb,
    ) -> Result<(), NoKey> {
        let at = usize::from(index);
        let limit = &request.policy.limits[at];
        let quota = usize::try_from(quota).unwrap_or(0);
        let is_unlimited = limit.quotas.get(quota).is_none_or(Quota::is_unlimited);
        if is_unlimited && verb == Verb::Take {
            return Ok(());
        }
        let key = match request.key(&limit.key, limit.missing, limit.prefixes) {
            Ok(key) => key,
            // A limit that only tells refuses nothing, and neither does an unlimited quota.
            Err(_) if limit.shadow || is_unlimited => return Ok(()),
            Err(NoKey::Skip) => {
                self.has_usual_limits = false;
                return Ok(());
            }
            Err(why) => return Err(why),
        };
        let (shadow, answer) = (limit.shadow, Answer::UNLIMITED);
        self.charges.push(Charge { limit: at, key, quota, cost, shadow, own, answer });
        Ok(())
    }
}
