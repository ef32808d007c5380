//! One ask on its way to the store, and its answer.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::Failure;
use crate::shared::store::{Answer, Ask};
use crate::sync::Mutex;

/// What whoever asked is told.
pub(super) type Reply = Result<Answer, Failure>;

/// An ask on its way. Whoever asked and whoever asks the store share it. An answer reaches whoever
/// asked, or else it is returned to whoever has it, who gives back what was taken.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) ask: Ask,
    /// When it was asked.
    pub(super) since: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// The answer is still to come, and wakes whoever waits.
    Waiting(Option<Waker>),
    /// The deadline has passed, and whoever asked shall look whether an answer is there.
    Late,
    Answered(Reply),
    /// Whoever asked has the answer, or has gone away.
    Left,
    /// The answer is for nobody.
    Unattended,
}

impl Pending {
    /// An ask for whose answer somebody waits.
    pub(super) fn new(ask: Ask, since: Instant) -> Self {
        Self { ask, since, state: Mutex::new(State::Waiting(None)) }
    }

    /// An ask whose answer nobody needs.
    pub(super) fn unattended(ask: Ask) -> Self {
        Self { ask, since: Instant::now(), state: Mutex::new(State::Unattended) }
    }

    /// The ask, if it goes out `now`.
    pub(super) fn ask_at(&self, now: Instant) -> Ask {
        let mut ask = self.ask.clone();
        if ask.lifetime != Duration::MAX {
            ask.lifetime = ask.lifetime.saturating_sub(now.saturating_duration_since(self.since));
        }
        ask
    }

    /// Whether whoever asked has gone away, so that the ask need not go out.
    pub(super) fn is_left(&self) -> bool {
        matches!(*self.state.lock(), State::Left)
    }

    /// Tells the answer. Returns it if whoever asked has gone away or was told another.
    pub(super) fn tell(&self, reply: Reply) -> Option<Reply> {
        let waker = {
            let mut state = self.state.lock();
            match &mut *state {
                State::Waiting(waker) => {
                    let waker = waker.take();
                    *state = State::Answered(reply);
                    waker
                }
                State::Late => {
                    *state = State::Answered(reply);
                    None
                }
                State::Answered(_) | State::Left | State::Unattended => return Some(reply),
            }
        };
        waker.into_iter().for_each(Waker::wake);
        None
    }

    /// Tells that the deadline has passed.
    pub(super) fn tell_late(&self) {
        let waker = {
            let mut state = self.state.lock();
            let State::Waiting(waker) = &mut *state else { return };
            let waker = waker.take();
            *state = State::Late;
            waker
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Wakes nobody, until the next [`poll`](Self::poll).
    pub(super) fn forget_waker(&self) {
        // Dropping a waker can run foreign code, so the lock is not held.
        drop(self.take_waker());
    }

    /// Wakes whoever waits, to look again.
    pub(super) fn wake(&self) {
        self.take_waker().into_iter().for_each(Waker::wake);
    }

    fn take_waker(&self) -> Option<Waker> {
        match &mut *self.state.lock() {
            State::Waiting(waker) => waker.take(),
            State::Late | State::Answered(_) | State::Left | State::Unattended => None,
        }
    }

    /// The answer, for whoever asked.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Reply> {
        let mut state = self.state.lock();
        match &mut *state {
            State::Waiting(waker) => {
                let replaced = match waker {
                    Some(waker) if waker.will_wake(context.waker()) => None,
                    waker => waker.replace(context.waker().clone()),
                };
                drop(state);
                // Dropping a waker can run foreign code.
                drop(replaced);
                Poll::Pending
            }
            State::Late => Poll::Ready(Err(Failure::Late)),
            State::Answered(_) => match std::mem::replace(&mut *state, State::Left) {
                State::Answered(reply) => Poll::Ready(reply),
                _ => Poll::Pending,
            },
            State::Left | State::Unattended => Poll::Pending,
        }
    }

    /// Whoever asked goes away. Returns the answer, if it has come and was not received.
    pub(super) fn leave(&self) -> Option<Reply> {
        // The lock is released first: dropping a waker can run foreign code.
        let before = std::mem::replace(&mut *self.state.lock(), State::Left);
        match before {
            State::Answered(reply) => Some(reply),
            State::Waiting(_) | State::Late | State::Left | State::Unattended => None,
        }
    }
}
