//! Keys, their limits and those who wait for them, under one lock: what a limiter and a pool share.

use std::ops::Deref;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::account::Lesson;
use super::choice::{Choice, Keys};
use super::{Error, Tokens};
use crate::bucket::core::{Core, Edited, UNKNOWN};
use crate::bucket::gate::Settings;
use crate::sync::Mutex;
use crate::wait::queue::{Taken, Wakers};
use crate::wait::{Joined, Progress, Ticket, WaitQueue};
use crate::{Clock, Grant, Timestamp, WaitError};

/// What becomes of a permit that is dropped without being settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDrop {
    /// The estimate counts as used. The safe choice: the server may have counted the request.
    #[default]
    Keep,
    /// Everything is given back. **Mind that requests that fail are then free**: a client whose
    /// requests all time out after the server has counted them sends without limit.
    Refund,
}

/// The inside of a limiter or a pool.
#[derive(Debug)]
pub(super) struct Engine<C> {
    clock: C,
    core: Mutex<Core<Choice>>,
    pub(super) settings: Settings,
    pub(super) options: Options,
}

/// What a limiter or a pool was built with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) on_drop: OnDrop,
    pub(super) clamp: bool,
    pub(super) max_server_wait: Duration,
    pub(super) longest_pause: Duration,
    pub(super) max_waiters: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            on_drop: OnDrop::default(),
            clamp: false,
            max_server_wait: Duration::from_secs(2 * 60),
            longest_pause: Duration::from_secs(24 * 3_600),
            max_waiters: usize::MAX,
        }
    }
}

impl<C: Clock> Engine<C> {
    pub(super) fn new(
        clock: C,
        keys: Keys,
        now: Timestamp,
        settings: Settings,
        options: Options,
    ) -> Self {
        let core = Mutex::new(Core::new(Choice, keys, now, options.max_waiters));
        Self { clock, core, settings, options }
    }

    pub(super) fn clock(&self) -> &C {
        &self.clock
    }

    pub(super) fn with_core<R>(
        &self,
        act: impl FnOnce(&mut Core<Choice>, Timestamp, &mut Wakers) -> R,
    ) -> R {
        let now = self.clock.now();
        // Dropped after the lock is free.
        let mut wakers = Wakers::default();
        let mut core = self.core.lock();
        let result = act(&mut core, now, &mut wakers);
        drop(core);
        drop(wakers);
        result
    }

    /// Does something under the lock, with wakers of the caller's.
    pub(super) fn locked<R>(&self, act: impl FnOnce(&mut Core<Choice>) -> R) -> R {
        act(&mut self.core.lock())
    }

    /// Changes the keys in any way.
    pub(super) fn edit<R>(&self, act: impl FnOnce(&mut Keys, Timestamp) -> R) -> R {
        // Dropped after the lock is free.
        let mut wakers = Wakers::default();
        self.edit_under(&mut wakers, act)
    }

    /// The same under a lock of the caller's, who drops the wakers once it is free.
    pub(super) fn edit_under<R>(
        &self,
        wakers: &mut Wakers,
        act: impl FnOnce(&mut Keys, Timestamp) -> R,
    ) -> R {
        let now = self.clock.now();
        let mut core = self.core.lock();
        core.edit(now, wakers, |keys, now| (act(keys, now), Edited::Changed))
    }

    /// Looks at the keys; wakes nobody.
    pub(super) fn look<R>(&self, act: impl FnOnce(&Keys) -> R) -> R {
        act(&self.core.lock().state)
    }

    /// Takes what `tokens` need, and says of which key and how many.
    #[inline]
    pub(super) fn try_acquire(&self, tokens: Tokens) -> Result<(Taken, Tokens), Error> {
        let now = self.clock.now();
        if let Some(taken) = self.core.lock().hold_if_idle(now, tokens) {
            return Ok((taken, tokens));
        }
        self.acquire_slowly(tokens)
    }

    #[cold]
    fn acquire_slowly(&self, tokens: Tokens) -> Result<(Taken, Tokens), Error> {
        let answer = self.with_core(|core, now, wakers| {
            let tokens = self.admit(&core.state, now, tokens)?;
            Ok((core.try_hold(now, tokens, wakers)?, tokens))
        });
        if let Err(error) = &answer {
            self.log(error);
        }
        answer
    }

    /// The tokens to ask for, if there is sense in asking.
    fn admit(&self, keys: &Keys, now: Timestamp, tokens: Tokens) -> Result<Tokens, Error> {
        let tokens = match self.options.clamp {
            true => keys.clamped(tokens, true),
            // What a server has said must not end a client for ever: the next answer may teach better.
            false if keys.none_can_serve(tokens) => keys.clamped(tokens, false),
            false => tokens,
        };
        let Some(pause) = keys.pause_of(now, tokens) else { return Err(Error::NoKeys) };
        if pause > self.options.max_server_wait {
            return Err(Error::ServerWait { retry_after: pause });
        }
        Ok(tokens)
    }

    pub(super) fn log(&self, error: &Error) {
        crate::events::debug!(limiter = self.settings.name, %error, "refused");
    }

    /// What a wait's error means here: a server's wait that is too long ends waits, and so does a pool without keys.
    pub(super) fn explain(&self, error: WaitError, tokens: Tokens) -> Error {
        let error = match error {
            WaitError::Timeout { .. } => self.with_core(|core, now, _| {
                let admitted = self.admit(&core.state, now, tokens);
                admitted.err().unwrap_or(error.into())
            }),
            other => other.into(),
        };
        self.log(&error);
        error
    }

    /// Ends all waits that no key can serve in a bearable time, each asked with its own tokens.
    pub(super) fn end_hopeless_waits(&self) {
        self.with_core(|core, now, wakers| {
            core.fail_where(wakers, |keys, tokens| match self.admit(keys, now, tokens) {
                Err(error) => {
                    let retry_after = error.retry_after().unwrap_or_default();
                    Some(WaitError::Timeout { retry_after })
                }
                Ok(_) => None,
            });
        });
    }

    /// A request has ended well.
    #[inline]
    pub(super) fn settle(&self, taken: Taken, estimate: Tokens, actual: Tokens) {
        self.land(taken, estimate, actual, true);
    }

    /// A request has ended, and nobody knows what it took: its estimate counts.
    pub(super) fn keep(&self, taken: Taken, estimate: Tokens, well: bool) {
        self.land(taken, estimate, estimate, well);
    }

    #[inline]
    fn land(&self, taken: Taken, estimate: Tokens, actual: Tokens, well: bool) {
        let now = self.clock.now();
        let settle = |keys: &mut Keys, now| keys.settle(taken, now, estimate, actual, well);
        let settled = self.core.lock().edit_if_idle(now, settle);
        match settled {
            Some((_, None)) => {}
            Some((_, Some(lesson))) => lesson.tell(&self.settings.name),
            None => self.settle_slowly(now, settle),
        }
    }

    /// While others wait.
    #[cold]
    fn settle_slowly(
        &self,
        now: Timestamp,
        settle: impl FnOnce(&mut Keys, Timestamp) -> (bool, Option<Lesson>),
    ) {
        // Dropped after the lock is free.
        let mut wakers = Wakers::default();
        let lesson = self.core.lock().edit(now, &mut wakers, |keys, now| {
            let (owes, lesson) = settle(keys, now);
            (lesson, if owes { Edited::Took } else { Edited::GaveBack })
        });
        drop(wakers);
        if let Some(lesson) = lesson {
            lesson.tell(&self.settings.name);
        }
    }

    /// A request has not been made.
    pub(super) fn cancel(&self, taken: Taken, estimate: Tokens) {
        self.with_core(|core, now, wakers| core.undo(now, estimate, taken, wakers));
    }
}

/// An engine, borrowed or shared.
#[derive(Debug)]
pub(super) enum Handle<'a, C> {
    Borrowed(&'a Engine<C>),
    Shared(Arc<Engine<C>>),
}

impl<C> Deref for Handle<'_, C> {
    type Target = Engine<C>;

    #[inline]
    fn deref(&self) -> &Engine<C> {
        match self {
            Self::Borrowed(engine) => engine,
            Self::Shared(engine) => engine,
        }
    }
}

impl<C> Clone for Handle<'_, C> {
    fn clone(&self) -> Self {
        match self {
            Self::Borrowed(engine) => Self::Borrowed(engine),
            Self::Shared(engine) => Self::Shared(Arc::clone(engine)),
        }
    }
}

/// One request that waits: the queue as it sees it, in which every ask is for its tokens.
#[derive(Debug)]
pub(super) struct Request<'a, C> {
    pub(super) engine: Handle<'a, C>,
    pub(super) tokens: Tokens,
}

impl<'a, C: Clock> Request<'a, C> {
    pub(super) fn new(engine: Handle<'a, C>, tokens: Tokens) -> Result<Self, Error> {
        let admitted = engine.with_core(|core, now, _| engine.admit(&core.state, now, tokens));
        match admitted {
            Ok(tokens) => Ok(Self { engine, tokens }),
            Err(error) => {
                engine.log(&error);
                Err(error)
            }
        }
    }
}

impl<C: Clock> WaitQueue for Request<'_, C> {
    fn now(&self) -> Timestamp {
        self.engine.clock.now()
    }

    fn wake_at(&self, deadline: Timestamp, waker: &Waker) -> bool {
        self.engine.clock.wake_at(deadline, waker)
    }

    fn jitter(&self) -> Duration {
        self.engine.settings.jitter.draw()
    }

    fn join(
        &self,
        _: u64,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Result<Joined, WaitError> {
        let tokens = self.tokens;
        self.engine.with_core(|core, now, wakers| {
            // Once more, under the lock that the place is taken under: who comes just after a server
            // has said to wait too long must not wait for it.
            if let Err(hopeless) = self.engine.admit(&core.state, now, tokens) {
                let retry_after = hopeless.retry_after().unwrap_or_default();
                return Err(WaitError::Timeout { retry_after });
            }
            core.join_held(now, tokens, deadline, waker, wakers)
        })
    }

    fn poll(&self, ticket: Ticket, waker: Option<&Waker>, held: bool) -> Progress {
        self.engine.with_core(|core, now, wakers| core.poll(now, ticket, waker, held, wakers))
    }

    fn due(&self, ticket: Ticket) -> Timestamp {
        let due = self.engine.with_core(|core, now, wakers| core.due(now, ticket, wakers));
        // When a request in flight will end, nobody can tell.
        if due < UNKNOWN { due } else { Timestamp::MAX }
    }

    fn is_granted(&self, ticket: Ticket) -> bool {
        self.engine.with_core(|core, now, wakers| core.is_granted(now, ticket, wakers))
    }

    fn leave(&self, ticket: Ticket) {
        self.engine.with_core(|core, now, wakers| core.leave(now, ticket, wakers));
    }

    fn refund(&self, grant: Grant) {
        self.engine.cancel(grant.taken, self.tokens);
    }

    /// A permit stays open until it is settled.
    fn keep(&self, _: Grant) {}
}
