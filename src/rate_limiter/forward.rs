//! Limiters that forward every method: pointers to the limiter they point to, and the limiters of
//! this crate to their [`Gate`](crate::limiters::verbs::Gate).

use std::sync::Arc;
use std::time::Duration;

use crate::rate_limiter::RateLimiter;
use crate::wait::{Acquire, Enqueued, Request, Reservation, Timer};
use crate::{
    CancelToken, CarryOver, ConsumeError, Grant, Quota, QuotaError, Rejection, Timestamp, Usage,
    WaitError,
};

/// Implements methods. Each one calls the method of the same name in the trait `$via`, on the value
/// that `$inner` makes of `self`.
macro_rules! forward_methods {
    ($via:ident, |$this:ident| $inner:expr; $(
        $(#[$attribute:meta])*
        fn $method:ident(&self $(, $argument:ident: $type:ty)*) $(-> $answer:ty)?;
    )*) => {
        $(
            $(#[$attribute])*
            #[inline]
            fn $method(&self $(, $argument: $type)*) $(-> $answer)? {
                let $this = self;
                $via::$method($inner $(, $argument)*)
            }
        )*
    };
}
pub(crate) use forward_methods;

/// Implements [`RateLimiter`] for a limiter. Each method calls the method of the same name in
/// `Gate`.
macro_rules! forward_to_gate {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> $crate::RateLimiter for $type {
            $crate::rate_limiter::forward_methods! {
                Gate, |this| this;
                fn allow_n(&self, permits: u64) -> bool;
                fn try_acquire(&self, permits: u64) -> Result<$crate::Grant, $crate::Rejection>;
                fn delay_for(&self, permits: u64) -> Result<std::time::Duration, $crate::Rejection>;
                fn consume(&self, permits: u64)
                    -> Result<std::time::Duration, $crate::ConsumeError>;
                fn credit(&self, permits: u64);
                fn try_acquire_up_to(&self, permits: u64) -> u64;
                fn usage(&self) -> $crate::Usage;
                fn set_quota_with(
                    &self,
                    quota: $crate::Quota,
                    how: $crate::CarryOver
                ) -> Result<(), $crate::QuotaError>;
                fn quota(&self) -> $crate::Quota;
                fn reset(&self);
                fn close(&self);
                fn is_closed(&self) -> bool;
                fn enqueue(
                    &self,
                    request: $crate::wait::Request<'_>
                ) -> Result<$crate::wait::Enqueued<'_>, $crate::WaitError>;
            }

            fn now(&self) -> $crate::Timestamp {
                $crate::Clock::now(Gate::clock(self))
            }
        }
    };
}
pub(crate) use forward_to_gate;

/// Implements [`RateLimiter`] for a pointer. Every method is forwarded, also those with a default,
/// because the limiter may have its own version of them.
macro_rules! forward_pointer {
    ($type:ty) => {
        impl<L: RateLimiter + ?Sized> RateLimiter for $type {
            forward_methods! {
                RateLimiter, |this| &**this;
                fn inner(&self) -> Option<&dyn RateLimiter>;
                fn price(&self, permits: u64) -> u64;
                fn enqueue(&self, request: Request<'_>) -> Result<Enqueued<'_>, WaitError>;
                fn allow(&self) -> bool;
                fn allow_n(&self, permits: u64) -> bool;
                fn try_acquire(&self, permits: u64) -> Result<Grant, Rejection>;
                fn try_acquire_up_to(&self, permits: u64) -> u64;
                fn drain(&self) -> u64;
                fn delay_for(&self, permits: u64) -> Result<Duration, Rejection>;
                fn consume(&self, permits: u64) -> Result<Duration, ConsumeError>;
                fn credit(&self, permits: u64);
                fn usage(&self) -> Usage;
                fn quota(&self) -> Quota;
                fn set_quota(&self, quota: Quota) -> Result<(), QuotaError>;
                fn set_quota_with(&self, quota: Quota, how: CarryOver) -> Result<(), QuotaError>;
                fn reset(&self);
                fn close(&self);
                fn is_closed(&self) -> bool;
                fn now(&self) -> Timestamp;
                fn wait(&self) -> Result<Grant, WaitError>;
                fn wait_n(&self, permits: u64) -> Result<Grant, WaitError>;
                fn wait_timeout(&self, permits: u64, timeout: Duration) -> Result<Grant, WaitError>;
                fn wait_deadline(
                    &self,
                    permits: u64,
                    deadline: Timestamp
                ) -> Result<Grant, WaitError>;
                fn wait_cancellable(
                    &self,
                    permits: u64,
                    cancel: &CancelToken
                ) -> Result<Grant, WaitError>;
                fn wait_cancellable_timeout(
                    &self,
                    permits: u64,
                    timeout: Duration,
                    cancel: &CancelToken
                ) -> Result<Grant, WaitError>;
                fn reserve(&self, permits: u64) -> Result<Reservation<'_>, WaitError>;
                fn reserve_within(
                    &self,
                    permits: u64,
                    max_delay: Duration
                ) -> Result<Reservation<'_>, WaitError>;
                #[cfg(feature = "tokio")]
                fn acquire(&self, permits: u64) -> Acquire<'_>;
                #[cfg(feature = "tokio")]
                fn acquire_timeout(&self, permits: u64, timeout: Duration) -> Acquire<'_>;
            }

            fn acquire_on<'a>(&'a self, permits: u64, timer: &'a dyn Timer) -> Acquire<'a> {
                (**self).acquire_on(permits, timer)
            }

            fn acquire_timeout_on<'a>(
                &'a self,
                permits: u64,
                timeout: Duration,
                timer: &'a dyn Timer,
            ) -> Acquire<'a> {
                (**self).acquire_timeout_on(permits, timeout, timer)
            }
        }
    };
}

forward_pointer!(&L);
forward_pointer!(Box<L>);
forward_pointer!(Arc<L>);
