//! Asking, looking, consuming and crediting.

use std::time::Duration;

use tollgate::{Quota, Rejection, Timestamp, WhichLimit};

use crate::subject::{LIMIT, Make, NANO, Options};

pub(crate) fn exactly_the_burst_at_start(make: Make) {
    let s = make(Options::default());
    assert!((0..LIMIT).all(|_| s.limiter.allow()));
    assert!(!s.limiter.allow());
}

pub(crate) fn all_or_nothing(make: Make) {
    let s = make(Options::default());
    assert!(s.limiter.allow_n(LIMIT - 3));
    assert!(!s.limiter.allow_n(4));
    assert!(s.limiter.try_acquire(4).is_err());
    assert!(s.limiter.allow_n(3));
    assert!(!s.limiter.allow());
}

pub(crate) fn more_than_the_burst_never_passes(make: Make) {
    let s = make(Options::default());
    for requested in [LIMIT + 1, LIMIT + 17, u64::MAX] {
        let limit = first_limit(s.limiter.try_acquire(requested));
        let never = Rejection::ExceedsBurst { requested, burst: LIMIT, limit };
        assert_eq!(s.limiter.try_acquire(requested), Err(never));
        assert_eq!(s.limiter.delay_for(requested), Err(never));
        assert_eq!(s.limiter.wait_n(requested), Err(never.into()));
        assert_eq!(s.limiter.reserve(requested).map(drop), Err(never.into()));
        assert!(!s.limiter.allow_n(requested));
    }
    assert!(s.limiter.allow_n(LIMIT), "nothing was taken");
}

pub(crate) fn usage_is_pure_and_consistent(make: Make) {
    let s = make(Options::default());
    let full = s.limiter.usage();
    assert_eq!((full.limit, full.used, full.remaining), (LIMIT, 0, LIMIT));
    assert_eq!((full.reset_after, full.waiting), (Duration::ZERO, 0));
    assert!(s.limiter.allow_n(4));
    let usage = s.limiter.usage();
    assert_eq!((usage.limit, usage.used, usage.remaining), (LIMIT, 4, LIMIT - 4));
    assert_eq!(s.limiter.usage(), usage, "a look changes nothing");
    s.clock.advance(usage.reset_after - NANO);
    assert!(s.limiter.usage().used > 0);
    s.clock.advance(NANO);
    assert_eq!(s.limiter.usage().used, 0);
}

pub(crate) fn a_grant_says_what_is_left(make: Make) {
    let s = make(Options::default());
    let grant = s.limiter.try_acquire(4).unwrap();
    assert_eq!((grant.permits, grant.remaining), (4, LIMIT - 4));
    assert_eq!(grant.reset_after, s.limiter.usage().reset_after);
}

pub(crate) fn a_refusal_says_what_is_there(make: Make) {
    let s = make(Options::default());
    assert!(s.limiter.allow_n(LIMIT - 3));
    let refused = s.limiter.try_acquire(5);
    let Err(Rejection::Denied { available, retry_after, limit, reset_after, burst }) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(available, 3);
    assert_eq!(limit, first_limit(refused));
    assert_eq!(retry_after, s.delay(5));
    let usage = s.limiter.usage();
    assert_eq!((reset_after, burst), (usage.reset_after, usage.limit));
}

/// A refusal that is repeated may be answered from the last one: it must say what a look would say,
/// whatever has happened in between.
pub(crate) fn a_repeated_refusal_says_what_a_look_does(make: Make) {
    let s = make(Options::default());
    s.drain();
    let refused = |n: u64, when: &str| {
        for _ in 0..3 {
            let (delay, usage) = (s.delay(n), s.limiter.usage());
            match s.limiter.try_acquire(n) {
                Ok(grant) => s.limiter.credit(grant.permits),
                Err(Rejection::Denied { retry_after, available, reset_after, .. }) => {
                    assert_eq!(
                        (retry_after, reset_after),
                        (delay, usage.reset_after),
                        "{n} {when}"
                    );
                    let there = if usage.waiting == 0 { usage.remaining } else { 0 };
                    assert_eq!(available, there, "{n} {when}");
                }
                Err(other) => panic!("{other} {when}"),
            }
        }
    };
    let refused = |when: &str| {
        for n in [1, 1, 4, 4, 1, 2] {
            refused(n, when);
        }
    };
    refused("when empty");
    s.clock.advance(Duration::from_nanos(1_234_567));
    refused("a little later");
    s.limiter.consume(3).unwrap();
    refused("in debt");
    s.limiter.credit(2);
    refused("after a credit");
    let waiter = s.limiter.reserve(2).unwrap();
    refused("while another waits");
    waiter.cancel();
    refused("after that was cancelled");
    let earlier = s.limiter.now().as_nanos() - 1_000;
    s.clock.set(tollgate::Timestamp::from_nanos(earlier));
    refused("on a clock that steps back");
    s.limiter.reset();
    s.drain();
    refused("after a reset");
}

pub(crate) fn retry_after_is_exact(make: Make) {
    for permits in 1..=LIMIT {
        let s = make(Options::default());
        s.clock.advance(Duration::from_nanos(123_456_789));
        s.drain();
        let Err(Rejection::Denied { retry_after, .. }) = s.limiter.try_acquire(permits) else {
            panic!("it is empty")
        };
        assert_eq!(s.delay(permits), retry_after);
        s.clock.advance(retry_after - NANO);
        assert!(!s.limiter.allow_n(permits), "{permits} too early");
        assert!(s.limiter.try_acquire(permits).is_err(), "{permits} too early");
        s.clock.advance(NANO);
        assert!(s.remaining() >= permits, "what can be taken is what remains");
        assert!(s.limiter.allow_n(permits), "{permits} in time");
    }
}

pub(crate) fn up_to_takes_what_there_is(make: Make) {
    let s = make(Options::default());
    assert_eq!(s.limiter.try_acquire_up_to(7), 7);
    assert_eq!(s.limiter.try_acquire_up_to(7), LIMIT - 7);
    assert_eq!(s.limiter.try_acquire_up_to(7), 0);
    let s = make(Options::default());
    assert_eq!(s.limiter.drain(), LIMIT);
    assert_eq!(s.limiter.drain(), 0);
    assert!(!s.limiter.allow());
}

pub(crate) fn delay_for_takes_nothing(make: Make) {
    let s = make(Options::default());
    assert_eq!(s.delay(LIMIT), Duration::ZERO);
    assert_eq!(s.remaining(), LIMIT);
    s.drain();
    let before = s.limiter.usage();
    assert_eq!(s.delay(3), s.delay(3));
    assert_eq!(s.limiter.usage(), before);
}

pub(crate) fn nothing_is_always_there_but_not_in_debt(make: Make) {
    let s = make(Options::default());
    s.drain();
    assert!(s.limiter.allow_n(0));
    assert_eq!(s.limiter.try_acquire(0).unwrap().permits, 0);
    assert_eq!(s.delay(0), Duration::ZERO);
    assert_eq!(s.limiter.wait_n(0).unwrap().permits, 0);
    s.limiter.consume(1).unwrap();
    assert!(!s.limiter.allow_n(0));
    assert!(s.limiter.try_acquire(0).is_err());
}

pub(crate) fn consume_goes_into_debt_and_back(make: Make) {
    let s = make(Options::default());
    assert_eq!(s.limiter.consume(4), Ok(Duration::ZERO));
    assert_eq!(s.remaining(), LIMIT - 4);
    let paid = s.limiter.consume(LIMIT + 1).unwrap();
    let usage = s.limiter.usage();
    assert_eq!((usage.used, usage.remaining), (LIMIT + 5, 0));
    assert_eq!(s.delay(0), paid);
    assert!(!s.limiter.allow());
    s.clock.advance(paid - NANO);
    assert!(!s.limiter.allow_n(0));
    s.clock.advance(NANO);
    assert!(s.limiter.allow_n(0));
    assert!(s.limiter.usage().used <= LIMIT);
}

pub(crate) fn credit_stops_at_the_burst(make: Make) {
    let s = make(Options::default());
    assert!(s.limiter.allow_n(6));
    s.limiter.credit(4);
    assert_eq!(s.remaining(), LIMIT - 2);
    for credit in [5, u64::MAX] {
        s.limiter.credit(credit);
        assert_eq!(s.remaining(), LIMIT);
    }
    s.drain();
    assert!(!s.limiter.allow());
    s.limiter.credit(1);
    assert!(s.limiter.allow(), "a refusal does not outlast a credit");
}

pub(crate) fn a_step_back_mints_nothing(make: Make) {
    let s = make(Options::default());
    let start = Timestamp::from_nanos(10_000_000_000);
    let back = Timestamp::from_nanos(5_000_000_000);
    s.limiter.usage();
    s.clock.set(back);
    if s.caps.steady_under_steps_back {
        assert_eq!(s.remaining(), LIMIT);
        assert!(s.limiter.allow(), "no time has passed, and it was full");
    }
    s.clock.set(start);
    while s.limiter.allow() {}
    for _ in 0..10 {
        s.clock.set(back);
        assert!(!s.limiter.allow());
        s.clock.set(start);
        assert!(!s.limiter.allow());
    }
    assert_eq!(s.remaining(), 0);
    s.clock.advance(s.delay(LIMIT));
    s.drain();
}

pub(crate) fn counters_count_permits(make: Make) {
    let s = make(Options::default());
    assert!(s.limiter.allow());
    assert!(s.limiter.allow_n(LIMIT - 1));
    assert!(!s.limiter.allow());
    assert!(!s.limiter.allow(), "this refusal may take no lock");
    assert!(s.limiter.try_acquire(3).is_err());
    assert!(s.limiter.wait_timeout(2, Duration::ZERO).is_err());
    assert!(s.limiter.reserve_within(2, NANO).is_err());
    s.limiter.consume(5).unwrap();
    let usage = s.limiter.usage();
    let expected = if s.caps.counters { (LIMIT + 5, 9) } else { (0, 0) };
    assert_eq!((usage.allowed, usage.denied), expected);
}

pub(crate) fn unlimited_admits_everything(make: Make) {
    let s = make(Options { quota: Quota::unlimited(), max_waiters: 0 });
    for _ in 0..3 {
        assert!(s.limiter.allow_n(u64::MAX));
        assert!(s.limiter.allow());
        assert_eq!(s.limiter.consume(u64::MAX), Ok(Duration::ZERO));
        assert_eq!(s.limiter.drain(), u64::MAX);
        assert_eq!(s.limiter.wait_n(u64::MAX).unwrap().remaining, u64::MAX);
    }
    let usage = s.limiter.usage();
    assert_eq!((usage.limit, usage.used, usage.remaining), (u64::MAX, 0, u64::MAX));
    assert_eq!(usage.reset_after, Duration::ZERO);
}

/// Which limit refused: the only one, or the first of several.
fn first_limit(answer: Result<tollgate::Grant, Rejection>) -> WhichLimit {
    match answer {
        Err(Rejection::Denied { limit, .. } | Rejection::ExceedsBurst { limit, .. }) => {
            assert!(matches!(limit, WhichLimit::Only | WhichLimit::Nth(0)), "{limit:?}");
            limit
        }
        other => panic!("{other:?}"),
    }
}
