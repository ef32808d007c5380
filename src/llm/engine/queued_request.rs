//! One request that waits, as the wait queue sees it.

use std::task::Waker;
use std::time::Duration;

use super::Handle;
use crate::limiters::core::UNKNOWN;
use crate::llm::{Error, Tokens};
use crate::wait::{Joined, Progress, Ticket, WaitQueue};
use crate::{Clock, Grant, Timestamp, WaitError};

/// A request as its own view of the queue: whatever number of permits is asked for, a place in the
/// queue is taken for the tokens of this request.
#[derive(Debug)]
pub(crate) struct QueuedRequest<'a, C> {
    pub(crate) engine: Handle<'a, C>,
    pub(crate) tokens: Tokens,
    /// The tokens before they were lowered to the limits.
    pub(crate) asked: Tokens,
}

impl<'a, C: Clock> QueuedRequest<'a, C> {
    pub(crate) fn new(engine: Handle<'a, C>, tokens: Tokens) -> Result<Self, Error> {
        let admitted = engine.with_core(|core, now, _| engine.admit(&core.state, now, tokens));
        match admitted {
            Ok(lowered) => {
                engine.log_lowered(tokens, lowered);
                Ok(Self { engine, tokens: lowered, asked: tokens })
            }
            Err(error) => {
                engine.log(&error);
                Err(error)
            }
        }
    }
}

impl<C: Clock> QueuedRequest<'_, C> {
    /// The same request after its wait has failed, if a limit has been learned meanwhile that it
    /// exceeds: with its estimate lowered to that limit, for another place in the queue.
    ///
    /// # Errors
    ///
    /// Why the wait has failed, if there is nothing to lower.
    pub(crate) fn lowered(self, error: WaitError) -> Result<Self, Error> {
        if matches!(error, WaitError::ExceedsBurst { .. }) {
            let again = Self::new(self.engine.clone(), self.asked)?;
            if again.tokens != self.tokens {
                return Ok(again);
            }
        }
        Err(self.engine.explain(error, self.tokens))
    }
}

impl<C: Clock> WaitQueue for QueuedRequest<'_, C> {
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
            // Checked again, under the same lock that the place is taken under: a response may have
            // caused too long a pause since the first check.
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
        // Unknown if it depends on when a request in flight ends.
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

    /// Does nothing: a permit can be given back until it is settled.
    fn keep(&self, _: Grant) {}
}
