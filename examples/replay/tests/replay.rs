//! The parsers, the calendar and the burst computation of the `replay` example; in [`logs`], logs
//! of many servers.

use std::collections::HashMap;

use proptest::prelude::*;
use tollgate::{Clock as _, ManualClock, Quota, RateLimiter as _, Timestamp, TokenBucket};
use tollgate_replay::client::Addresses;
use tollgate_replay::layout::Layout;
use tollgate_replay::parse::{self, Skipped};
use tollgate_replay::run::Replay;
use tollgate_replay::{report, time};

/// Real lines: a crawler, a burst of one client, one line that was cut off.
const EXCERPT: &[u8] = include_bytes!("data/access_excerpt.log");

const TIME: &str = "17/May/2015:10:05:03 +0000";

fn replay(quota: Quota, log: &[u8]) -> Replay<'_> {
    let replay = Replay::new(quota, Layout::Common(1), Addresses::default());
    let mut replay = replay.expect("the quota is valid");
    for line in parse::lines(log) {
        replay.line(line);
    }
    replay
}

fn request(line: &[u8]) -> Result<parse::Request<'_>, Skipped> {
    // Whole addresses, as they stand in the line.
    let addresses = Addresses { ipv6_prefix: 128, ..Addresses::default() };
    parse::request(line, 1, addresses)
}

fn seconds(text: &str) -> Option<u64> {
    time::parse(text.as_bytes())
}

/// A log of one client's requests at these seconds.
fn log_at(times: impl IntoIterator<Item = u64>) -> String {
    times.into_iter().fold(String::new(), |log, at| {
        let (hour, minute, second) = (at / 3_600, at / 60 % 60, at % 60);
        log + &format!(
            "::1 - - [17/May/2015:{hour:02}:{minute:02}:{second:02} +0000] \"GET /\" 200 1\n"
        )
    })
}

#[test]
fn lines_that_count() {
    for (line, client) in [
        (format!("1.2.3.4 - - [{TIME}] \"GET / HTTP/1.1\" 200 5"), "1.2.3.4"),
        (format!("2001:db8::7 - - [{TIME}] \"GET / HTTP/1.1\" 304 -"), "2001:db8::7"),
        (format!("a.example - - [{TIME}] \"GET /\" 200 5 \"-\" \"curl/8\""), "a.example"),
        (format!("h - frank smith [{TIME}] \"GET /\" 200 5"), "h"),
        (format!("h - [x] [ [{TIME}] \"GET /\" 200 5"), "h"),
        (format!("h - a] \\\" [{TIME}] \"GET /\" 200 5"), "h"),
        (format!(r#"h - - [{TIME}] "GET /\"x\" \\" 400 0 "\"" "a \\""#), "h"),
        (format!("h - - [{TIME}] \"\" - -"), "h"),
        (format!("h - - [{TIME}] \"GET /\" 200 5 \"-\" \"-\" 0.003 upstream"), "h"),
        // What follows the request does not matter, and neither do spaces before it.
        (format!("h - - [{TIME}]   \"GET /\""), "h"),
        (format!("h - - [{TIME}] \"GET /\" 2x0 what"), "h"),
        (format!("h - - [{TIME}] \"GET /\" 200 5 98 \"-\" \"Moz"), "h"),
        (format!("h - - [{TIME}] \"GET /\" 200 5 \"-\" \"a\"b\"c\""), "h"),
        (format!("h [{TIME}] \"GET /\" 200 5"), "h"),
        (format!("192.0.2.1:80 - - [{TIME}] \"GET /\""), "192.0.2.1"),
        (format!("[2001:db8::7]:80 - - [{TIME}] \"GET /\""), "2001:db8::7"),
        (format!("[2001:db8::7] - - [{TIME}] \"GET /\""), "2001:db8::7"),
        (format!("fe80::7%eth0 - - [{TIME}] \"GET /\""), "fe80::7"),
        (format!("::ffff:192.0.2.1 - - [{TIME}] \"GET /\""), "192.0.2.1"),
        (format!("\"192.0.2.1\" - - [{TIME}] \"GET /\""), "192.0.2.1"),
        (format!("\"192.0.2.1, 10.0.0.1\" 10.0.0.2 - - [{TIME}] \"GET /\""), "192.0.2.1"),
        (format!("192.0.2.1,10.0.0.1 - - [{TIME}] \"GET /\""), "192.0.2.1"),
        (format!("192.0.2.1 - 10.0.0.1 - - [{TIME}] \"GET /\""), "192.0.2.1"),
        (format!("a.example:443 - - [{TIME}] \"GET /\""), "a.example"),
    ] {
        let request = request(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error:?}"));
        assert_eq!(&*request.client, client.as_bytes(), "{line}");
        assert_eq!(request.time, 1_431_857_103, "{line}");
    }
    let mut latin1 = format!("h - - [{TIME}] \"GET /caf").into_bytes();
    latin1.extend(b"\xe9\" 200 5 \"\xff\" \"\xfe\"");
    assert!(request(&latin1).is_ok());
}

#[test]
fn lines_that_do_not() {
    let start = format!("h - - [{TIME}]");
    for (line, reason) in [
        (String::new(), Skipped::Empty),
        ("  ".to_owned(), Skipped::Empty),
        (" - -".to_owned(), Skipped::Time),
        ("h".to_owned(), Skipped::Time),
        (format!("[{TIME}] \"GET /\" 200 5"), Skipped::Client),
        (format!(" [{TIME}] \"GET /\" 200 5"), Skipped::Client),
        (format!("- - - [{TIME}] \"GET /\" 200 5"), Skipped::NoClient),
        (format!("\"-\" 192.0.2.1 - - [{TIME}] \"GET /\" 200 5"), Skipped::NoClient),
        (format!("vhost:80 192.0.2.1 - - [{TIME}] \"GET /\" 200 5"), Skipped::OtherField),
        (format!("Jan 1 host nginx: 192.0.2.1 - - [{TIME}] \"GET /\""), Skipped::OtherField),
        ("h - - [".to_owned(), Skipped::Time),
        ("h - - [17/May/2015] \"GET /\" 200 5".to_owned(), Skipped::Time),
        (start.clone(), Skipped::Request),
        (format!("{start} 200 5"), Skipped::Request),
        (format!("{start} \"GET /"), Skipped::Request),
        (format!("{start} \"GET /\\"), Skipped::Request),
        (format!("{start} \"GET /\\\" 200 5"), Skipped::Request),
    ] {
        assert_eq!(request(line.as_bytes()), Err(reason), "{line}");
    }
}

#[test]
fn times() {
    assert_eq!(seconds("01/Jan/1970:00:00:00 +0000"), Some(0));
    assert_eq!(seconds("17/May/2015:10:05:03 +0000"), Some(1_431_857_103));
    assert_eq!(seconds("17/May/2015:12:05:03 +0200"), Some(1_431_857_103));
    assert_eq!(seconds("17/May/2015:00:35:03 -0930"), Some(1_431_857_103));
    assert_eq!(seconds("31/Dec/1969:23:00:00 -0100"), Some(0));
    assert_eq!(seconds("29/Feb/2000:00:00:00 +0000"), Some(951_782_400));
    assert_eq!(seconds("29/Feb/2016:23:59:59 +0000"), Some(1_456_790_399));
    // The leap second of 2016, which is the next day's first as far as POSIX is concerned.
    assert_eq!(seconds("31/Dec/2016:23:59:60 +0000"), seconds("01/Jan/2017:00:00:00 +0000"));
    assert_eq!(seconds("31/Dec/2553:23:59:59 +0000"), Some(18_429_292_799));
    for absurd in [
        "29/Feb/2015:00:00:00 +0000",
        "29/Feb/2100:00:00:00 +0000",
        "31/Apr/2015:00:00:00 +0000",
        "00/May/2015:00:00:00 +0000",
        "32/May/2015:00:00:00 +0000",
        "17/Mai/2015:00:00:00 +0000",
        "17/may/2015:00:00:00 +0000",
        "17/May/2015:24:00:00 +0000",
        "17/May/2015:00:60:00 +0000",
        "17/May/2015:00:00:61 +0000",
        "17/May/2015:00:00:00 +2400",
        "17/May/2015:00:00:00 +0060",
        "17/May/2015:00:00:00 00000",
        "17/May/2015:00:00:00 UTC  ",
        "17/May/2015 00:00:00 +0000",
        "+7/May/2015:00:00:00 +0000",
        "01/Jan/1970:00:00:00 +0100",
        "31/Dec/1969:23:59:59 +0000",
        "01/Jan/2554:00:00:00 +0000",
        "17/May/0000:00:00:00 +0000",
        "17/May/9999:00:00:00 +0000",
        "",
    ] {
        assert_eq!(seconds(absurd), None, "{absurd}");
    }
}

#[test]
fn the_calendar_goes_there_and_back_day_by_day() {
    let mut day = time::days_from_civil(1970, 1, 1);
    assert_eq!(day, 0);
    while day <= time::days_from_civil(2553, 12, 31) {
        let (year, month, date) = time::civil_from_days(day);
        assert_eq!(time::days_from_civil(year, month, date), day);
        day += 1;
    }
    assert_eq!(day * 86_400, 18_429_292_800);
    assert_eq!(time::format(1_456_790_399), "2016-02-29 23:59:59");
}

#[test]
fn lines_end_in_many_ways() {
    let of = |log: &'static str| parse::lines(log.as_bytes()).collect::<Vec<_>>();
    assert!(of("").is_empty());
    assert_eq!(of("a\nb"), [b"a", b"b"]);
    assert_eq!(of("a\r\nb\r\n"), [b"a", b"b"]);
    assert_eq!(of("\n\n"), [b"", b""]);
}

#[test]
fn the_excerpt() {
    let replay = replay(Quota::per_minute(60).burst(20), EXCERPT);
    let tally = replay.tally();
    assert_eq!((tally.lines, tally.requests, tally.skipped), (199, 199, 0));
    assert_eq!(tally.requests - tally.admitted, 35);
    assert_eq!(replay.needed_burst(), 55);
    let offenders = replay.offenders();
    assert_eq!(offenders.len(), 1);
    assert_eq!(offenders[0].0, b"75.97.9.59");
    assert_eq!(offenders[0].1.refused(), 35);
    assert_eq!(replay.needed_burst_of(offenders[0].1), 55);
}

/// The keyed limiter of the replay decides as one limiter for each client would.
#[test]
fn limiters_on_a_manual_clock_agree() {
    for quota in ["60/min burst 20", "7/h burst 3", "1/s", "13/7min burst 2", "unlimited"] {
        let quota: Quota = quota.parse().expect("the quota is valid");
        let clock = ManualClock::new();
        let mut limiters = HashMap::new();
        let mut admitted = 0;
        for request in parse::lines(EXCERPT).filter_map(|line| request(line).ok()) {
            clock.set(clock.now().max(Timestamp::from_nanos(request.time * 1_000_000_000)));
            let limiter = limiters.entry(request.client).or_insert_with(|| {
                let built = TokenBucket::builder(quota).clock(clock.clone()).build();
                built.expect("the quota is valid")
            });
            admitted += u64::from(limiter.allow());
        }
        assert_eq!(replay(quota, EXCERPT).tally().admitted, admitted, "{quota}");
    }
}

#[test]
fn an_older_time_counts_as_the_newest() {
    let replay = replay(Quota::per_second(1).burst(1), log_at([10, 5, 11]).leak().as_bytes());
    let tally = replay.tally();
    assert_eq!((tally.admitted, tally.out_of_order), (2, 1));
    assert_eq!(tally.span.map(|(first, last)| last - first), Some(6));
}

#[test]
fn the_report_names_what_it_could_not_read() {
    let text = |quota, log: &[u8]| {
        let mut out = Vec::new();
        report::write(&mut out, &replay(quota, log)).expect("a vector takes anything");
        String::from_utf8(out).expect("a report is text")
    };
    let quota = Quota::per_second(1);
    let nothing = text(quota, b"");
    assert!(nothing.contains("requests               0\n"), "{nothing}");

    let skipped = text(quota, &[&b"\n"[..], &b"?\n".repeat(12)].concat());
    assert!(skipped.contains(" 12  no valid time, first in line 2\n"), "{skipped}");
    assert!(skipped.contains("  1  the line is empty, first in line 1\n"), "{skipped}");

    // Names come from outside: no escape sequences to the terminal.
    let evil = format!("\x1b[2J - - [{TIME}] \"\" 200 0\n").repeat(2);
    let evil = text(quota, evil.as_bytes());
    assert!(evil.contains("\\x1b[2J") && !evil.contains('\x1b'), "{evil}");
    assert!(evil.contains("50.00%") && evil.ends_with("refuses nothing: 1/s burst 2\n"), "{evil}");

    let unlimited = text(Quota::unlimited(), EXCERPT);
    assert!(unlimited.contains("100.00%"), "{unlimited}");
    assert!(unlimited.ends_with("Nobody was refused anything.\n"), "{unlimited}");
}

/// A quota of any rate, even ones that divide nothing.
fn rate() -> impl Strategy<Value = Quota> {
    (1..2_000u64, 1..100_000u64)
        .prop_map(|(permits, ms)| Quota::per(permits, std::time::Duration::from_millis(ms)))
}

proptest! {
    /// What the report calls the smallest burst is just that.
    #[test]
    fn the_needed_burst_is_enough_and_no_less_is(
        rate in rate(),
        times in prop::collection::vec(0..300u64, 1..200),
    ) {
        let log = log_at(times);
        let needed = replay(rate, log.as_bytes()).needed_burst();
        let refused = |burst| {
            let replay = replay(rate.burst(burst), log.as_bytes());
            replay.tally().requests - replay.tally().admitted
        };
        prop_assert!(needed >= 1);
        prop_assert_eq!(refused(needed), 0);
        if needed > 1 {
            prop_assert!(refused(needed - 1) > 0);
        }
    }

    /// Whatever the bytes, nothing panics and no line is lost.
    #[test]
    fn lines_are_conserved(log in prop::collection::vec(any::<u8>(), 0..400)) {
        let ends = u64::try_from(log.split(|&byte| byte == b'\n').count()).unwrap_or(0);
        let expected = ends - u64::from(log.is_empty() || log.ends_with(b"\n"));
        let replay = replay(Quota::per_second(1), &log);
        let tally = replay.tally();
        prop_assert_eq!(tally.lines, expected);
        prop_assert_eq!(tally.requests + tally.skipped, tally.lines);
        prop_assert!(tally.admitted <= tally.requests);
    }

    /// The same for bytes that are nearly a log: the excerpt with a few bytes changed.
    #[test]
    fn lines_are_conserved_in_a_damaged_log(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..100),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut log = EXCERPT.to_vec();
        for (at, byte) in damage {
            let at = at.index(log.len());
            log[at] = byte;
        }
        log.truncate(cut.index(log.len()));
        let replay = replay(Quota::per_second(1), &log);
        let tally = replay.tally();
        prop_assert_eq!(tally.lines, u64::try_from(parse::lines(&log).count()).unwrap_or(0));
        prop_assert_eq!(tally.requests + tally.skipped, tally.lines);
    }
}
