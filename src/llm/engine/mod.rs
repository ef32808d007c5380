//! What a limiter and a pool have in common: the keys, their limits and the queue, under one lock.

pub(crate) mod account;
pub(crate) mod keys;
mod queued_request;
mod responses;
mod rule;
#[cfg(feature = "shared")]
mod shared;

pub(crate) use queued_request::QueuedRequest;

use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use account::{Account, LimitEvent};
use keys::{Key, Keys};
use rule::KeyRule;

use crate::answer::Taken;
use crate::limiters::core::{Core, Edited};
use crate::limiters::verbs::Settings;
use crate::llm::{Error, OnDrop, Tokens, Usage};
use crate::sync::Mutex;
use crate::wakers::Wakers;
use crate::{Clock, Timestamp, WaitError};

/// The shared part of a limiter or a pool.
#[derive(Debug)]
pub(crate) struct Engine<C> {
    clock: C,
    core: Mutex<Core<KeyRule>>,
    pub(crate) settings: Settings,
    pub(crate) options: Options,
    /// The line of low-priority requests, once there is one: it lets one of them at a time into the
    /// queue.
    low_priority: OnceLock<Arc<Engine<C>>>,
}

/// The options of a limiter or a pool, other than its limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) on_drop: OnDrop,
    /// Whether estimates are lowered to the limits.
    pub(crate) clamp: bool,
    /// The longest remaining pause that requests wait for.
    pub(crate) max_server_wait: Duration,
    /// The longest pause that one response can cause.
    pub(crate) max_pause: Duration,
    /// The longest rest of a key that is spent.
    pub(crate) max_spent_rest: Duration,
    /// Whether an account about whose limits nothing is known sends one request first.
    pub(crate) try_first: bool,
    /// Whether refusals limit an account about whose limits nothing is known.
    pub(crate) provisional_limit: bool,
    pub(crate) max_waiters: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            on_drop: OnDrop::default(),
            clamp: false,
            max_server_wait: Duration::from_secs(2 * 60),
            max_pause: Duration::from_secs(24 * 3_600),
            max_spent_rest: Duration::from_secs(3_600),
            try_first: false,
            provisional_limit: true,
            max_waiters: usize::MAX,
        }
    }
}

impl<C: Clock> Engine<C> {
    pub(crate) fn new(
        clock: C,
        keys: Keys,
        now: Timestamp,
        settings: Settings,
        options: Options,
    ) -> Self {
        let core = Mutex::new(Core::new(KeyRule, keys, now, options.max_waiters));
        Self { clock, core, settings, options, low_priority: OnceLock::new() }
    }

    /// The line of low-priority requests: an engine that permits one request at a time.
    pub(crate) fn low_priority(&self) -> &Arc<Self>
    where
        C: Clone,
    {
        self.low_priority.get_or_init(|| {
            let now = self.clock.now();
            let account = Account::one_at_a_time();
            let options = Options { max_waiters: self.options.max_waiters, ..Options::default() };
            let (keys, settings) = (Keys::one(account, Key::new(0)), self.settings.clone());
            Arc::new(Self::new(self.clock.clone(), keys, now, settings, options))
        })
    }

    pub(crate) fn clock(&self) -> &C {
        &self.clock
    }

    /// Refuses all requests from now on, and ends all waits.
    pub(crate) fn close(&self) {
        self.with_core(Core::close);
        // Who stands in that line is let into the queue, and refused there.
    }

    /// Calls `act` under the lock. The wakers that `act` collects are called when they are dropped,
    /// after the lock is released, because they are foreign code.
    pub(crate) fn with_core<R>(
        &self,
        act: impl FnOnce(&mut Core<KeyRule>, Timestamp, &mut Wakers) -> R,
    ) -> R {
        let now = self.clock.now();
        let mut wakers = Wakers::default();
        let mut core = self.core.lock();
        let result = act(&mut core, now, &mut wakers);
        drop(core);
        drop(wakers);
        result
    }

    /// Changes the keys, and updates the due times of all waiters.
    pub(crate) fn edit<R>(&self, act: impl FnOnce(&mut Keys, Timestamp) -> R) -> R {
        let mut wakers = Wakers::default();
        self.edit_under(&mut wakers, act)
    }

    /// As [`edit`](Self::edit), for a caller that holds another lock: the caller drops the wakers
    /// after it has released that lock.
    pub(crate) fn edit_under<R>(
        &self,
        wakers: &mut Wakers,
        act: impl FnOnce(&mut Keys, Timestamp) -> R,
    ) -> R {
        let now = self.clock.now();
        let mut core = self.core.lock();
        core.edit(now, wakers, |keys, now| (act(keys, now), Edited::Changed))
    }

    /// Reads the keys, after granting permits to waiters that are due.
    pub(crate) fn read<R>(&self, act: impl FnOnce(&mut Keys, Timestamp) -> R) -> R {
        self.with_core(|core, now, wakers| {
            core.edit(now, wakers, |keys, now| (act(keys, now), Edited::Nothing))
        })
    }

    /// A state was restored.
    pub(crate) fn restored(&self, events: Vec<LimitEvent>) {
        for event in events {
            event.emit(&self.settings.name);
        }
        self.fail_hopeless_waits();
    }

    /// Reads the keys. Grants nothing and wakes nobody.
    pub(crate) fn look<R>(&self, act: impl FnOnce(&Keys) -> R) -> R {
        act(&self.core.lock().state)
    }

    /// Takes one request and its tokens now. Returns what was taken and of which key, and the
    /// tokens, which may have been clamped.
    #[inline]
    pub(crate) fn try_acquire(&self, tokens: Tokens) -> Result<(Taken, Tokens), Error> {
        match self.try_acquire_at_once(tokens) {
            Some(taken) => Ok((taken, tokens)),
            None => self.acquire_slowly(tokens),
        }
    }

    /// Takes one request and its tokens, if nobody waits and nothing has to be worked out.
    #[inline]
    pub(crate) fn try_acquire_at_once(&self, tokens: Tokens) -> Option<Taken> {
        let now = self.clock.now();
        self.core.lock().hold_if_idle(now, tokens)
    }

    #[cold]
    fn acquire_slowly(&self, tokens: Tokens) -> Result<(Taken, Tokens), Error> {
        let answer = self.with_core(|core, now, wakers| {
            let tokens = self.admit(&core.state, now, tokens)?;
            Ok((core.try_hold(now, tokens, wakers)?, tokens))
        });
        match &answer {
            Ok((_, lowered)) => self.log_lowered(tokens, *lowered),
            Err(error) => self.log(error),
        }
        answer
    }

    /// Tells if an estimate was lowered.
    pub(crate) fn log_lowered(&self, asked: Tokens, lowered: Tokens) {
        if lowered != asked {
            crate::events::debug!(
                limiter = self.settings.name,
                ?asked,
                ?lowered,
                "estimate lowered to a limit: the server may refuse the request"
            );
        }
    }

    /// The tokens to acquire for an estimate of `tokens`.
    ///
    /// # Errors
    ///
    /// [`Error::NoKeys`] or [`Error::ServerWait`]: the request must not even wait.
    fn admit(&self, keys: &Keys, now: Timestamp, tokens: Tokens) -> Result<Tokens, Error> {
        let tokens = match self.options.clamp {
            true => keys.clamped(tokens, true),
            // A limit that was learned from one response must not reject requests for ever, because
            // then no further response could correct it: the estimate is lowered to that limit.
            false if keys.none_can_serve(tokens) => keys.clamped(tokens, false),
            false => tokens,
        };
        let Some(pause) = keys.shortest_pause(now, tokens) else { return Err(Error::NoKeys) };
        if pause > self.options.max_server_wait {
            return Err(Error::ServerWait { retry_after: pause });
        }
        Ok(tokens)
    }

    pub(crate) fn log(&self, error: &Error) {
        crate::events::debug!(limiter = self.settings.name, %error, "request refused");
    }

    /// Translates the error of a wait. A timeout may stand for a pause that is too long, or for a
    /// pool without keys, because the queue has no errors of its own for them.
    pub(crate) fn explain(&self, error: WaitError, tokens: Tokens) -> Error {
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

    /// Fails all waiters that [`admit`](Self::admit) would reject now, because no key is active or
    /// all keys are paused for too long.
    pub(crate) fn fail_hopeless_waits(&self) {
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

    /// Settles a request that succeeded and used `actual` tokens.
    #[inline]
    pub(crate) fn settle(&self, taken: Taken, estimate: Tokens, actual: Tokens) {
        self.end_request(taken, estimate, actual, true);
    }

    /// Settles a request whose usage is not known: its estimate counts as used.
    pub(crate) fn keep(&self, taken: Taken, estimate: Tokens, succeeded: bool) {
        self.end_request(taken, estimate, estimate, succeeded);
    }

    #[inline]
    fn end_request(&self, taken: Taken, estimate: Tokens, actual: Tokens, succeeded: bool) {
        let now = self.clock.now();
        let settle = |keys: &mut Keys, now| keys.settle(taken, now, estimate, actual, succeeded);
        let settled = self.core.lock().edit_if_idle(now, settle);
        match settled {
            Some((_, None)) => {}
            Some((_, Some(event))) => event.emit(&self.settings.name),
            None => self.settle_slowly(now, settle),
        }
    }

    /// Settles while other requests wait: their due times may change.
    #[cold]
    fn settle_slowly(
        &self,
        now: Timestamp,
        settle: impl FnOnce(&mut Keys, Timestamp) -> (Edited, Option<LimitEvent>),
    ) {
        let mut wakers = Wakers::default();
        let event = self.core.lock().edit(now, &mut wakers, |keys, now| {
            let (edited, event) = settle(keys, now);
            (event, edited)
        });
        // Dropping the wakers calls them. They are foreign code, so the lock is released before.
        drop(wakers);
        if let Some(event) = event {
            event.emit(&self.settings.name);
        }
    }

    /// Gives back everything that a request took, because it was not sent.
    pub(crate) fn cancel(&self, taken: Taken, estimate: Tokens) {
        self.with_core(|core, now, wakers| core.undo(now, estimate, taken, wakers));
    }

    /// The current usage of a key, after granting permits to waiters that are due.
    pub(crate) fn usage(&self, key: u32) -> Usage {
        let mut wakers = Wakers::default();
        self.usage_under(&mut wakers, |_| Some(key)).unwrap_or_default()
    }

    /// As [`usage`](Self::usage), of the key that `which` finds, for a caller that holds another
    /// lock: the caller drops the wakers after it has released that lock.
    pub(crate) fn usage_under(
        &self,
        wakers: &mut Wakers,
        which: impl FnOnce(&Keys) -> Option<u32>,
    ) -> Option<Usage> {
        let now = self.clock.now();
        let mut core = self.core.lock();
        let waiting = core.usage(now, wakers).waiting;
        Some(core.state.usage(which(&core.state)?, now, waiting))
    }
}

/// A reference to an engine: borrowed, or shared by an owned permit.
#[derive(Debug)]
pub(crate) enum Handle<'a, C> {
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
