//! Quotas as values and as text.
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

use std::time::Duration;

use proptest::prelude::*;
use tollgate::{ParseQuotaError, Quota, QuotaError};

#[test]
fn texts_mean_what_they_say() {
    let ms = Duration::from_millis;
    for (text, quota) in [
        ("50/s", Quota::per_second(50)),
        ("600/min burst 100", Quota::per_minute(600).burst(100)),
        ("500/h", Quota::per_hour(500)),
        ("1/day", Quota::per_day(1)),
        ("7/3s", Quota::per(7, ms(3_000))),
        ("1/250ms", Quota::every(ms(250))),
        (" 10 / 2 minutes  burst   3 ", Quota::per(10, ms(120_000)).burst(3)),
        ("3/10ns", Quota::per(3, Duration::from_nanos(10))),
        ("4/µs", Quota::per(4, Duration::from_micros(1))),
        ("unlimited", Quota::unlimited()),
    ] {
        assert_eq!(text.parse(), Ok(quota), "{text}");
    }
    assert_eq!(Quota::per(7, ms(3_000)).to_string(), "7/3s");
    assert_eq!(Quota::per(1, ms(86_400_000 * 7)).to_string(), "1/7day");
    assert_eq!(Quota::unlimited().burst(5), Quota::unlimited());
}

#[test]
fn bad_texts_say_which_part_is_bad() {
    let error = |text: &str| text.parse::<Quota>().unwrap_err();
    assert_eq!(error(""), ParseQuotaError::Form);
    assert_eq!(error("10 per second"), ParseQuotaError::Form);
    for text in ["-1/s", "+1/s", "1.5/s", "/s", "18446744073709551616/s"] {
        assert!(matches!(error(text), ParseQuotaError::Permits { .. }), "{text}");
    }
    for text in
        ["1/", "1/fortnight", "1/-1s", "1/1.5s", "1/340282366920938463463374607431768211456s"]
    {
        assert!(matches!(error(text), ParseQuotaError::Period { .. }), "{text}");
    }
    for text in ["1/s burst", "1/s burst x", "1/s burst -1"] {
        assert!(matches!(error(text), ParseQuotaError::Burst { .. }), "{text}");
    }
    assert_eq!(error("0/s"), QuotaError::ZeroRate.into());
    assert_eq!(error("1/0s"), QuotaError::ZeroPeriod.into());
    assert_eq!(error("1/s burst 0"), QuotaError::ZeroBurst.into());
    assert_eq!(error("1/999999999day"), QuotaError::PeriodTooLong.into());
    assert!(error("1/fortnight").to_string().contains("fortnight"));
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(permits in 1_u64.., nanos in 1_u64.., burst in 1_u64..) {
        for quota in [
            Quota::per(permits, Duration::from_nanos(nanos)).burst(burst),
            Quota::per(permits, Duration::from_secs(nanos % 1_000_000 + 1)),
        ] {
            prop_assert_eq!(quota.to_string().parse(), Ok(quota));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,40}", tail in "[0-9/a-z ]{0,30}") {
        for text in [text.clone(), tail.clone(), format!("{tail}{text}")] {
            if let Ok(quota) = text.parse::<Quota>() {
                prop_assert_eq!(quota.validate(), Ok(()));
            }
        }
    }
}

#[cfg(feature = "serde")]
#[test]
fn serde_uses_the_text() {
    let quota = Quota::per_minute(600).burst(100);
    let json = serde_json::to_string(&quota).unwrap();
    assert_eq!(json, "\"600/min burst 100\"");
    assert_eq!(serde_json::from_str::<Quota>(&json).unwrap(), quota);
    let error = serde_json::from_str::<Quota>("\"0/s\"").unwrap_err();
    assert!(error.to_string().contains("rate is zero"), "{error}");
    assert!(serde_json::from_str::<Quota>("7").is_err());
}
