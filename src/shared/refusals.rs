//! Refusals that are still true, so that a subject that keeps asking costs no call.

use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use crate::shared::recent::Recent;
use crate::shared::store::{Answer, Ask, Charge, Outcome, Part, Verb, Verdict};

/// The last refusal of each subject.
///
/// A refusal of `n` permits also answers requests for more, as long as it lasts. Another process
/// can give permits back meanwhile, which this process does not see; so a refusal is trusted for a
/// short time only.
pub(crate) struct Refusals {
    last: Recent<Refusal>,
    trusted_for: Duration,
}

#[derive(Clone, Debug)]
struct Refusal {
    charges: SmallVec<[Charge; 2]>,
    count: u64,
    answer: Answer,
    since: Instant,
    /// The time from `since` on until the request could pass.
    wait: Duration,
}

impl Refusals {
    /// Remembers refusals, and answers with them for `trusted_for`.
    pub(crate) fn new(trusted_for: Duration) -> Self {
        Self { last: Recent::new(), trusted_for }
    }

    /// The refusal of an ask, if it is known and trusted.
    pub(crate) fn answer_to(&self, ask: &Ask) -> Option<Answer> {
        self.find(ask, self.trusted_for)
    }

    /// The refusal of an ask, if it is known, however long ago it was made.
    pub(crate) fn last_known(&self, ask: &Ask) -> Option<Answer> {
        self.find(ask, Duration::MAX)
    }

    /// Notes what the store has answered.
    pub(crate) fn note(&self, ask: &Ask, answer: &Answer) {
        match (answer.outcome, only_part(ask)) {
            (Outcome::Refused, Some(part)) => {
                let refuses = |verdict| answer.levels.iter().any(|level| level.verdict == verdict);
                let wait = answer.levels.iter().map(|level| level.wait).max().unwrap_or_default();
                if refuses(Verdict::Refused) && !refuses(Verdict::Never) && !wait.is_zero() {
                    let (charges, count) = (part.charges.clone(), ask.count);
                    let answer = answer.clone();
                    let refusal = Refusal { charges, count, answer, since: Instant::now(), wait };
                    self.last.set(part.namespace, &part.subject, refusal);
                }
            }
            // Whoever was granted something is not refused, and what was given back may be there.
            (Outcome::Done { .. }, _) if ask.verb != Verb::Look => {
                for part in &ask.parts {
                    self.last.forget(part.namespace, &part.subject);
                }
            }
            _ => {}
        }
    }

    /// Forgets all refusals.
    pub(crate) fn forget_all(&self) {
        self.last.clear();
    }

    /// The refusal of an ask, if it is known and younger than this.
    fn find(&self, ask: &Ask, below: Duration) -> Option<Answer> {
        let part = only_part(ask)?;
        // Another quota, or fewer permits, may pass.
        let answer = |refusal: &Refusal| {
            let is_as_large = ask.count >= refusal.count && refusal.charges == part.charges;
            if is_as_large { refusal.answer_now(below, ask.patience) } else { None }
        };
        self.last.read(part.namespace, &part.subject, answer)?
    }
}

impl Refusal {
    /// The answer to the same request now, if the refusal is younger than `below`.
    fn answer_now(&self, below: Duration, patience: Duration) -> Option<Answer> {
        let age = self.since.elapsed();
        if age >= below || self.wait.saturating_sub(age) <= patience {
            return None;
        }
        let Answer { outcome, count, .. } = self.answer;
        let mut answer =
            Answer { outcome, count, levels: SmallVec::from_slice(&self.answer.levels) };
        for level in &mut answer.levels {
            level.wait = level.wait.saturating_sub(age);
            level.full_after = level.full_after.saturating_sub(age);
            if level.verdict == Verdict::Refused && level.wait.is_zero() {
                level.verdict = Verdict::Granted;
            }
        }
        Some(answer)
    }
}

/// The part of a request that takes from one subject. Requests over several are always asked.
fn only_part(ask: &Ask) -> Option<&Part> {
    match &ask.parts[..] {
        [part] if ask.verb == Verb::Take && !part.shadow => Some(part),
        _ => None,
    }
}
