//! The meters of an account.

use smallvec::SmallVec;

use super::meter::Meter;
use crate::llm::LimitKind;
use crate::llm::limits::MAX_LIMITS;

/// At most one meter of each kind.
///
/// The first few are stored inline, because following a pointer under the lock costs time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meters {
    each: SmallVec<[Meter; 4]>,
}

impl Meters {
    /// Adds a meter, or replaces the meter of the same kind. Returns whether there was room for it.
    pub(crate) fn put(&mut self, meter: Meter) -> bool {
        if let Some(place) = self.of(meter.kind) {
            *place = meter;
        } else if self.each.len() < MAX_LIMITS {
            self.each.push(meter);
        } else {
            return false;
        }
        true
    }

    /// Removes the meter of a kind, and returns it.
    pub(crate) fn remove(&mut self, kind: LimitKind) -> Option<Meter> {
        let at = self.each.iter().position(|meter| meter.kind == kind)?;
        Some(self.each.remove(at))
    }

    /// The meter of a kind.
    pub(crate) fn of(&mut self, kind: LimitKind) -> Option<&mut Meter> {
        self.each.iter_mut().find(|meter| meter.kind == kind)
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Meter> {
        self.each.iter()
    }

    #[inline]
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Meter> {
        self.each.iter_mut()
    }
}
