//! The meters of an account.

use super::meter::Meter;
use crate::llm::LimitKind;

/// At most one meter of each kind, without gaps between them.
///
/// The meters are stored inline and not in a `Vec`, because following a pointer under the lock
/// costs time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meters {
    each: [Option<Meter>; LimitKind::METERED.len()],
}

impl Meters {
    /// Adds a meter, or replaces the meter of the same kind.
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
