//! Decisions without the store.

use std::time::Duration;

use super::{Outage, local_share};
use crate::shared::refusals::Refusals;
use crate::shared::store::{
    Answer, Ask, Level, Memory, MemoryBuckets, Namespace, OpenError, Outcome, Part, StoreError,
    Verb, Verdict,
};
use crate::shared::{AskError, Decision, Source};
use crate::{Quota, TokioClock};

/// How long a client that is refused for want of the store is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Decides as an [`Outage`] mode says.
pub(crate) struct Fallback {
    mode: Outage,
    /// This process's share, if the mode needs it.
    share: Option<MemoryBuckets<TokioClock>>,
    namespaces: Vec<Namespace>,
}

impl Fallback {
    /// `share` is the memory in which shares are kept. It outlives a change of quotas.
    pub(crate) fn new(
        mode: Outage,
        namespaces: &[Namespace],
        share: &Memory<TokioClock>,
    ) -> Result<Self, OpenError> {
        let share = match mode {
            Outage::LocalShare { mine, of } => {
                Some(share.buckets(&local_share::divided(namespaces, mine, of))?)
            }
            _ => None,
        };
        Ok(Self { mode, share, namespaces: namespaces.to_vec() })
    }

    /// Checks that other namespaces begin with these, apart from their quotas.
    pub(crate) fn check_same(&self, others: &[Namespace]) -> Result<(), OpenError> {
        for (index, namespace) in self.namespaces.iter().enumerate() {
            let limits = |it: &Namespace| -> Vec<_> {
                it.limits.iter().map(|limit| (limit.name.clone(), limit.rule)).collect()
            };
            let is_same =
                |it: &Namespace| it.name == namespace.name && limits(it) == limits(namespace);
            if !others.get(index).is_some_and(is_same) {
                let why = "only quotas can change: it must stay in its place, with its limits";
                return Err(OpenError::Namespace { namespace: namespace.name.to_string(), why });
            }
        }
        Ok(())
    }

    /// How many limits the subjects of a namespace have.
    pub(crate) fn limits_of(&self, namespace: usize) -> Option<usize> {
        self.namespaces.get(namespace).map(|it| it.limits.len())
    }

    /// Counts in this process's share what the store has granted.
    ///
    /// A process that uses more than its share does not go into debt for it: it begins an outage
    /// with an empty bucket at worst. So each limit counts for itself, as far as its share reaches.
    pub(crate) fn keep_warm(&self, ask: &Ask, granted: u64) {
        let Some(share) = &self.share else { return };
        match ask.verb {
            Verb::Take | Verb::TakeUpTo | Verb::Consume => {}
            Verb::Credit | Verb::Reset | Verb::Raise => {
                // Only a lack of room is possible here. Then the share is full.
                let _ = self.ask_share(share, ask);
                return;
            }
            Verb::Look | Verb::HandBack | Verb::Cancel => return,
        }
        for part in &ask.parts {
            for (limit, charge) in part.charges.iter().enumerate().filter(|(_, it)| it.cost > 0) {
                let mut alone = part.clone();
                alone.shadow = false;
                for (index, charge) in alone.charges.iter_mut().enumerate() {
                    charge.cost = u64::from(index == limit);
                }
                let permits = charge.cost.saturating_mul(granted);
                // Only a lack of room is possible here. Then the share begins full.
                let _ = share.ask_now(&Ask::new(Verb::TakeUpTo, permits, alone));
            }
        }
    }

    /// Decides an ask.
    pub(crate) fn decide(&self, ask: &Ask, refusals: &Refusals) -> Result<Decision, AskError> {
        match (self.mode, &self.share) {
            (Outage::LocalShare { .. }, Some(share)) => match self.ask_share(share, ask) {
                // A request that is larger than the share, but not than the whole burst, can pass
                // when the store answers again.
                Ok(answer) if !self.is_too_large_for_share(ask, &answer) => {
                    Ok(Decision { answer, source: Source::LocalShare })
                }
                Ok(_) | Err(_) => Err(AskError::Unavailable { retry_after: RETRY_AFTER }),
            },
            (Outage::Open, _) => Ok(Decision { answer: self.granted(ask), source: Source::Open }),
            (Outage::LastKnown, _) => {
                let answer = refusals.last_known(ask).unwrap_or_else(|| self.granted(ask));
                Ok(Decision { answer, source: Source::LastKnown })
            }
            _ => Err(AskError::Unavailable { retry_after: RETRY_AFTER }),
        }
    }

    /// Asks this process's share. What is told to be in use of the whole is in use of each part
    /// alike.
    fn ask_share(
        &self,
        share: &MemoryBuckets<TokioClock>,
        ask: &Ask,
    ) -> Result<Answer, StoreError> {
        if ask.verb != Verb::Raise {
            return share.ask_now(ask);
        }
        let mut ask = ask.clone();
        if let Outage::LocalShare { mine, of } = self.mode {
            for charge in ask.parts.iter_mut().flat_map(|part| &mut part.charges) {
                let part = u128::from(charge.cost) * u128::from(mine.max(1));
                let part = part.div_ceil(u128::from(of.max(mine).max(1)));
                charge.cost = u64::try_from(part).unwrap_or(u64::MAX);
            }
        }
        share.ask_now(&ask)
    }

    /// Whether the share refuses for ever what the whole quota would grant.
    fn is_too_large_for_share(&self, ask: &Ask, answer: &Answer) -> bool {
        let enforced = ask
            .parts
            .iter()
            .flat_map(|part| part.charges.iter().map(move |charge| (charge.cost, !part.shadow)));
        let bursts = ask.parts.iter().flat_map(|part| self.bursts(part));
        let mut each = enforced.zip(bursts).zip(&answer.levels);
        answer.outcome == Outcome::Refused
            && each.any(|(((cost, is_enforced), burst), level)| {
                let fits = cost.checked_mul(ask.count).is_some_and(|permits| permits <= burst);
                is_enforced && fits && level.verdict == Verdict::Never
            })
    }

    /// The whole burst of each charge of a part, in their order.
    pub(crate) fn bursts<'a>(&'a self, part: &'a Part) -> impl Iterator<Item = u64> + 'a {
        part.charges.iter().enumerate().map(|(limit, charge)| {
            let namespace = self.namespaces.get(part.namespace);
            let limit = namespace.and_then(|namespace| namespace.limits.get(limit));
            let quota = limit.and_then(|limit| limit.quotas.get(charge.quota));
            quota.map_or(u64::MAX, Quota::burst_size)
        })
    }

    /// The answer of limits of which nothing is known: all of the burst is left.
    pub(crate) fn granted(&self, ask: &Ask) -> Answer {
        let levels = ask.parts.iter().flat_map(|part| self.bursts(part)).map(Level::new);
        Answer::new(Outcome::Done { after: Duration::ZERO }, ask.count, levels)
    }
}
