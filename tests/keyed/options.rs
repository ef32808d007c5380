//! Options that no limiter can be built with are errors, not corrected in silence.

use tollgate::keyed::WhenFull;
use tollgate::{KeyedLimiter, Quota, QuotaError};

#[test]
fn a_bound_of_no_keys_is_an_error() {
    for when_full in [WhenFull::Deny, WhenFull::Share] {
        let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).max_keys(0);
        let error = builder.when_full(when_full).build().unwrap_err();
        let QuotaError::OutOfRange { option, given, least, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!((option, given, least), ("max_keys", 0, 1));
        assert!(error.to_string().contains("max_keys"), "{error}");
    }
    let limiter = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).max_keys(1).build().unwrap();
    assert!(limiter.allow(&1) && !limiter.allow(&2));
}

#[test]
fn a_number_of_shards_that_cannot_be_is_an_error() {
    for shards in [0, 65_537, usize::MAX] {
        let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).shards(shards);
        let error = builder.build().unwrap_err();
        let expected =
            QuotaError::OutOfRange { option: "shards", given: shards, least: 1, most: 65_536 };
        assert_eq!(error, expected);
    }
    for shards in [1, 3, 65_536] {
        let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).shards(shards);
        assert!(builder.build().is_ok());
    }
}

#[test]
fn a_limit_for_everybody_that_cannot_be_kept_is_an_error() {
    let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).global(Quota::per_hour(0));
    assert_eq!(builder.build().unwrap_err(), QuotaError::ZeroRate);
}

#[test]
fn keys_may_be_string_slices_that_live_for_ever() {
    let limiter = KeyedLimiter::<&'static str>::new(Quota::per_hour(1)).unwrap();
    assert!(limiter.allow(&"alice"));
    assert!(!limiter.allow(&"alice"));
}
