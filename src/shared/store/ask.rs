//! What a store is asked.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

#[cfg(doc)]
use super::answer::Level;
use super::answer::Receipt;

/// What one request asks of a store: charges against one subject or several, all or nothing.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ask {
    /// What to do with the charges.
    pub verb: Verb,
    /// How many times each [cost](Charge::cost) is meant. With 0, nothing is taken, and
    /// [`Verb::Take`] is refused while a limit is in debt.
    pub count: u64,
    /// Whom to charge.
    pub parts: SmallVec<[Part; 1]>,
    /// For [`Verb::Take`]: how long the caller would wait. If the permits arrive within this time,
    /// they are taken now, for later; see [`Outcome::Done`](super::Outcome::Done). Only token
    /// buckets can be taken from for later: if a window has to wait, the ask is refused.
    ///
    /// Each limit is charged now, and used when those that wait longest have their permits. So of a
    /// limit whose own permits are there earlier by up to `d`, up to `burst + rate * (w + d)` can be
    /// used in a window of length `w`.
    pub patience: Duration,
    /// How long from now the caller waits for the answer. A store that gets to the ask later than
    /// this does nothing, and answers [`Outcome::Expired`](super::Outcome::Expired), as far as it
    /// can know. [`Duration::MAX`] means that it is done in any case.
    pub lifetime: Duration,
}

impl Ask {
    /// An ask of `count` times the charges of one `part`, without patience, which is done however
    /// late it is. Change the other fields as needed.
    #[must_use]
    pub fn new(verb: Verb, count: u64, part: Part) -> Self {
        Self::over(verb, count, [part])
    }

    /// As [`new`](Self::new), over several parts.
    #[must_use]
    pub fn over(verb: Verb, count: u64, parts: impl IntoIterator<Item = Part>) -> Self {
        let parts = parts.into_iter().collect();
        Self { verb, count, parts, patience: Duration::ZERO, lifetime: Duration::MAX }
    }

    /// As [`new`](Self::new), of a part that is copied once.
    pub(crate) fn of(verb: Verb, count: u64, part: Part) -> Self {
        let parts = SmallVec::from_buf([part]);
        Self { verb, count, parts, patience: Duration::ZERO, lifetime: Duration::MAX }
    }
}

/// By hand, because a `SmallVec` is cloned one by one.
impl Clone for Ask {
    fn clone(&self) -> Self {
        let parts = match &self.parts[..] {
            [part] => SmallVec::from_buf([part.clone()]),
            parts => parts.iter().cloned().collect(),
        };
        Self { parts, ..*self }
    }
}

/// One subject's part in an ask.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// The subject's namespace, by its index in the list with which the buckets were opened.
    pub namespace: usize,
    /// The subject. It can be any text.
    pub subject: Arc<str>,
    /// One charge for each limit of the namespace, in their order.
    pub charges: SmallVec<[Charge; 2]>,
    /// Whether the part only tells what it would refuse: it is left out of "all or nothing". If
    /// all other parts pass, its permits are taken for itself, if it would pass too.
    pub shadow: bool,
}

impl Part {
    /// A part of a subject, which is enforced.
    #[must_use]
    pub fn new(
        namespace: usize,
        subject: impl Into<Arc<str>>,
        charges: impl IntoIterator<Item = Charge>,
    ) -> Self {
        let charges = charges.into_iter().collect();
        Self { namespace, subject: subject.into(), charges, shadow: false }
    }
}

/// By hand, because a `SmallVec` is cloned one by one.
impl Clone for Part {
    fn clone(&self) -> Self {
        let Self { namespace, ref subject, ref charges, shadow } = *self;
        let (subject, charges) = (Arc::clone(subject), SmallVec::from_slice(charges));
        Self { namespace, subject, charges, shadow }
    }
}

/// How much one limit of a subject is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Charge {
    /// The permits that each of [`Ask::count`] costs. 0 leaves the limit as it is, and then the
    /// limit does not refuse.
    pub cost: u64,
    /// The quota, by its index in [`LimitSpec::quotas`](super::LimitSpec::quotas). To give back
    /// permits of an earlier charge, name the quota of that charge.
    pub quota: usize,
    /// For [`Verb::HandBack`] and [`Verb::Cancel`]: the receipt of the charge that took the
    /// permits.
    pub receipt: Receipt,
}

impl Charge {
    /// A charge of `cost` permits under the limit's own quota.
    #[must_use]
    pub fn new(cost: u64) -> Self {
        Self { cost, quota: 0, receipt: Receipt::default() }
    }
}

/// What a store does with the charges of an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// Takes all permits, or none.
    Take,
    /// Takes as many times the charges as there are permits for, at most [`Ask::count`] times. If
    /// there are not even permits for one time, it is refused as [`Take`](Self::Take) is for one.
    TakeUpTo,
    /// Takes nothing, and answers what [`Take`](Self::Take) would answer, also the levels. To see
    /// the levels as they are, look with a count of 0.
    Look,
    /// Takes all permits, also if they are not there; what is missing becomes debt. A debt
    /// that is too large for the store is [`StoreError::Misfit`](super::StoreError::Misfit).
    Consume,
    /// Counts at least so many permits as in use, whoever took them: if fewer are in use, what is
    /// missing is taken now. So several processes can report the same use, such as what a provider
    /// says of an account, and it is counted once. More than the burst makes a debt; one that is
    /// too large for the store is [`StoreError::Misfit`](super::StoreError::Misfit). Nothing that
    /// was raised can be handed back.
    Raise,
    /// Gives permits back. A bucket that is full stays full.
    Credit,
    /// Gives back permits of an earlier charge that were not used, without lasting effect on what
    /// others get: at most what refill has not brought back since the charge.
    ///
    /// A token bucket gives back at most what is in use now less what was taken since the charge,
    /// and what of that was given back since counts as taken. While others wait for permits that
    /// they have taken for later, it gives back what [`Cancel`](Self::Cancel) would. (Nobody waits
    /// for a debt that was [consumed](Self::Consume) or [reported](Self::Raise).) The answer has
    /// the [receipt](Level::receipt) for the rest of the charge.
    ///
    /// A window gives back in the window in which the charge was counted, as long as that counts: a
    /// fixed window until it ends, a sliding or strict window until the charge has faded. If the
    /// bucket was charged under another quota since, a store may give back less.
    HandBack,
    /// Cancels a charge [for later](Ask::patience): gives back what nobody has taken permits
    /// behind, and at most what refill has not brought back since. For windows, this is
    /// [`HandBack`](Self::HandBack).
    ///
    /// A charge that is cancelled as a whole leaves no trace if nobody has taken permits behind. If
    /// a part of it is kept, that part is there when it was promised and not earlier. Until then,
    /// charges before it are handed back as if the whole charge still stood behind them.
    Cancel,
    /// Makes all limits full.
    Reset,
}
