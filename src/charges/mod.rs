//! Several limits in one decision: all that are charged grant, or nothing is taken from any.
//!
//! A [`Charge`] is one limit's part in it: which limiter, which key, how many permits. The decision locks
//! what the charges are about in one order, the same for all threads; looks at all; then takes from all,
//! or from none. While it looks, nothing changes. So whoever else asks sees the limits as they were
//! before the decision or as they are after it, and a limit that would have granted stays as it was.
//!
//! Locks are held by the frames of a recursion (`held.rs`), so a panic frees them on its way.

mod decide;
mod held;
pub(crate) mod party;

use std::fmt;

use crate::{Grant, Rejection, Usage};
use decide::decide;
use party::Party;

/// Takes what all of `charges` ask for, or nothing from any of them; whether it was taken. What each limit
/// said is then in its [`answer`](Charge::answer).
///
/// * In one step: nobody ever sees a permit taken and given back. A decision that is refused leaves each
///   limit that would have granted exactly as it was, and of the others only what a refusal alone would
///   leave: its count, and a [tier](crate::keyed::Tier).
/// * Every limit that refuses is reported, each with its own wait. Their longest is the time to come
///   back.
/// * Two charges of one limit, or of one key of one limiter, count as their sum; of one key, the quota is
///   that of the first such charge.
/// * A keyed limiter's limit [for everybody](crate::keyed::KeyedBuilder::global) is charged with its keys.
/// * The clock is read once, that of the first charge. Limiters that are decided together should share a
///   clock; each takes an earlier time than it has seen as the latest that it has seen.
/// * No allocation for up to sixteen limits whose keys are known; a limit for everybody counts as one more.
/// * Without any charge, nothing is refused.
///
/// ```
/// use tollgate::{Answer, KeyedLimiter, Quota, TokenBucket, take_all};
///
/// let per_address = KeyedLimiter::<u32>::new(Quota::per_minute(60))?;
/// let per_user = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
/// let gold = per_user.tier(Quota::per_minute(1_000))?;
/// let everybody = TokenBucket::new(Quota::per_second(5_000))?;
///
/// let address = 0x7f00_0001;
/// let mut by_address = per_address.charge(&address);
/// let mut by_user = per_user.charge("alice").cost(5).under(&gold);
/// let mut all = everybody.charge(1);
/// if take_all(&mut [&mut by_address, &mut by_user, &mut all]) {
///     assert!(matches!(by_user.answer(), Answer::Taken(grant) if grant.remaining == 995));
/// }
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[must_use = "whether the permits were taken"]
pub fn take_all(charges: &mut [&mut dyn Charge]) -> bool {
    decide(charges)
}

/// As [`take_all`], for charges of one type: no list of references has to be made of them.
///
/// ```
/// use tollgate::{KeyedLimiter, Quota, take_each};
/// let per_user = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
/// let mut both = [per_user.charge("alice"), per_user.charge("bob")];
/// assert!(take_each(&mut both));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[must_use = "whether the permits were taken"]
pub fn take_each<C: Charge>(charges: &mut [C]) -> bool {
    decide(charges)
}

/// One limit's part in a decision over several: see [`take_all`].
///
/// [`Keyed::charge`](crate::Keyed::charge) makes one for a key, [`Limiter::charge`](crate::Limiter::charge)
/// one for a limiter without keys. The same charge can be decided again, for another request of the same
/// key. Nobody else can implement this: what a decision does under several locks is not foreign code's.
pub trait Charge: Party {
    /// What the limit said in the last decision that this charge was part of.
    fn answer(&self) -> Answer;
}

impl<T: Charge + ?Sized> Charge for &mut T {
    fn answer(&self) -> Answer {
        (**self).answer()
    }
}

impl fmt::Debug for dyn Charge + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Charge").field(&self.answer()).finish()
    }
}

/// What one limit said in a decision over several.
///
/// ```
/// use tollgate::{Answer, KeyedLimiter, Quota, take_all};
/// let (few, many) = (Quota::per_hour(1), Quota::per_hour(9));
/// let (per_user, per_address) = (KeyedLimiter::<String>::new(few)?, KeyedLimiter::<u32>::new(many)?);
/// let mut by_user = per_user.charge("alice").cost(2);
/// let mut by_address = per_address.charge(&7);
/// assert!(!take_all(&mut [&mut by_user, &mut by_address]));
/// assert!(matches!(by_user.answer(), Answer::Refused(_)));
/// assert!(matches!(by_address.answer(), Answer::Untouched(usage) if usage.remaining == 9));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The charge was in no decision yet.
    #[default]
    Undecided,
    /// All limits granted, and the permits were taken.
    Taken(Grant),
    /// This limit refused.
    Refused(Rejection),
    /// This limit would have granted, but another one refused: this is how it stands. Nothing was taken.
    Untouched(Usage),
}

impl Answer {
    /// The grant, if the permits were taken.
    #[must_use]
    pub fn grant(&self) -> Option<Grant> {
        match self {
            Self::Taken(grant) => Some(*grant),
            _ => None,
        }
    }

    /// The refusal, if this limit refused.
    #[must_use]
    pub fn rejection(&self) -> Option<Rejection> {
        match self {
            Self::Refused(rejection) => Some(*rejection),
            _ => None,
        }
    }

    /// How many more permits could be had: after the grant, or by one who asks this limit alone. `None` if
    /// it is not known, because the charge is undecided or was refused for good.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self {
            Self::Taken(grant) => Some(grant.remaining),
            Self::Untouched(usage) => Some(usage.remaining),
            Self::Refused(Rejection::Denied { available, .. }) => Some(*available),
            Self::Refused(_) | Self::Undecided => None,
        }
    }
}
