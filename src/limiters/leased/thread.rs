//! The identity of a thread, and whether a thread with a lease has ended.

use std::sync::Arc;

use crate::sync::atomic::{AtomicBool, Ordering};

/// The token of no thread. [`token`] returns it before the first draw of a thread, and while the
/// thread is being torn down.
pub(super) const NO_TOKEN: u64 = u64::MAX;

/// A thread that may hold leases.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    /// A number that no other thread of this process has, had or will have.
    pub(super) token: u64,
    pub(super) life: Arc<Life>,
}

/// Outlives the thread, to show that it has ended.
#[derive(Debug, Default)]
pub(super) struct Life {
    ended: AtomicBool,
}

impl Life {
    /// Whether the thread has ended. If so, the caller also sees everything that the thread wrote.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// A thread-local value that is dropped when its thread ends.
struct Registered(Holder);

impl Registered {
    fn new(token: u64) -> Self {
        Self(Holder { token, life: Arc::default() })
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        #[cfg(not(tollgate_loom))]
        real::TOKEN.set(NO_TOKEN);
        self.0.life.ended.store(true, Ordering::Release);
    }
}

#[cfg(not(tollgate_loom))]
pub(super) use real::{register, token};

#[cfg(not(tollgate_loom))]
mod real {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Holder, NO_TOKEN, Registered};

    /// A billion new threads per second would use up these numbers in 584 years.
    static NEXT: AtomicU64 = AtomicU64::new(1);

    thread_local! {
        /// It has no destructor, so that reading it is one load.
        pub(super) static TOKEN: Cell<u64> = const { Cell::new(NO_TOKEN) };
        static REGISTERED: Registered = Registered::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }

    /// The token of the calling thread, or [`NO_TOKEN`].
    #[inline]
    pub(in super::super) fn token() -> u64 {
        TOKEN.get()
    }

    /// The calling thread as a holder of leases; `None` while it is being torn down, because its
    /// end would not be noticed.
    pub(in super::super) fn register() -> Option<Holder> {
        let holder = REGISTERED.try_with(|Registered(holder)| holder.clone()).ok()?;
        TOKEN.set(holder.token);
        Some(holder)
    }
}

#[cfg(tollgate_loom)]
pub(super) use model::{register, token};

/// The same for loom, which starts with new threads in each run of a model.
#[cfg(tollgate_loom)]
mod model {
    use loom::sync::atomic::{AtomicU64, Ordering};

    use super::{Holder, NO_TOKEN, Registered};

    loom::lazy_static! {
        static ref NEXT: AtomicU64 = AtomicU64::new(1);
    }
    loom::thread_local! {
        static REGISTERED: Registered = Registered::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }

    pub(in super::super) fn token() -> u64 {
        REGISTERED.try_with(|Registered(holder)| holder.token).unwrap_or(NO_TOKEN)
    }

    pub(in super::super) fn register() -> Option<Holder> {
        REGISTERED.try_with(|Registered(holder)| holder.clone()).ok()
    }
}

#[cfg(all(test, not(tollgate_loom)))]
mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc::{Sender, channel};
    use std::thread;

    use super::*;

    #[test]
    fn a_token_is_never_given_again_and_its_end_is_told() {
        let mut seen = Vec::new();
        for _ in 0..50 {
            let alive = thread::spawn(|| {
                let holder = register().expect("the thread lives");
                assert_eq!(token(), holder.token);
                assert_eq!(register().expect("the thread lives").token, holder.token);
                assert!(!holder.life.has_ended());
                holder
            });
            let holder = alive.join().expect("no panic");
            assert!(holder.life.has_ended());
            seen.push(holder.token);
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 50);
    }

    /// Asks for a token when it is dropped.
    struct Late(Sender<(u64, bool)>);

    impl Drop for Late {
        fn drop(&mut self) {
            let _ = self.0.send((token(), register().is_some()));
        }
    }

    thread_local! {
        static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
    }

    #[test]
    fn a_thread_that_is_torn_down_has_no_token() {
        let (tell, told) = channel();
        let thread = thread::spawn(move || {
            // Some systems drop these in the order of their first use, others in reverse. So on
            // some systems this value is dropped after the registration.
            LATE.with(|late| *late.borrow_mut() = Some(Late(tell)));
            register().expect("the thread lives");
        });
        thread.join().expect("no panic");
        let (token, registered) = told.recv().expect("told");
        // Either the thread was still registered, or it has neither a token nor a registration.
        assert_eq!(token == NO_TOKEN, !registered, "{token}");
    }
}
