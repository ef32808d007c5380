//! The locks of a decision: their order, and access to what they protect while all are held.

use super::party::{self, Party, Place};

/// One lock of one charge. The derived order is the order in which locks are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unit {
    pub(super) place: Place,
    pub(super) charge: u32,
    pub(super) lock: u8,
}

/// The locks that are held so far.
pub(super) trait Held {
    /// What the lock of the unit at index `first` protects.
    fn get(&mut self, first: usize) -> Option<&mut party::State>;

    /// The same for two different locks.
    fn pair(
        &mut self,
        one: usize,
        other: usize,
    ) -> (Option<&mut party::State>, Option<&mut party::State>);
}

/// No lock is held.
pub(super) struct Nothing;

impl Held for Nothing {
    fn get(&mut self, _: usize) -> Option<&mut party::State> {
        None
    }

    fn pair(
        &mut self,
        _: usize,
        _: usize,
    ) -> (Option<&mut party::State>, Option<&mut party::State>) {
        (None, None)
    }
}

/// One more held lock than `before`.
struct Link<'a> {
    first: usize,
    state: &'a mut party::State,
    before: &'a mut dyn Held,
}

impl Held for Link<'_> {
    fn get(&mut self, first: usize) -> Option<&mut party::State> {
        if first == self.first { Some(self.state) } else { self.before.get(first) }
    }

    fn pair(
        &mut self,
        one: usize,
        other: usize,
    ) -> (Option<&mut party::State>, Option<&mut party::State>) {
        if self.first == one {
            (Some(self.state), self.before.get(other))
        } else if self.first == other {
            (self.before.get(one), Some(self.state))
        } else {
            self.before.pair(one, other)
        }
    }
}

/// The most locks that are sorted without an allocation.
pub(super) const FEW: usize = 16;

/// The locks of all charges, in the order in which they are taken.
pub(super) fn sorted<'a, C: Party>(
    charges: &[C],
    few: &'a mut [Unit; FEW],
    many: &'a mut Vec<Unit>,
) -> &'a [Unit] {
    let mut count = 0;
    for (charge, number) in charges.iter().zip(0..) {
        for lock in 0..party::LOCKS {
            let Some(place) = charge.place(lock) else { continue };
            let unit = Unit { place, charge: number, lock };
            match few.get_mut(count) {
                Some(free) => *free = unit,
                None if many.is_empty() => {
                    many.extend_from_slice(few);
                    many.push(unit);
                }
                None => many.push(unit),
            }
            count += 1;
        }
    }
    let units = if many.is_empty() { &mut few[..count] } else { &mut many[..] };
    units.sort_unstable();
    units
}

/// Takes the locks of the units from index `first` on, each lock once, and runs `then`.
pub(super) fn hold_from<C: Party>(
    charges: &[C],
    units: &[Unit],
    first: usize,
    before: &mut dyn Held,
    then: &mut dyn FnMut(&mut dyn Held),
) {
    let Some(unit) = units.get(first) else { return then(before) };
    let next = first + shared_by(&units[first..]);
    of(charges, *unit).hold(unit.lock, &mut |state| {
        let mut link = Link { first, state, before: &mut *before };
        hold_from(charges, units, next, &mut link, then);
    });
}

/// The number of units, from the first one on, that share the lock of the first.
fn shared_by(units: &[Unit]) -> usize {
    units.iter().take_while(|unit| unit.place == units[0].place).count()
}

/// The charge that a unit belongs to.
pub(super) fn of<C>(charges: &[C], unit: Unit) -> &C {
    &charges[unit.charge as usize]
}

/// Runs `act` on each unit, with its index and the index of the first unit that shares its lock.
pub(super) fn each(units: &[Unit], mut act: impl FnMut(usize, usize, Unit)) {
    let mut first = 0;
    for (at, unit) in units.iter().enumerate() {
        if unit.place != units[first].place {
            first = at;
        }
        act(at, first, *unit);
    }
}

/// What the lock of a unit protects, and what the last lock of its charge protects if that is
/// another lock.
pub(super) fn states<'a>(
    units: &[Unit],
    held: &'a mut dyn Held,
    first: usize,
    unit: Unit,
) -> (Option<&'a mut party::State>, Option<&'a mut party::State>) {
    let last = Unit { lock: party::LOCKS - 1, ..unit };
    if unit.lock == last.lock {
        return (held.get(first), None);
    }
    let same = |other: &&Unit| (other.charge, other.lock) == (last.charge, last.lock);
    let Some(last) = units.iter().find(same) else { return (held.get(first), None) };
    match units.iter().position(|other| other.place == last.place) {
        Some(second) => held.pair(first, second),
        None => (held.get(first), None),
    }
}
