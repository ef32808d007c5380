//! Reservations, kept, cancelled and dropped.

use std::time::Duration;

use crate::subject::{LIMIT, Make, NANO, Options};

pub(crate) fn what_is_there_is_reserved_at_once(make: Make) {
    let s = make(Options::default());
    let reservation = s.limiter.reserve(4).unwrap();
    assert_eq!(
        (reservation.permits(), reservation.delay().expect("it comes")),
        (4, Duration::ZERO)
    );
    assert_eq!(s.remaining(), LIMIT - 4);
    reservation.cancel();
    assert_eq!(s.remaining(), LIMIT);
    drop(s.limiter.reserve(4).unwrap());
    assert_eq!(s.remaining(), LIMIT - 4, "it was due, so it counts as used");
}

pub(crate) fn a_delay_is_exact(make: Make) {
    let s = make(Options::default());
    s.drain();
    let delay = s.delay(3);
    let reservation = s.limiter.reserve(3).unwrap();
    assert_eq!(reservation.delay().expect("it comes"), delay);
    s.clock.advance(delay - NANO);
    assert_eq!((reservation.delay().expect("it comes"), s.waiting()), (NANO, 1));
    s.clock.advance(NANO);
    assert_eq!((reservation.delay().expect("it comes"), s.waiting()), (Duration::ZERO, 0));
    assert_eq!(reservation.wait().unwrap().permits, 3);
}

pub(crate) fn who_is_behind_moves_up(make: Make) {
    let s = make(Options::default());
    s.drain();
    let (alone, both) = (s.delay(2), s.delay(8));
    let first = s.limiter.reserve(4).unwrap();
    let middle = s.limiter.reserve(4).unwrap();
    let last = s.limiter.reserve(2).unwrap();
    let queued = last.delay().expect("it comes");
    assert!(queued >= both);
    middle.cancel();
    assert!(last.delay().expect("it comes") <= queued);
    drop(first);
    assert_eq!(last.delay().expect("it comes"), alone, "as if the others had never been");
    last.cancel();
    assert_eq!((s.waiting(), s.delay(2)), (0, alone));
}

pub(crate) fn a_cancel_after_it_was_due_gives_back(make: Make) {
    let s = make(Options::default());
    s.drain();
    let reservation = s.limiter.reserve(5).unwrap();
    s.clock.advance(reservation.delay().expect("it comes"));
    let before = s.limiter.usage();
    reservation.cancel();
    let after = s.limiter.usage();
    assert_eq!(after.remaining, before.remaining + 5);
    if s.caps.counters {
        assert_eq!(after.allowed, before.allowed - 5);
    }
}

pub(crate) fn a_drop_before_it_is_due_takes_nothing(make: Make) {
    let s = make(Options::default());
    s.drain();
    let (two, five) = (s.delay(2), s.delay(5));
    drop(s.limiter.reserve(5).unwrap());
    assert_eq!((s.waiting(), s.delay(2), s.delay(5)), (0, two, five));
    s.clock.advance(two);
    assert!(s.limiter.allow_n(2));
}

pub(crate) fn a_drop_after_it_was_due_counts_as_used(make: Make) {
    let s = make(Options::default());
    s.drain();
    let reservation = s.limiter.reserve(5).unwrap();
    s.clock.advance(reservation.delay().expect("it comes"));
    let before = s.limiter.usage();
    drop(reservation);
    assert_eq!(s.limiter.usage(), before);
}

pub(crate) fn a_debt_moves_everybody_back(make: Make) {
    let s = make(Options::default());
    s.drain();
    let first = s.limiter.reserve(2).unwrap();
    let second = s.limiter.reserve(3).unwrap();
    let before = (first.delay().expect("it comes"), second.delay().expect("it comes"));
    s.limiter.consume(15).unwrap();
    assert!(
        first.delay().expect("it comes") >= before.0
            && second.delay().expect("it comes") >= before.1
    );
    s.clock.advance(first.delay().expect("it comes") - NANO);
    assert_eq!(s.waiting(), 2);
    s.clock.advance(NANO);
    assert_eq!(first.delay().expect("it comes"), Duration::ZERO);
    s.clock.advance(second.delay().expect("it comes"));
    assert_eq!(s.waiting(), 0);
}
