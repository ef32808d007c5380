//! Limiters that hand every verb on: references, boxes, arcs, and the cells to their gate.

use std::fmt;
use std::sync::Arc;

use super::RateLimiter;

/// Implements [`RateLimiter`] for a type by handing each required verb, and `allow_n`, to the method
/// of the same name in `$via`, on what `$inner` makes of `self`.
macro_rules! forward_rate_limiter {
    ([$($generics:tt)*] $type:ty, $via:ident, |$this:ident| $inner:expr) => {
        impl<$($generics)*> $crate::RateLimiter for $type {
            #[inline]
            fn allow_n(&self, permits: u64) -> bool {
                let $this = self;
                $via::allow_n($inner, permits)
            }
            #[inline]
            fn try_acquire(&self, permits: u64) -> Result<$crate::Grant, $crate::Rejection> {
                let $this = self;
                $via::try_acquire($inner, permits)
            }
            fn delay_for(&self, permits: u64) -> Result<std::time::Duration, $crate::Rejection> {
                let $this = self;
                $via::delay_for($inner, permits)
            }
            fn consume(&self, permits: u64) -> Result<std::time::Duration, $crate::ConsumeError> {
                let $this = self;
                $via::consume($inner, permits)
            }
            fn credit(&self, permits: u64) {
                let $this = self;
                $via::credit($inner, permits);
            }
            fn try_acquire_up_to(&self, permits: u64) -> u64 {
                let $this = self;
                $via::try_acquire_up_to($inner, permits)
            }
            fn usage(&self) -> $crate::Usage {
                let $this = self;
                $via::usage($inner)
            }
            fn set_quota_with(
                &self,
                quota: $crate::Quota,
                how: $crate::CarryOver,
            ) -> Result<(), $crate::QuotaError> {
                let $this = self;
                $via::set_quota_with($inner, quota, how)
            }
            fn quota(&self) -> $crate::Quota {
                let $this = self;
                $via::quota($inner)
            }
            fn reset(&self) {
                let $this = self;
                $via::reset($inner);
            }
            fn close(&self) {
                let $this = self;
                $via::close($inner);
            }
            fn is_closed(&self) -> bool {
                let $this = self;
                $via::is_closed($inner)
            }
            fn queue(&self) -> &dyn $crate::wait::WaitQueue {
                let $this = self;
                $via::queue($inner)
            }
        }
    };
}
pub(crate) use forward_rate_limiter;

forward_rate_limiter!([L: RateLimiter + ?Sized] &L, RateLimiter, |this| &**this);
forward_rate_limiter!([L: RateLimiter + ?Sized] Box<L>, RateLimiter, |this| &**this);
forward_rate_limiter!([L: RateLimiter + ?Sized] Arc<L>, RateLimiter, |this| &**this);

/// Shows the quota and the usage of now, so that a type that holds an `Arc<dyn RateLimiter>` can derive
/// `Debug`. It asks the limiter for both: do not print a limiter from inside its own clock.
impl fmt::Debug for dyn RateLimiter + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("quota", &self.quota())
            .field("usage", &self.usage())
            .finish()
    }
}
