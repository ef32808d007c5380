//! The decision: all locks, a look at all, then all or nothing.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::held::{FEW, Held, Nothing, Unit, each, hold_from, of, sorted, states};
use super::party::{Decision, Party};
use crate::Timestamp;
use crate::wait::queue::Wakers;

/// How often a decision begins anew because a key's terms have changed, or its place has gone, between
/// the moment that it was looked up and the decision.
const TRIES: usize = 16;

/// The decision.
pub(super) fn decide<C: Party>(charges: &[C]) -> bool {
    let Some(first) = charges.first() else { return true };
    let now = first.now();
    decide_quickly(charges, now) || decide_slowly(charges, now)
}

/// The most charges that are decided in the quick way.
const QUICK: usize = 8;

/// The common case: each charge has a lock of its own, is known, and is there. `false` changes nothing.
///
/// Each takes its permits when all others have been found to be there, and frees its lock. By then no
/// lock is still to be taken, so nobody can see one limit before the decision and another one after it.
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

fn quickly_from<C: Party>(charges: &[C], order: &[(u64, usize)], now: Timestamp) -> bool {
    let Some(((_, number), rest)) = order.split_first() else { return true };
    charges[*number].decide_quickly(now, &mut || quickly_from(charges, rest, now))
}

/// Any case.
#[cold]
fn decide_slowly<C: Party>(charges: &[C], now: Timestamp) -> bool {
    // Dropped, and so woken, when nothing is locked any more.
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

/// Locks all, and decides unless something has to be found out first.
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

/// With all locks held: looks at all, then takes all or none. `None` if something has to be found out
/// first.
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
        // Of charges of one key, the first finds out for all.
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

/// Takes all. First what runs more than arithmetic: should foreign code panic there, what was taken is given
/// back as if it had not been, and nothing has been taken of the rest.
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

/// The permits that earlier charges ask for of the same key or limiter.
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
