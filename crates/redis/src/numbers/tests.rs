//! Quotas that fit, and quotas that do not.

use std::time::Duration;

use tollgate::shared::store::{Receipt, Rule, Verb};
use tollgate::{Quota, QuotaError};

use super::{Asked, Numbers, Unfit};

const RULES: [Rule; 4] =
    [Rule::TokenBucket, Rule::FixedWindow, Rule::SlidingWindow, Rule::StrictWindow];

fn numbers(rule: Rule, quota: Quota) -> Option<Numbers> {
    Numbers::new(rule, quota).ok()
}

#[test]
fn a_rate_is_kept_in_lowest_terms() {
    let numbers = numbers(Rule::TokenBucket, Quota::per(7, Duration::from_secs(3)).burst(10));
    let Some(Numbers { x, y, z, cost, burst, .. }) = numbers else { panic!("it fits") };
    // 7 units a µs, 3,000,000 units a permit: the burst takes 4,285,714 µs and 2 units.
    assert_eq!((x, y, z, cost, burst), (7, 4_285_714, 2, 3_000_000, 10));
}

#[test]
fn what_would_be_rounded_is_refused_with_its_bound() {
    let years = |n: u64| Duration::from_secs(n * 365 * 86_400);
    let odd = Quota::per(10, Duration::from_nanos(1_500));
    let cases = [
        (Rule::FixedWindow, odd, "whole µs"),
        (Rule::SlidingWindow, odd, "whole µs"),
        (Rule::StrictWindow, odd, "whole µs"),
        (Rule::FixedWindow, Quota::per(1, years(5)), "4.4 years"),
        (Rule::SlidingWindow, Quota::per_second(1 << 47), "2^47"),
        (Rule::TokenBucket, Quota::per(1, years(1)).burst(5), "4.4 years"),
        (Rule::TokenBucket, Quota::per((1 << 47) + 1, Duration::from_nanos(3)), "2^47"),
        (Rule::TokenBucket, Quota::per_second(u64::MAX), "2^47"),
    ];
    for (rule, quota, bound) in cases {
        match Numbers::new(rule, quota) {
            Err(Unfit::Inexact(why)) => assert!(why.contains(bound), "{rule:?} {quota}: {why}"),
            Err(Unfit::Quota(error)) => panic!("{rule:?} {quota}: {error}"),
            Ok(_) => panic!("{rule:?} {quota} fits"),
        }
    }
    assert!(numbers(Rule::TokenBucket, odd).is_some());
    assert!(numbers(Rule::TokenBucket, Quota::per(1, years(1)).burst(4)).is_some());
    assert!(numbers(Rule::SlidingWindow, Quota::per_day(1_000_000_000)).is_some());
    for rule in RULES {
        let error = Numbers::new(rule, Quota::per_second(0)).err();
        assert!(matches!(error, Some(Unfit::Quota(QuotaError::ZeroRate))));
    }
}

#[test]
fn a_receipt_is_never_later_than_the_time_it_stands_for() {
    let quotas = [
        Quota::per(7, Duration::from_secs(3)),
        Quota::per(4_096, Duration::from_micros(4_097)),
        Quota::per(999_983, Duration::from_nanos(77_777_777)),
    ];
    for quota in quotas {
        let Some(numbers) = numbers(Rule::TokenBucket, quota) else { panic!("{quota} fits") };
        for units in [0, 1, numbers.x / 3, numbers.x - 1] {
            let receipt = numbers.receipt([1_000, units, 0], 1_700_000_000_000_000, 1);
            let mut packed = Vec::new();
            numbers.pack_receipt(receipt, &mut packed);
            let number = |at: usize| {
                f64::from_le_bytes(packed[at..at + 8].try_into().unwrap_or_default()).to_string()
            };
            assert_eq!(number(0), "1700000000001000");
            let back: u64 = number(8).parse().unwrap_or(u64::MAX);
            assert!(back <= units && units - back <= numbers.x / 4_096 + 1, "{back} of {units}");
            assert!(numbers.x > 4_096 || back == units, "{quota}: exact");
        }
        // Nobody gave this one.
        numbers.pack_receipt(Receipt::new(u64::MAX, 1), &mut Vec::new());
    }
}

#[test]
fn numbers_that_no_script_sends_do_not_overflow() {
    const MOST: u64 = (1 << 53) - 1;
    let quotas = [Quota::per_second(10), Quota::per(1 << 40, Duration::from_secs(86_400))];
    for (rule, quota) in RULES.iter().flat_map(|rule| quotas.map(|quota| (*rule, quota))) {
        let Some(numbers) = numbers(rule, quota) else { panic!("{quota} fits") };
        for (verb, permits) in [(Verb::Take, 1), (Verb::Take, u128::MAX), (Verb::Cancel, u128::MAX)]
        {
            let receipt = Receipt::new(u64::MAX, u64::MAX);
            let (is_free, is_done, patience, now) = (false, true, MOST, MOST);
            let asked = Asked { verb, permits, is_free, is_done, patience, receipt, now };
            for before in [None, Some([MOST; 3])] {
                let (level, _) = numbers.level([MOST; 3], before, asked);
                assert_eq!(level.remaining, 0, "{rule:?} {quota} {verb:?}: {level:?}");
            }
        }
    }
}
