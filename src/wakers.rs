//! Wakers that are called once no lock is held.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;

/// Wakers to be called, or only dropped, once the lock is released. Both may run foreign code, and
/// the last waker of a task may own the task's future.
#[derive(Debug, Default)]
#[must_use = "woken when dropped, which must not happen under the lock"]
pub(crate) struct Wakers {
    wake: Vec<Waker>,
    /// A waker to be dropped. There is rarely more than one, and one costs no allocation.
    spent: Option<Waker>,
    more_spent: Vec<Waker>,
}

impl Wakers {
    pub(crate) fn push(&mut self, waker: Option<Waker>) {
        self.wake.extend(waker);
    }

    pub(crate) fn discard(&mut self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.more_spent.extend(self.spent.replace(waker));
        }
    }
}

impl FromIterator<Waker> for Wakers {
    fn from_iter<I: IntoIterator<Item = Waker>>(wakers: I) -> Self {
        Self { wake: wakers.into_iter().collect(), spent: None, more_spent: Vec::new() }
    }
}

impl Drop for Wakers {
    /// Calls all wakers, even if one of them panics, because the other waiters may not look by
    /// themselves for a long time. The first panic is resumed after that, unless the thread is
    /// panicking already: a second panic would abort the process. (With `panic = "abort"`, the
    /// first panic aborts the process.)
    fn drop(&mut self) {
        let mut panic = None;
        for waker in self.wake.drain(..) {
            keep_first(&mut panic, || waker.wake());
        }
        // The drop of a waker may run foreign code as well.
        for waker in self.spent.take().into_iter().chain(self.more_spent.drain(..)) {
            keep_first(&mut panic, || drop(waker));
        }
        match panic {
            Some(panic) if !std::thread::panicking() => resume_unwind(panic),
            // The drop of the payload could panic, too.
            Some(panic) => std::mem::forget(panic),
            None => {}
        }
    }
}

/// Runs foreign code, catches a panic of it, and keeps the first one.
fn keep_first(first: &mut Option<Box<dyn Any + Send>>, act: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(act)) {
        match first {
            None => *first = Some(panic),
            Some(_) => std::mem::forget(panic),
        }
    }
}
