//! Others who use the same account.

use super::traffic::{Random, ratio};
use super::{MINUTE, Nanos};

/// The share of each account that others want, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Others {
    Nobody,
    /// At random times.
    Steady(f64),
    /// At random times of one minute in three, so three times as often then.
    Bursts(f64),
}

/// They come after a while, so that what is learned without them is known.
pub(crate) const COME: Nanos = 10 * MINUTE;

const BURST: Nanos = MINUTE;
const BETWEEN_BURSTS: Nanos = 3 * MINUTE;

impl Others {
    pub(crate) fn come(self) -> bool {
        !matches!(self, Self::Nobody)
    }

    /// How long after now the next of their requests comes, if the account serves so many in a
    /// second.
    pub(crate) fn pause(self, random: &mut Random, now: Nanos, account_per_second: f64) -> Nanos {
        match self {
            Self::Nobody => Nanos::MAX,
            Self::Steady(share) => random.nanos(1.0 / (account_per_second * share)),
            Self::Bursts(share) => {
                let in_bursts = account_per_second * share * ratio(BETWEEN_BURSTS, BURST);
                let since = now - COME;
                // For them, time passes in bursts only.
                let lived = since / BETWEEN_BURSTS * BURST + (since % BETWEEN_BURSTS).min(BURST);
                let next = lived + random.nanos(1.0 / in_bursts);
                next / BURST * BETWEEN_BURSTS + next % BURST - since
            }
        }
    }
}
