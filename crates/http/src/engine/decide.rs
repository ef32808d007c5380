//! One request through the engine, in the order of rule P3.
//!
//! [`Engine::decide`] finds everything that is known without asking a limit: the route, the tier,
//! whether the request is blocked, exempt or in a penalty, and its charges. The store then answers
//! the charges. [`Engine::conclude`] makes the decision from the answers, and counts a refusal
//! against its caller.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use smallvec::SmallVec;
use tollgate::keyed::ToKey;

use super::compiled::{Compiled, RouteLimit};
use super::decision::{Decision, LimitPart, Outcome};
use super::facts::Facts;
use super::penalty::Penalties;
use super::request::{NoKey, Request};
use super::secret::Secret;
use super::store::{Answer, Answers, Charge, Later, Refused, Reply, StoreError, Verb};
use super::subjects::Matching;
use crate::observe::Observer;
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

/// A decision, or the answers that it waits for.
pub(crate) enum Step {
    /// The decision is made.
    Done(Decision),
    /// [`Engine::conclude`] makes the decision once the answers are there.
    Waits(Decision, Later),
}

impl Engine {
    /// Decides about a request. `verb` is [`Verb::Take`], or [`Verb::Look`] to tell and not to take.
    pub(crate) fn decide(&self, policy: &Arc<Compiled>, facts: &Facts<'_>, verb: Verb) -> Step {
        let (request, one_reading) = Request::new(facts, policy, &self.secret);
        let mut decision = Decision::new(policy, request.route);
        if policy.settings().mode == Mode::Off {
            return Step::Done(decision);
        }
        let client = request.client();
        if policy.subjects.needs_address() && client.is_err() {
            return Step::Done(decision.refused(Outcome::NoPeer, 500));
        }
        let subject = policy.subjects.matching(request.user(), facts.api_key, client.ok());
        if subject.is_blocked(&self.wall_clock) {
            return Step::Done(decision.refused(Outcome::Blocked, 403));
        }
        if one_reading.is_err() {
            return Step::Done(decision.refused(Outcome::Ambiguous, 400));
        }
        if request.is_preflight() || subject.is_exempt() {
            return Step::Done(decision);
        }
        decision.tier = tier(policy, facts, &subject);
        if let Some(penalty) = policy.penalty.as_ref().filter(|_| verb == Verb::Take) {
            // The address stands for a part that is missing.
            match request.key(&penalty.key, Some(Missing::Address), penalty.prefixes) {
                Ok(key) => {
                    decision.penalty_key = Some(key.to_key());
                    if let Some(rest) = self.penalties.rest(&key) {
                        decision.retry_after = Some(rest);
                        return Step::Done(decision.refused(Outcome::Penalty, 429));
                    }
                }
                Err(_) => return Step::Done(decision.refused(Outcome::NoPeer, 500)),
            }
        }
        decision.outcome = Outcome::Allowed;
        let charges = match charges(&request, &subject, &mut decision, verb) {
            Ok(charges) => charges,
            Err(why) => {
                // The limits before the one without a key were not asked either.
                decision.limits.clear();
                return Step::Done(match why {
                    NoKey::NoPeer => decision.refused(Outcome::NoPeer, 500),
                    NoKey::Refuse | NoKey::Skip => decision.refused(Outcome::MissingKey, 403),
                });
            }
        };
        if charges.is_empty() {
            return Step::Done(decision);
        }
        let mut answers = Answers::new();
        match policy.buckets.ask(verb, &charges, &mut answers) {
            Reply::Now => Step::Done(self.conclude(decision, Ok(answers))),
            Reply::Failed(error) => Step::Done(self.conclude(decision, Err(error))),
            Reply::Later(later) => Step::Waits(decision, later),
        }
    }

    /// Makes the decision from the answers of the store.
    pub(crate) fn conclude(
        &self,
        mut decision: Decision,
        answers: Result<Answers, StoreError>,
    ) -> Decision {
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                self.observer.store_failed(&error);
                decision.limits.clear();
                decision.outcome = Outcome::StoreFailed;
                decision.status = self.fails_closed.then_some(503);
                decision.retry_after = self.fails_closed.then_some(SECOND);
                return decision;
            }
        };
        for (part, answer) in decision.limits.iter_mut().zip(answers) {
            part.answer = answer;
        }
        // The longest wait, and the status of the limit that has it.
        let mut longest: Option<(Wait, u16)> = None;
        for part in decision.limits.iter().filter(|part| !part.shadow) {
            let Some(refused) = part.answer.refused else { continue };
            let wait = Wait::of(refused);
            if longest.is_none_or(|(longer, _)| longer < wait) {
                longest = Some((wait, decision.limit(part).status));
            }
        }
        let Some((wait, status)) = longest else { return decision };
        decision.retry_after = wait.retry_after();
        if wait == Wait::Full {
            return decision.refused(Outcome::Full, 503);
        }
        if let (Some(key), Some(rules)) = (&decision.penalty_key, &decision.policy.penalty) {
            if let Some(block) = self.penalties.count(key, rules) {
                decision.retry_after = Some(block.rest);
                decision.begins_penalty = block.begins;
                let outcome = if block.begins { Outcome::Refused } else { Outcome::Penalty };
                return decision.refused(outcome, 429);
            }
        }
        decision.refused(Outcome::Refused, status)
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
    fn of(refused: Refused) -> Self {
        match refused {
            Refused::For(wait) => Self::For(wait),
            Refused::Full => Self::Full,
            Refused::Never => Self::Never,
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
    fn new(policy: &Arc<Compiled>, route: Option<u16>) -> Self {
        Self {
            policy: Arc::clone(policy),
            outcome: Outcome::Exempt,
            route,
            tier: None,
            retry_after: None,
            status: None,
            limits: SmallVec::new(),
            penalty_key: None,
            begins_penalty: false,
            has_usual_limits: true,
        }
    }

    /// The refusal of the request. A policy in the mode `shadow` lets it go on.
    fn refused(mut self, outcome: Outcome, status: u16) -> Self {
        self.outcome = outcome;
        self.status = (self.policy.settings().mode != Mode::Shadow).then_some(status);
        if self.status.is_none() {
            self.retry_after = None;
        }
        self
    }
}

/// The subject's tier, else the application's if the policy knows it, else the default.
fn tier(policy: &Compiled, facts: &Facts<'_>, subject: &Matching<'_>) -> Option<u16> {
    let applications = || facts.tier.and_then(|name| policy.tier(name));
    subject.tier().or_else(applications).or(policy.default_tier)
}

type Charges<'a> = SmallVec<[Charge<'a>; 4]>;

/// The charges of a request, which are also noted in its decision (rules P4 and P5).
fn charges<'a>(
    request: &'a Request<'_>,
    subject: &Matching<'_>,
    decision: &mut Decision,
    verb: Verb,
) -> Result<Charges<'a>, NoKey> {
    let policy = request.policy;
    let limits: &[RouteLimit] = request.route().map_or(&policy.no_route, |route| &route.limits);
    let tier = decision.tier.and_then(|tier| policy.tiers.get(usize::from(tier)));
    let mut charges = Charges::new();
    for RouteLimit { limit: index, cost, own: is_own } in limits.iter().copied() {
        let at = usize::from(index);
        let limit = &policy.limits[at];
        let tiers = || tier.and_then(|tier| tier.quotas.get(at).copied());
        let own = subject.quota(index);
        decision.has_usual_limits &= own.is_none();
        let quota = own.or_else(tiers).unwrap_or(0);
        let quota_at = usize::try_from(quota).unwrap_or(0);
        let is_unlimited = limit.quotas.get(quota_at).is_none_or(tollgate::Quota::is_unlimited);
        if is_unlimited && verb == Verb::Take {
            continue;
        }
        let key = match request.key(&limit.key, limit.missing, limit.prefixes) {
            Ok(key) => key,
            // A limit that only tells refuses nothing.
            Err(_) if limit.shadow => continue,
            Err(NoKey::Skip) => {
                decision.has_usual_limits = false;
                continue;
            }
            Err(why) => return Err(why),
        };
        decision.limits.push(LimitPart {
            limit: index,
            quota,
            cost,
            own: is_own,
            shadow: limit.shadow,
            answer: Answer::default(),
            key: key.to_key(),
        });
        charges.push(Charge { limit: at, key, quota: quota_at, cost, shadow: limit.shadow });
    }
    Ok(charges)
}
