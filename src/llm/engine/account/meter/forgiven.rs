//! What a limit no longer counts, because it was lowered.

use crate::Timestamp;
use crate::algorithm::Receipt;

/// What was in use beyond a limit when it was lowered. It is not counted, so that the limit is back
/// within its period, but it counts again if the limit is raised soon: a server that alternates
/// between two limits gives nothing away.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::llm::engine::account) struct Forgiven {
    /// What counts again if the limit is raised within its period from `at` on.
    pub(in crate::llm::engine::account) count: u64,
    pub(in crate::llm::engine::account) at: Timestamp,
    /// What requests up to number `newest` must not give back, because it was not counted for them.
    pub(super) not_given_back: u64,
    pub(super) newest: u64,
}

impl Forgiven {
    /// How much of `count`, which this request gives back, is not counted anyway.
    #[inline]
    pub(super) fn take(&mut self, count: u64, receipt: Receipt) -> u64 {
        if self.not_given_back == 0 || receipt.seq > self.newest {
            return 0;
        }
        let given = count.min(self.not_given_back);
        self.not_given_back -= given;
        self.count = self.count.saturating_sub(given);
        given
    }
}
