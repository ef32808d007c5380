//! Several limits in one decision: either all limits that are charged grant, or nothing is taken
//! from any of them.
//!
//! A [`Charge`] is the part of one limit in the decision: which limiter, which key, how many
//! permits. The decision takes all locks that the charges need, in one order that is the same for
//! all threads; it looks at all limits; then it takes from all of them or from none. Nothing
//! changes while it looks. So other callers see the limits either as they were before the decision
//! or as they are after it, and a limit that would have granted stays as it was.
//!
//! The locks are held by the frames of a recursion (`held.rs`), so a panic releases them.

mod decide;
mod held;
pub(crate) mod party;

use std::fmt;

use crate::{Grant, Rejection, Usage};
use decide::decide;
use std::time::Duration;

use party::Party;

/// Takes the permits of all `charges`, or takes nothing from any of them. Returns whether they were
/// taken. The [`answer`](Charge::answer) of each charge then says what its limit decided.
///
/// * The decision is one step: no other caller ever sees a permit taken and given back. If it is
///   refused, each limit that would have granted stays exactly as it was. A limit that refused
///   keeps only what a refusal by this limit alone would change: its count, and the
///   [tier](crate::keyed::Tier) of its key.
/// * Every limit that refuses is reported, each with its own wait. To answer with one of them, take
///   the [stricter](Rejection::stricter) of each two: a refusal that no wait would help, or else
///   the one with the longest wait.
/// * Two charges of the same limit, or of the same key of a limiter, count as their sum. If they
///   are of the same key, the quota is that of the first of them.
/// * The [global limit](crate::keyed::KeyedBuilder::global) of a keyed limiter is charged together
///   with its keys.
/// * The clock is read once: the clock of the first charge. Limiters that are decided together
///   should share a clock. A limiter treats a time before the latest one that it has seen as that
///   latest time.
/// * There is no allocation for up to sixteen limits whose keys are known. A global limit counts as
///   one limit more.
/// * Without any charge, the answer is `true`.
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
#[must_use = "the result says whether the permits were taken"]
pub fn take_all(charges: &mut [&mut dyn Charge]) -> bool {
    decide(charges)
}

/// Does the same as [`take_all`] for charges of one type, without a list of references.
///
/// ```
/// use tollgate::{KeyedLimiter, Quota, take_each};
/// let per_user = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
/// let mut both = [per_user.charge("alice"), per_user.charge("bob")];
/// assert!(take_each(&mut both));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[must_use = "the result says whether the permits were taken"]
pub fn take_each<C: Charge>(charges: &mut [C]) -> bool {
    decide(charges)
}

/// The part of one limit in a decision over several limits: see [`take_all`].
///
/// [`Keyed::charge`](crate::Keyed::charge) makes a charge for a key, and
/// [`Limiter::charge`](crate::Limiter::charge) for a limiter without keys. The same charge can be
/// decided again, for another request of the same key. This trait can't be implemented outside this
/// crate, because a decision holds several locks while it calls it.
pub trait Charge: Party {
    /// The answer of the limit in the last decision of this charge.
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

/// The answer of one limit in a decision over several limits.
///
/// ```
/// use tollgate::{Answer, KeyedLimiter, Quota, take_all};
/// let (few, many) = (Quota::per_hour(1), Quota::per_hour(9));
/// let per_user = KeyedLimiter::<String>::new(few)?;
/// let per_address = KeyedLimiter::<u32>::new(many)?;
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
    /// The charge has not been decided yet.
    #[default]
    Undecided,
    /// All limits granted, and the permits were taken.
    Taken(Grant),
    /// This limit refused.
    Refused(Rejection),
    /// This limit would have granted, but another limit refused. Nothing was taken. The usage is
    /// the present one.
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

    /// The number of permits available from this limit: after the grant, or for a caller that asks
    /// this limit alone. `None` if it is not known, because the charge is undecided or because no
    /// wait would help.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self {
            Self::Taken(grant) => Some(grant.remaining),
            Self::Untouched(usage) => Some(usage.remaining),
            Self::Refused(Rejection::Denied { available, .. }) => Some(*available),
            Self::Refused(_) | Self::Undecided => None,
        }
    }

    /// The most permits that this limit grants at once: its burst. `None` if it is not known.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        match self {
            Self::Taken(grant) => Some(grant.limit),
            Self::Untouched(usage) => Some(usage.limit),
            Self::Refused(
                Rejection::Denied { burst, .. } | Rejection::ExceedsBurst { burst, .. },
            ) => Some(*burst),
            Self::Refused(_) | Self::Undecided => None,
        }
    }

    /// The time until nothing of this limit is in use any more. `None` if it is not known.
    #[must_use]
    pub fn reset_after(&self) -> Option<Duration> {
        match self {
            Self::Taken(grant) => Some(grant.reset_after),
            Self::Untouched(usage) => Some(usage.reset_after),
            Self::Refused(Rejection::Denied { reset_after, .. }) => Some(*reset_after),
            Self::Refused(_) | Self::Undecided => None,
        }
    }
}
