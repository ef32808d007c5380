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
    for text in ["", "10", "ten", "10-20", "10-fortnight", "rate.Every(time.Second)"] {
        assert_eq!(error(text), ParseQuotaError::Form, "{text}");
    }
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

#[test]
fn texts_of_other_programs_are_read() {
    for (text, printed) in [
        // flask-limiter, slowapi, Django REST.
        ("10 per minute", "10/min"),
        ("10 per 5 minutes", "10/5min"),
        ("1 per 2 hour", "1/2h"),
        ("100 PER DAY", "100/day"),
        ("10/minute", "10/min"),
        ("10/m", "10/min"),
        ("10/S", "10/s"),
        ("100/5 hours", "100/5h"),
        // nginx.
        ("10r/s", "10/s"),
        ("30r/m", "30/min"),
        ("rate=10r/s burst=20", "10/s burst 20"),
        ("rate=10r/s burst=20 nodelay", "10/s burst 20"),
        // ulule/limiter.
        ("5-S", "5/s"),
        ("10-M", "10/min"),
        ("1000-H", "1000/h"),
        ("2000-d", "2000/day"),
        // Go.
        ("every 100ms", "1/100ms"),
        ("1 every 100ms", "1/100ms"),
        ("100/1m30s", "100/90s"),
        ("5/1h0m0s", "5/h"),
        ("5/1h 30m", "5/90min"),
        // Traefik, Envoy, Istio, Kubernetes, rack-attack, express.
        ("average: 100, period: 1m", "100/min"),
        ("average=100 period=1m burst=50", "100/min burst 50"),
        ("{\"average\": 100, \"period\": \"1m\", \"burst\": 50}", "100/min burst 50"),
        ("average: 100\nperiod: 1 minute\nburst: 200", "100/min burst 200"),
        ("requests_per_unit: 10, unit: minute", "10/min"),
        ("unit: HOUR\nrequests_per_unit: 10", "10/h"),
        ("max_tokens: 100, tokens_per_fill: 10, fill_interval: 1s", "10/s burst 100"),
        ("qps: 20 burst: 30", "20/s burst 30"),
        ("--kube-api-qps=20 --kube-api-burst=30", "20/s burst 30"),
        ("limit: 5, period: 20.seconds", "5/20s"),
        ("limit: 300, period: 5.minutes", "300/5min"),
        ("windowMs: 60000, max: 100", "100/min"),
        // In words and with units.
        ("10 a minute", "10/min"),
        ("10 requests an hour", "10/h"),
        ("5 times per minute", "5/min"),
        ("100 requests/second", "100/s"),
        ("100 req / s", "100/s"),
        ("600 rpm", "600/min"),
        ("50qps, burst 100", "50/s burst 100"),
        ("90k TPM", "90000/min"),
        ("10/week", "10/7day"),
        ("10/2w", "10/14day"),
        ("1_000/h", "1000/h"),
        ("1_000_000 per day", "1000000/day"),
        ("1k/h", "1000/h"),
        ("10K requests per hour", "10000/h"),
        ("1.5k/h", "1500/h"),
        ("2M/day", "2000000/day"),
        ("600/min, burst 100", "600/min burst 100"),
        ("600/min,burst=100", "600/min burst 100"),
        ("600/min; burst: 100", "600/min burst 100"),
        ("600/min (burst 100)", "600/min burst 100"),
        ("600/min with burst of 1k", "600/min burst 1000"),
        ("600/MIN BURST 100", "600/min burst 100"),
        ("10/min;", "10/min"),
        ("Unlimited", "unlimited"),
        ("UNLIMITED", "unlimited"),
    ] {
        match text.parse::<Quota>() {
            Ok(quota) => assert_eq!(quota.to_string(), printed, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn a_refusal_holds_the_right_spelling() {
    for (text, part) in [
        ("0.5/s", "write `1/2s`"),
        ("2.5/s", "write `5/2s`"),
        ("0.25 per minute", "write `1/4min`"),
        ("1.5 r/s", "write `3/2s`"),
        ("0.0005k/s", "write `1/2s`"),
        ("0.5/s burst 10", "write `1/2s burst 10`"),
        ("1.5/s, burst 3", "write `3/2s`"),
        ("1/1.5s", "write `1500ms`"),
        ("10/0.5h", "write `30min`"),
        ("18446744073709551616/s", "is too large"),
        ("1_000_000_000_000_000_000_000/s", "is too large"),
        ("99999999999999999999999999999999999999999999/s", "is too large"),
        ("20000000000000M/s", "is too large"),
        ("1/s burst 18446744073709551616", "is too large"),
        ("ten per minute", "in digits"),
        ("2/s burst", "`burst` is not a burst: write `burst <permits>`"),
        ("10/s burst=20 delay=5", "`burst 20 delay=5` is not a burst"),
        ("10/s per user", "`s per user` is not a period"),
        ("/s", "the number of permits is missing"),
        ("per second", "the number of permits is missing"),
        ("requests/s", "the number of permits is missing"),
        ("10/", "the period is missing"),
        ("average: 100", "the period is missing"),
        ("10/5", "has no unit"),
        ("limit: 5, period: 20", "has no unit"),
        ("1,000/h", "`1_000`"),
        ("1m/s", "`1_000_000`"),
        ("10/month", "`30day`"),
        ("10/3 months", "`30day`"),
        ("10/year", "`365day`"),
        ("1/99999999999999999999999999999999999999999999s", "too long"),
        ("100/day;10/minute", "`Composite`"),
        ("100/day, 10/minute", "`Composite`"),
        ("100 per day, 10 per minute", "`Composite`"),
        ("100/day|10/minute", "`Composite`"),
        ("10/s and 100/min", "`Composite`"),
        ("10/s 100/min", "`Composite`"),
        ("10/s burst 5; 100/min burst 20", "`Composite`"),
        ("5 per second, 100 requests per minute", "`Composite`"),
        ("limit: 5, period: 1s, limit: 100, period: 1m", "`Composite`"),
    ] {
        let error = text.parse::<Quota>().expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn the_spelling_that_a_refusal_suggests_is_read() {
    for text in ["0.5/s", "2.5/s", "0.00001/day", "1.2345k per 3 min", "0.1/s burst 7", "3.7r/m"] {
        let error = text.parse::<Quota>().unwrap_err().to_string();
        let suggested = error.rsplit('`').nth(1).unwrap();
        let suggested: Result<Quota, _> = suggested.parse();
        assert!(suggested.is_ok(), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(permits in 1_u64.., nanos in 1_u64.., burst in 1_u64..) {
        for quota in [
            Quota::per(permits, Duration::from_nanos(nanos)).burst(burst),
            Quota::per(permits, Duration::from_secs(nanos % 1_000_000 + 1)),
        ] {
            let text = quota.to_string();
            prop_assert_eq!(text.parse(), Ok(quota));
            prop_assert_eq!(text.to_ascii_uppercase().parse(), Ok(quota));
            prop_assert_eq!(text.replace('/', " per ").replace(" burst ", ", burst = ").parse(), Ok(quota));
        }
    }

    /// Words of the grammar in any order: no panic, and what parses is printed and read again.
    #[test]
    fn no_mixture_of_words_makes_it_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "10", "1_000", "0.5", "18446744073709551615", ".", "_", "k", "M", "m", "r", "per", "/",
            "every", "a", "s", "min", "week", "month", "burst", "=", ":", ",", ";", "-", "(", ")",
            "rate", "limit", "period", "windowMs", "qps", " ", "\u{b5}s", "\u{e9}", "of", "with",
        ]), 0..12),
        space in any::<bool>(),
    ) {
        let text = words.join(if space { " " } else { "" });
        match text.parse::<Quota>() {
            Ok(quota) => prop_assert_eq!(quota.to_string().parse(), Ok(quota), "{}", text),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
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
