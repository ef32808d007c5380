//! The one place that names synchronisation primitives: real ones, or loom's under
//! `--cfg tollgate_loom` (our own flag, because dependencies react to `cfg(loom)`).

#[cfg(not(tollgate_loom))]
mod real {
    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::sync::atomic;
    pub(crate) use std::thread;
}

#[cfg(tollgate_loom)]
mod model {
    pub(crate) use loom::sync::atomic;
    pub(crate) use loom::thread;

    /// loom's mutex with `parking_lot`'s face.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            // A panic inside a model ends it; there is no poison to see.
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}

#[cfg(tollgate_loom)]
pub(crate) use model::*;
#[cfg(not(tollgate_loom))]
pub(crate) use real::*;

/// Parks the calling thread for at most `duration`.
pub(crate) fn park_timeout(duration: std::time::Duration) {
    #[cfg(not(tollgate_loom))]
    thread::park_timeout(duration);
    // loom knows no time; its models use a clock that wakes.
    #[cfg(tollgate_loom)]
    {
        let _ = duration;
        thread::yield_now();
    }
}
