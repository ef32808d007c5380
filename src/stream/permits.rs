//! Waiting for the permits of an item, which may cost more than the burst.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::wait::{Acquire, Timer};
use crate::{RateLimiter, WaitError};

/// A part of an item's permits, and the wait for it.
pub(super) type Part<'a> = (u64, Acquire<'a>);

/// Waits for the `owed` permits, at most a burst at a time. `acquire` keeps the future between
/// polls.
pub(super) fn poll_permits<'a>(
    acquire: &mut Option<Part<'a>>,
    (limiter, timer): (&'a dyn RateLimiter, &'a dyn Timer),
    owed: &mut u64,
    cx: &mut Context<'_>,
) -> Poll<Result<(), WaitError>> {
    let mut most = u64::MAX;
    while *owed > 0 {
        let (part, future) = acquire.get_or_insert_with(|| {
            let burst = if *owed == 1 { 1 } else { limiter.usage().limit.min(most) };
            let part = (*owed).min(burst.max(1));
            (part, limiter.acquire_on(part, timer))
        });
        let (part, answer) = (*part, ready!(Pin::new(future).poll(cx)));
        *acquire = None;
        match answer {
            Ok(_) => *owed -= part,
            // Another limit has a smaller burst than the usage says, or each permit costs several.
            Err(WaitError::ExceedsBurst { requested, burst, .. }) if part > 1 => {
                let share = u128::from(part) * u128::from(burst) / u128::from(requested.max(1));
                most = u64::try_from(share).unwrap_or(part).clamp(1, part - 1);
            }
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}
