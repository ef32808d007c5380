//! The levels of one subject, for a status page.

use std::sync::Arc;

use tollgate::Quota;

use super::decision::{Decision, Outcome};
use super::explain::Explanation;
use super::facts::Facts;
use super::limiter::HttpLimiter;
use super::request::Request;
use super::store::{Answer, Charge, Later, Reply, Verb, note_answers};
use crate::policy::{KeyPart, Missing};

impl HttpLimiter {
    /// Tells how much one subject has left of each limit, and takes nothing. The limits are those
    /// whose keys the facts give as they are: with a user, those whose keys are `user` or `caller`,
    /// and those without a key. Limits whose keys have a route, a method or a host are left out,
    /// because each subject has many buckets of such a limit.
    ///
    /// The outcome is [`Blocked`](Outcome::Blocked), [`Exempt`](Outcome::Exempt) or
    /// [`Penalty`](Outcome::Penalty) for a subject to whom all requests are answered like that. Else
    /// it is [`Refused`](Outcome::Refused) (or [`Full`](Outcome::Full)) if one of the limits has no
    /// permit left: a request that costs one permit and has all of these limits would be refused. A
    /// request whose route does not have that limit goes on, and one that costs more may be refused
    /// although the outcome is [`Allowed`](Outcome::Allowed). If the store fails, the outcome is
    /// [`StoreFailed`](Outcome::StoreFailed), and there are no limits.
    ///
    /// # Cancel safety
    ///
    /// Nothing is taken, so the future may be dropped at any time.
    ///
    /// ```
    /// use tollgate_http::{Facts, HttpLimiter, Outcome, Policy};
    ///
    /// let policy: Policy = r#"
    ///     version = 1
    ///     always = ["calls"]
    ///     [limits.calls]
    ///     quota = "10/h"
    ///     key = "caller"
    /// "#.parse()?;
    /// let limiter = HttpLimiter::new(&policy)?;
    /// let alice = |method, path| Facts::new(method, path).user("alice");
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// assert!(limiter.decide(&alice("GET", "/items")).await.is_allowed());
    /// let levels = limiter.levels(&alice("", "")).await;
    /// assert_eq!(levels.limits().map(|limit| limit.remaining()).collect::<Vec<_>>(), [9]);
    /// assert_eq!(levels.outcome(), Outcome::Allowed);
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn levels(&self, facts: &Facts<'_>) -> Explanation {
        let mut decision = self.undecided();
        let later = self.look_at_all(&mut decision, facts);
        if let Some(later) = later {
            let answers = later.await;
            if note_answers(&mut decision.charges, answers).is_err() {
                unknown(&mut decision);
            }
        }
        if decision.outcome == Outcome::Allowed {
            // There is no key of a penalty, so no refusal is counted.
            self.engine().settle(&mut decision);
        }
        Explanation::new(decision)
    }

    /// Looks at all limits of a subject.
    fn look_at_all(&self, decision: &mut Decision, facts: &Facts<'_>) -> Option<Later> {
        let (policy, engine) = (Arc::clone(&decision.policy), self.engine());
        let (request, _) = Request::new(facts, &policy, &engine.secret);
        let client = request.client().ok();
        let subject = policy.subjects.matching(request.user(), facts.api_key, client);
        if subject.is_blocked(&engine.wall_clock) {
            decision.outcome = Outcome::Blocked;
            return None;
        }
        if subject.is_exempt() {
            return None;
        }
        decision.outcome = Outcome::Allowed;
        decision.tier = subject.tier().or(policy.default_tier);
        if let Some(penalty) = &policy.penalty
            && let Ok(key) = request.key(&penalty.key, Some(Missing::Skip), penalty.prefixes)
            && let Some(rest) = engine.penalties.rest(&key)
        {
            decision.outcome = Outcome::Penalty;
            decision.retry_after = Some(rest);
        }
        for (index, limit) in policy.limits.iter().enumerate() {
            let is_of_requests =
                |part: &KeyPart| matches!(part, KeyPart::Route | KeyPart::Method | KeyPart::Host);
            if limit.key.iter().any(is_of_requests) {
                continue;
            }
            let Ok(number) = u16::try_from(index) else { continue };
            let quota = usize::try_from(decision.quota(&subject, number)).unwrap_or(0);
            if limit.quotas.get(quota).is_none_or(Quota::is_unlimited) {
                continue;
            }
            let key = request.key(&limit.key, Some(Missing::Skip), limit.prefixes);
            let Ok(key) = key else { continue };
            decision.charges.push(Charge {
                limit: index,
                key,
                quota,
                cost: 1,
                shadow: limit.shadow,
                own: true,
                answer: Answer::UNLIMITED,
            });
        }
        if decision.charges.is_empty() {
            return None;
        }
        match policy.buckets.ask(Verb::Look, &mut decision.charges) {
            Reply::Now => None,
            Reply::Later(later) => Some(later),
            Reply::Failed(_) => {
                unknown(decision);
                None
            }
        }
    }
}

/// The store has not told the levels.
fn unknown(decision: &mut Decision) {
    decision.charges.clear();
    decision.outcome = Outcome::StoreFailed;
}
