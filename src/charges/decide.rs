//! The decision: take all locks, look at all limits, then take from all of them or from none.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::held::{FEW, Held, Nothing, Unit, each, hold_from, of, sorted, states};
use super::party::{Decision, Party};
use crate::Timestamp;
use crate::wakers::Wakers;

/// The maximum number of attempts of a decision. It starts again if the terms or the place of a key
/// have changed between the lookup and the decision.
const TRIES: usize = 16;

/// Decides `charges`. Returns whether the permits were taken.
pub(super) fn decide<C: Party>(charges: &[C]) -> bool {
    let Some(first) = charges.first() else { return true };
    let now = first.now();
    decide_quickly(charges, now) || decide_slowly(charges, now)
}

/// The most charges that the fast path can decide.
const QUICK: usize = 8;

/// The fast path, for the common case: each charge has a lock of its own, its key is known, and its
/// permits are available. If this returns `false`, nothing has changed.
///
/// Each charge takes its permits once all others are found to be available, and then releases its
/// lock. By then no lock is still to be taken, so no other caller can see one limit before the
/// decision and another limit after it.
#[inline]
fn decide_quickly<C: Party>(charges: &[C], now: Timestamp) -> bool {
    if charges.len() > QUICK {
        return false;
    }
    let mut order = [(0, 0); QUICK];
    for (number, charge) in charges.iter().enumerate() {
        let place = charge.quick(now);
        let mut free = number;
        while free > 0 && order[free - 1].0 > place {
            order[free] = order[free - 1];
            free -= 1;
        }
        if place == 0 || (free > 0 && order[free - 1].0 == place) {
            return false;
        }
        order[free] = (place, number);
    }
    quickly_from(charges, &order[..charges.len()], now)
}

/// Decides the charges in `order`, from the first one on, each while the locks before it are held.
fn quickly_from<C: Party>(charges: &[C], order: &[(u64, usize)], now: Timestamp) -> bool {
    let Some(((_, number), rest)) = order.split_first() else { return true };
    charges[*number].decide_quickly(now, &mut || quickly_from(charges, rest, now))
}

/// The slow path, for all cases.
#[cold]
fn decide_slowly<C: Party>(charges: &[C], now: Timestamp) -> bool {
    // They are dropped, which wakes them, when no lock is held any more.
    let mut wakers = Wakers::default();
    let mut refused_early = false;
    for charge in charges {
        refused_early |= charge.begin(now);
    }
    let mut taken = false;
    for tries in (0..TRIES).rev() {
        let decision = Decision { now, last_try: tries == 0, wakers: &mut wakers };
        match decide_once(charges, refused_early, decision) {
            Some(all) => {
                taken = all;
                break;
            }
            None => charges.iter().for_each(|charge| charge.resolve(now)),
        }
    }
    drop(wakers);
    charges.iter().for_each(Party::finish);
    taken
}

/// Takes all locks, and decides. Returns `None` if something must be resolved first without locks.
fn decide_once<C: Party>(
    charges: &[C],
    refused_early: bool,
    mut decision: Decision<'_>,
) -> Option<bool> {
    let mut few = [Unit::default(); FEW];
    let mut many = Vec::new();
    let units = sorted(charges, &mut few, &mut many);
    let mut taken = None;
    hold_from(charges, units, 0, &mut Nothing, &mut |held| {
        taken = judge(charges, units, held, refused_early, &mut decision);
    });
    taken
}

/// With all locks held, looks at all charges, then takes all or none. Returns `None` if something
/// must be resolved first without locks.
fn judge<C: Party>(
    charges: &[C],
    units: &[Unit],
    held: &mut dyn Held,
    refused_early: bool,
    decision: &mut Decision<'_>,
) -> Option<bool> {
    let mut found = true;
    each(units, |_, first, unit| {
        if let Some(state) = held.get(first) {
            found &= of(charges, unit).find(unit.lock, state, decision);
        }
    });
    if !found && !decision.last_try {
        // If several charges are of one key, the first one resolves it for all of them.
        each(units, |at, first, _| {
            before(charges, units, first, at);
        });
        if !charges.iter().all(Party::is_found) {
            return None;
        }
    }
    let mut refused = refused_early;
    each(units, |at, first, unit| {
        let before = before(charges, units, first, at);
        let (state, second) = states(units, held, first, unit);
        let Some(state) = state else { return };
        refused |= !of(charges, unit).look(unit.lock, state, second, before, decision);
    });
    if refused {
        each(units, |_, first, unit| {
            let (state, second) = states(units, held, first, unit);
            let Some(state) = state else { return };
            of(charges, unit).refuse(unit.lock, state, second, decision);
        });
        return Some(false);
    }
    take(charges, units, held, decision);
    Some(true)
}

/// Takes all charges.
///
/// Charges that run foreign code come first. If that code panics, what was taken is restored as if
/// it had never been taken, and nothing has been taken for the other charges yet.
fn take<C: Party>(charges: &[C], units: &[Unit], held: &mut dyn Held, decision: &mut Decision<'_>) {
    let is_simple = |unit: Unit| of(charges, unit).is_simple(unit.lock);
    if !units.iter().all(|unit| is_simple(*unit)) {
        let taken = catch_unwind(AssertUnwindSafe(|| {
            each(units, |_, first, unit| {
                let (state, second) = states(units, held, first, unit);
                let Some(state) = state.filter(|_| !is_simple(unit)) else { return };
                of(charges, unit).save(unit.lock, state);
                of(charges, unit).take(unit.lock, state, second, decision);
            });
            each(units, |_, first, unit| {
                let Some(state) = held.get(first).filter(|_| is_simple(unit)) else { return };
                of(charges, unit).find_again(unit.lock, state);
            });
        }));
        if let Err(panic) = taken {
            each(units, |_, first, unit| {
                let Some(state) = held.get(first) else { return };
                of(charges, unit).restore(unit.lock, state);
            });
            resume_unwind(panic);
        }
    }
    each(units, |_, first, unit| {
        let (state, second) = states(units, held, first, unit);
        let Some(state) = state.filter(|_| is_simple(unit)) else { return };
        of(charges, unit).take(unit.lock, state, second, decision);
    });
}

/// The permits that earlier charges request from the same key or limiter.
fn before<C: Party>(charges: &[C], units: &[Unit], first: usize, at: usize) -> u64 {
    let (charge, lock) = (of(charges, units[at]), units[at].lock);
    let mut permits = 0_u64;
    for earlier in &units[first..at] {
        let other = of(charges, *earlier);
        other.show(earlier.lock, &mut |shown| {
            if charge.meets(lock, shown) {
                permits = permits.saturating_add(shown.permits);
            }
        });
    }
    permits
}
