//! What will happen, in order.

use std::collections::BTreeMap;

use super::Nanos;

/// Events by their time; those of one instant in the order in which they were added.
pub(crate) struct Agenda<E> {
    events: BTreeMap<(Nanos, u64), E>,
    added: u64,
    pub(crate) now: Nanos,
}

impl<E> Agenda<E> {
    pub(crate) fn new() -> Self {
        Self { events: BTreeMap::new(), added: 0, now: 0 }
    }

    pub(crate) fn at(&mut self, time: Nanos, event: E) {
        self.events.insert((time, self.added), event);
        self.added += 1;
    }

    pub(crate) fn after(&mut self, delay: Nanos, event: E) {
        self.at(self.now.saturating_add(delay), event);
    }

    pub(crate) fn next(&self) -> Option<Nanos> {
        self.events.first_key_value().map(|((time, _), _)| *time)
    }

    pub(crate) fn pop(&mut self) -> Option<E> {
        self.events.pop_first().map(|(_, event)| event)
    }
}
