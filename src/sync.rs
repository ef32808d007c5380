//! The one place that names synchronisation primitives: real ones, or loom's under
//! `--cfg tollgate_loom` (our own flag, because dependencies react to `cfg(loom)`).

#[cfg(tollgate_loom)]
pub(crate) use model::*;
#[cfg(not(tollgate_loom))]
pub(crate) use real::*;

/// A number that no other limiter of this process has, for the order in which several are locked: the same
/// for all threads, and in each run of a model.
pub(crate) fn next_number() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// A value on a cache line of its own: what threads write side by side, or beside what all of them read, must not share one.
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

    /// A place for one thread to sleep: an [`unpark`](Self::unpark) at any time ends the present
    /// or the next sleep.
    #[derive(Debug)]
    pub(crate) struct Parker(Thread);

    impl Parker {
        /// For the calling thread.
        pub(crate) fn new() -> Self {
            Self(thread::current())
        }

        /// Sleeps for at most `limit`. Only the thread that made it may call this.
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

    /// loom's mutex with `parking_lot`'s face.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            // A panic inside a model ends it; there is no poison to see.
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// The same out of a condition variable: loom's own `unpark` is lost on a thread that is blocked
    /// on a mutex just then.
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
            // loom knows no time; its models use a clock that wakes.
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
