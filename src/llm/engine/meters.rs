//! The limits of an account.

use crate::llm::engine::meter::{LimitKind, Meter};

/// At most one meter of each kind, without gaps.
///
/// In place, unlike in a `Vec`: between two locks, each pointer to follow is a wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meters {
    each: [Option<Meter>; LimitKind::METERED.len()],
}

impl Meters {
    /// Adds one, or replaces the one of its kind.
    pub(crate) fn put(&mut self, meter: Meter) {
        let is_for_it =
            |place: &&mut Option<Meter>| place.as_ref().is_none_or(|it| it.kind == meter.kind);
        if let Some(place) = self.each.iter_mut().find(is_for_it) {
            *place = Some(meter);
        }
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Meter> {
        self.each.iter().map_while(Option::as_ref)
    }

    #[inline]
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Meter> {
        self.each.iter_mut().map_while(Option::as_mut)
    }
}
