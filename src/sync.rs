//! All synchronisation primitives of the crate are imported here: real ones, or those of loom under
//! `--cfg tollgate_loom`. (That flag is our own, because dependencies react to `cfg(loom)`.)

#[cfg(tollgate_loom)]
pub(crate) use model::*;
#[cfg(not(tollgate_loom))]
pub(crate) use real::*;

/// A number that no other limiter of this process has. It gives the order in which several limiters
/// are locked. In a loom model it is the same in each run.
pub(crate) fn next_number() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// A value on a cache line of its own, so that writes to it do not slow down threads that use its
/// neighbours.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct CacheLine<T>(pub(crate) T);

#[cfg(not(tollgate_loom))]
mod real {
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    pub(crate) use std::sync::atomic;
    use std::thread::{self, Thread};
    pub(crate) use std::thread_local;
    use std::time::Duration;

    /// Lets one thread sleep until it is woken. An [`unpark`](Self::unpark) at any time ends the
    /// present sleep, or else the next one.
    #[derive(Debug)]
    pub(crate) struct Parker(Thread);

    impl Parker {
        /// A parker for the calling thread.
        pub(crate) fn new() -> Self {
            Self(thread::current())
        }

        /// Sleeps for at most `limit`. Only the thread that called `new` may call this.
        pub(crate) fn park(&self, limit: Option<Duration>) {
            debug_assert_eq!(self.0.id(), thread::current().id());
            match limit {
                Some(limit) => thread::park_timeout(limit),
                None => thread::park(),
            }
        }

        pub(crate) fn unpark(&self) {
            self.0.unpark();
        }
    }
}

#[cfg(tollgate_loom)]
mod model {
    pub(crate) use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic;
    pub(crate) use loom::thread_local;
    use std::sync::PoisonError;
    use std::time::Duration;

    /// loom's mutex with the interface of `parking_lot`.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            // A panic ends the model, so nothing sees a poisoned mutex.
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// A parker made of a condition variable. loom's own `unpark` is lost if the thread is blocked
    /// on a mutex at that moment.
    #[derive(Debug)]
    pub(crate) struct Parker {
        token: Mutex<bool>,
        changed: loom::sync::Condvar,
    }

    impl Parker {
        pub(crate) fn new() -> Self {
            Self { token: Mutex::new(false), changed: loom::sync::Condvar::new() }
        }

        pub(crate) fn park(&self, limit: Option<Duration>) {
            // loom has no time, so models use a clock that wakes its waiters.
            assert!(limit.is_none(), "a model must use a clock that wakes");
            let mut token = self.token.lock();
            while !std::mem::take(&mut *token) {
                token = self.changed.wait(token).unwrap_or_else(PoisonError::into_inner);
            }
        }

        pub(crate) fn unpark(&self) {
            *self.token.lock() = true;
            self.changed.notify_one();
        }
    }
}
