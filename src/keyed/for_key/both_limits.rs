//! Grants and errors of a decision by a key's limit and the global limit.

use crate::answer::Taken;
use crate::{Grant, Rejection, WaitError, WhichLimit};

/// Combines a grant by a key and one by the global limit; each figure is that of the tighter limit.
pub(crate) fn tighter(own: Grant, by_global: Grant) -> Grant {
    Grant {
        permits: own.permits,
        remaining: own.remaining.min(by_global.remaining),
        limit: own.limit.min(by_global.limit),
        reset_after: own.reset_after.max(by_global.reset_after),
        taken: Taken { by_all: Some(by_global.taken.receipt), ..own.taken },
    }
}

/// The global limit's part of a grant by both limits.
pub(super) fn global_part(grant: Grant) -> Option<Grant> {
    let receipt = grant.taken.by_all?;
    Some(Grant { taken: Taken { receipt, ..Taken::default() }, ..grant })
}

impl Rejection {
    /// Marks the rejection as one by the global limit.
    pub(crate) fn by_global(self) -> Self {
        match self {
            Self::Denied { retry_after, available, reset_after, burst, .. } => Self::Denied {
                retry_after,
                available,
                reset_after,
                burst,
                limit: WhichLimit::Global,
            },
            Self::ExceedsBurst { requested, burst, .. } => {
                Self::ExceedsBurst { requested, burst, limit: WhichLimit::Global }
            }
            other => other,
        }
    }
}

impl WaitError {
    pub(super) fn by_global(self) -> Self {
        match self {
            Self::ExceedsBurst { requested, burst, .. } => {
                Self::ExceedsBurst { requested, burst, limit: WhichLimit::Global }
            }
            other => other,
        }
    }
}
