//! New quotas, resets, and what becomes of what was used.

use std::time::Duration;

use tollgate::{CarryOver, Quota, QuotaError, WaitError, WhichLimit};

use crate::subject::{LIMIT, Make, Options, Subject};

const ALL: [CarryOver; 4] =
    [CarryOver::Proportional, CarryOver::Keep, CarryOver::AddDifference, CarryOver::Full];

/// One that takes a new quota; of the others, it is checked that they refuse one.
fn changeable(make: Make) -> Option<Subject> {
    let s = make(Options::default());
    if s.caps.set_quota {
        return Some(s);
    }
    assert!(s.limiter.allow_n(4));
    let before = s.limiter.usage();
    assert_eq!(s.limiter.set_quota(Quota::per_second(5)), Err(QuotaError::SeveralLimits));
    assert_eq!(s.limiter.usage(), before);
    None
}

pub(crate) fn to_and_fro_mints_nothing(make: Make) {
    for how in [CarryOver::Proportional, CarryOver::Keep] {
        for (used, debt) in [(6, 0), (10, 0), (10, 7), (1, 0)] {
            let Some(s) = changeable(make) else { return };
            assert!(s.limiter.allow_n(used));
            s.limiter.consume(debt).unwrap();
            for limit in [20, 5, 3, 1_000, 7, 1] {
                s.limiter.set_quota_with(s.quota(limit), how).unwrap();
                s.limiter.set_quota_with(s.quota(LIMIT), how).unwrap();
                let usage = s.limiter.usage();
                assert!(usage.used >= used, "{how:?} by {limit}: {used} were used");
                assert!(usage.remaining <= LIMIT - used);
            }
        }
    }
}

pub(crate) fn no_change_mints_but_as_it_says(make: Make) {
    for how in ALL {
        for limit in [20, 5, LIMIT] {
            let Some(s) = changeable(make) else { return };
            assert!(s.limiter.allow_n(6));
            s.limiter.set_quota_with(s.quota(limit), how).unwrap();
            let left = match how {
                CarryOver::Proportional => 4 * limit / 10,
                CarryOver::Keep => 4.min(limit),
                CarryOver::AddDifference => (4 + limit.saturating_sub(LIMIT)).min(limit),
                _ => limit,
            };
            assert_eq!(s.remaining(), left, "{how:?} to {limit}");
            assert_eq!(s.limiter.usage().limit, limit);
            assert_eq!(s.limiter.drain(), left);
        }
    }
}

pub(crate) fn the_same_quota_changes_nothing(make: Make) {
    for how in [CarryOver::Proportional, CarryOver::Keep, CarryOver::AddDifference] {
        let Some(s) = changeable(make) else { return };
        assert!(s.limiter.allow_n(6));
        let before = s.limiter.usage();
        s.limiter.set_quota_with(s.quota(LIMIT), how).unwrap();
        assert_eq!(s.limiter.usage(), before, "{how:?}");
    }
}

pub(crate) fn a_bad_quota_changes_nothing(make: Make) {
    let s = make(Options::default());
    assert!(s.limiter.allow_n(6));
    let before = s.limiter.usage();
    let second = Quota::per_second(9);
    for quota in [Quota::per_second(0), Quota::per(5, Duration::ZERO), second.burst(0)] {
        assert!(s.limiter.set_quota(quota).is_err());
        assert_eq!(s.limiter.usage(), before);
    }
    if !s.caps.burst {
        assert_eq!(s.limiter.set_quota(second.burst(8)), Err(QuotaError::BurstUnsupported));
        assert_eq!(s.limiter.usage(), before);
    }
}

pub(crate) fn who_waits_is_retimed(make: Make) {
    let Some(s) = changeable(make) else { return };
    s.drain();
    let small = s.limiter.reserve(4).unwrap();
    let large = s.limiter.reserve(8).unwrap();
    let last = s.limiter.reserve(5).unwrap();
    s.limiter.set_quota_with(s.quota(5), CarryOver::Keep).unwrap();
    let never = WaitError::ExceedsBurst { requested: 8, burst: 5, limit: WhichLimit::Only };
    assert_eq!(large.wait(), Err(never), "8 of 5 can't be had");
    assert_eq!(s.waiting(), 2);
    assert!(small.delay().expect("it comes") > Duration::ZERO);
    s.limiter.set_quota_with(s.quota(LIMIT), CarryOver::Full).unwrap();
    assert_eq!(
        (small.delay().expect("it comes"), last.delay().expect("it comes")),
        (Duration::ZERO, Duration::ZERO)
    );
    assert_eq!(s.remaining(), LIMIT - 9);
}

pub(crate) fn reset_makes_it_full(make: Make) {
    let s = make(Options::default());
    s.drain();
    s.limiter.consume(7).unwrap();
    assert!(!s.limiter.allow());
    let waiter = s.limiter.reserve(2).unwrap();
    let before = s.limiter.usage();
    s.limiter.reset();
    assert_eq!(waiter.delay().expect("it comes"), Duration::ZERO, "those who wait are first");
    let usage = s.limiter.usage();
    assert_eq!((usage.used, usage.remaining), (2, LIMIT - 2));
    if s.caps.counters {
        assert_eq!((usage.allowed, usage.denied), (before.allowed + 2, before.denied));
    }
}
