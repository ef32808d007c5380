//! The methods of a leased bucket. All but `allow` use the shared bucket, after they have called
//! leases back if that is needed.

use std::task::Waker;
use std::time::Duration;

use super::LeasedTokenBucket;
use crate::algorithm::Algorithm;
use crate::limiters::core::Core;
use crate::limiters::verbs::Gate;
use crate::wait::queue::Ticket;
use crate::wait::{Enqueued, Joined, Progress, QueueHandle, Request, WaitQueue};
use crate::{
    CarryOver, Clock, ConsumeError, Grant, Quota, QuotaError, RateLimiter, Rejection, Timestamp,
    Usage, WaitError,
};

impl<C: Clock> RateLimiter for LeasedTokenBucket<C> {
    #[inline]
    fn allow_n(&self, permits: u64) -> bool {
        self.leases.spend(permits) || self.draw(permits)
    }

    fn try_acquire(&self, permits: u64) -> Result<Grant, Rejection> {
        self.make_room(permits);
        RateLimiter::try_acquire(&self.bucket, permits)
    }

    fn delay_for(&self, permits: u64) -> Result<Duration, Rejection> {
        self.make_room(permits);
        self.bucket_delay(permits)
    }

    fn consume(&self, permits: u64) -> Result<Duration, ConsumeError> {
        let delay = RateLimiter::consume(&self.bucket, permits)?;
        if delay.is_zero() || !self.leases.any() {
            return Ok(delay);
        }
        self.call_back_all(self.clock().now());
        Ok(self.bucket_delay(0).unwrap_or(delay))
    }

    fn credit(&self, permits: u64) {
        RateLimiter::credit(&self.bucket, permits);
    }

    fn try_acquire_up_to(&self, permits: u64) -> u64 {
        if self.leases.any() && RateLimiter::usage(&self.bucket).remaining < permits {
            self.call_back_all(self.clock().now());
        }
        RateLimiter::try_acquire_up_to(&self.bucket, permits)
    }

    fn usage(&self) -> Usage {
        // Most refusals are not counted in the core.
        let denied = RateLimiter::usage(&self.bucket).denied;
        let now = self.clock().now();
        self.with_ledger(now, |ledger, wakers| {
            ledger.look_at_all();
            self.pay(ledger, now, wakers);
            let (leased, returned) = (ledger.leased(), ledger.returned());
            self.bucket.lend(wakers, |core, wakers| {
                let usage = core.usage(now, wakers);
                let used = usage.used.saturating_sub(leased);
                let (rule, now) = (&core.rest.rule, core.latest());
                let reset_after = rule.full_at(&rule.start(now, used.into()), now) - now;
                Usage {
                    used,
                    remaining: usage.limit.saturating_sub(used),
                    reset_after: usage.reset_after.min(reset_after),
                    allowed: usage.allowed.wrapping_sub(returned).wrapping_sub(leased),
                    denied,
                    ..usage
                }
            })
        })
    }

    fn set_quota_with(&self, quota: Quota, how: CarryOver) -> Result<(), QuotaError> {
        // The batch was a `u32` when the limiter was built.
        let batch = u32::try_from(self.leases.batch()).unwrap_or(u32::MAX);
        let inner = Self::inner_quota(quota, batch)?;
        self.without_leases(|core, now, wakers| {
            let rule = core.rest.rule.with_quota(inner)?;
            core.set_rule(now, rule, how, wakers);
            Ok(())
        })?;
        self.bucket.log_quota(inner, how);
        Ok(())
    }

    fn quota(&self) -> Quota {
        let inner = RateLimiter::quota(&self.bucket);
        inner.burst(inner.burst_size().saturating_add(Self::held_back(self.leases.batch())))
    }

    fn reset(&self) {
        self.without_leases(Core::reset);
        self.bucket.log_reset();
    }

    fn close(&self) {
        if self.without_leases(Core::close) {
            self.bucket.log_closed();
        }
    }

    fn is_closed(&self) -> bool {
        RateLimiter::is_closed(&self.bucket)
    }

    fn now(&self) -> Timestamp {
        self.clock().now()
    }

    fn enqueue(&self, request: Request<'_>) -> Result<Enqueued<'_>, WaitError> {
        request.join(QueueHandle::Borrowed(self))
    }
}

/// The queue of the shared bucket. A request that has to wait calls leases back first. While
/// somebody waits, no thread draws permits.
impl<C: Clock> WaitQueue for LeasedTokenBucket<C> {
    fn now(&self) -> Timestamp {
        WaitQueue::now(&self.bucket)
    }

    fn wake_at(&self, deadline: Timestamp, waker: &Waker) -> bool {
        WaitQueue::wake_at(&self.bucket, deadline, waker)
    }

    fn jitter(&self) -> Duration {
        WaitQueue::jitter(&self.bucket)
    }

    fn join(
        &self,
        permits: u64,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Result<Joined, WaitError> {
        self.make_room(permits);
        let joined = WaitQueue::join(&self.bucket, permits, deadline, waker)?;
        if let Joined::Queued(..) = joined {
            // A thread may have drawn permits in between. From now on, none does.
            self.call_back_all(self.clock().now());
        }
        Ok(joined)
    }

    fn poll(&self, ticket: Ticket, waker: Option<&Waker>, held: bool) -> Progress {
        WaitQueue::poll(&self.bucket, ticket, waker, held)
    }

    fn due(&self, ticket: Ticket) -> Timestamp {
        WaitQueue::due(&self.bucket, ticket)
    }

    fn is_granted(&self, ticket: Ticket) -> bool {
        WaitQueue::is_granted(&self.bucket, ticket)
    }

    fn leave(&self, ticket: Ticket) {
        WaitQueue::leave(&self.bucket, ticket);
    }

    fn keep(&self, grant: Grant) {
        WaitQueue::keep(&self.bucket, grant);
    }

    fn refund(&self, grant: Grant) {
        WaitQueue::refund(&self.bucket, grant);
    }
}
