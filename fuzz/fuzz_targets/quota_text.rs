//! Any text parses or fails without a panic, and what parses survives being printed.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tollgate::Quota;

fuzz_target!(|input: (&str, u64, u64, u32, u64)| {
    let (text, permits, secs, nanos, burst) = input;
    if let Ok(quota) = text.parse::<Quota>() {
        assert_eq!(quota.to_string().parse(), Ok(quota), "{text:?}");
    }
    let period = Duration::from_secs(secs).saturating_add(Duration::from_nanos(nanos.into()));
    let quota = Quota::per(permits, period).burst(burst);
    let parsed = quota.to_string().parse::<Quota>();
    if quota.validate().is_ok() {
        assert_eq!(parsed, Ok(quota));
    } else {
        assert!(parsed.is_err(), "{quota} is no valid quota");
    }
});
