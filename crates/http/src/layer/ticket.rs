//! What the layer and the handler of a request both know of it, in memory that is used again.
//!
//! A thread keeps the memory of the last request that has ended on it for the next one, so that a
//! request usually allocates none.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;

use super::RateLimitHandle;
use crate::engine::{Decision, HttpLimiter};

/// What the layer and the handler of a request both know of it.
#[derive(Clone)]
pub(super) struct Ticket {
    pub(super) limiter: HttpLimiter,
    pub(super) decision: Decision,
    /// How often handles of the limiter had been used before the request.
    pub(super) uses: usize,
    /// The layer of another limiter that stands outside of this one.
    pub(super) outer: Option<RateLimitHandle>,
}

/// A ticket that several share.
#[derive(Clone)]
pub(super) struct Shared(Arc<Option<Ticket>>);

thread_local! {
    /// Memory that is not in use. It holds no ticket, so it keeps no limiter alive.
    static SPARE: Cell<Option<Arc<Option<Ticket>>>> = const { Cell::new(None) };
}

impl Shared {
    pub(super) fn new(ticket: Ticket) -> Self {
        let mut memory = SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default();
        match Arc::get_mut(&mut memory) {
            Some(empty) => *empty = Some(ticket),
            None => memory = Arc::new(Some(ticket)),
        }
        Self(memory)
    }

    /// The ticket, to be changed. Those who share it do not see the change.
    pub(super) fn change(&mut self) -> &mut Ticket {
        Arc::make_mut(&mut self.0).as_mut().expect(IS_THERE)
    }
}

/// The ticket is only taken when nobody has it any more.
const IS_THERE: &str = "a ticket is there as long as somebody has it";

impl Deref for Shared {
    type Target = Ticket;

    fn deref(&self) -> &Ticket {
        self.0.as_ref().as_ref().expect(IS_THERE)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let Some(memory) = Arc::get_mut(&mut self.0) else { return };
        *memory = None;
        // A thread that ends has no place for it.
        let _ = SPARE.try_with(|spare| spare.set(Some(Arc::clone(&self.0))));
    }
}
