//! Logs as they come: long lines, late lines, several at once, compressed, hostile.

use std::io::{Cursor, Write as _};

use proptest::prelude::*;
use tollgate_server::replay::Report;
use tollgate_server::replay::input::{LONGEST, Line, Lines, WINDOW};
use tollgate_server::replay::log::common;

use crate::support::{EXCERPT, file, line, policy, replay, replay_all, requests, table};

/// What a report says of the requests, without the logs they came from.
fn without_logs(report: &Report) -> serde_json::Value {
    let mut json = serde_json::to_value(report).expect("a report is plain values");
    json["logs"].take();
    json
}

fn one_second_each() -> Vec<String> {
    let of = |at: u64| line(at, &format!("192.0.2.{}", at * 7 % 5), "-", "GET /", 200);
    (0..500).map(of).collect()
}

#[test]
fn logs_are_merged_by_time() {
    let policy = policy("6/min burst 3");
    let lines = one_second_each();
    let whole = replay(&policy, lines.concat().as_bytes(), &requests());
    assert!(whole.totals.refused > 0);
    for parts in 2..5 {
        let mut logs = vec![String::new(); parts];
        for (at, line) in lines.iter().enumerate() {
            logs[at * at % parts] += line;
        }
        let logs: Vec<_> = logs.iter().map(String::as_bytes).collect();
        let merged = replay_all(&policy, &logs, &requests());
        assert_eq!(without_logs(&merged), without_logs(&whole), "{parts} logs");
        assert_eq!(merged.logs.len(), parts);
    }
}

#[test]
fn logs_of_different_formats_are_merged() {
    let policy = policy("1/day");
    let names = ["14_nginx.json.log", "12_alb.log", "iis.log", "01_vhost_first.log"];
    let logs = names.map(file);
    let report = replay_all(&policy, &logs.each_ref().map(|log| &log[..]), &requests());
    let found: Vec<_> = report.logs.iter().map(|log| log.requests).collect();
    assert_eq!(found, [1, 1, 3, 5]);
    assert_eq!(report.from.as_deref(), Some("2013-06-24T10:56:45Z"));
    assert_eq!(report.to.as_deref(), Some("2024-04-10T08:55:26Z"));
}

#[test]
fn lines_that_are_a_little_late_are_put_in_order() {
    let policy = policy("6/min burst 3");
    let lines = one_second_each();
    let ordered = replay(&policy, lines.concat().as_bytes(), &requests());
    let mut late = lines;
    let window = usize::try_from(WINDOW).expect("a small number");
    late.chunks_mut(window).for_each(<[_]>::reverse);
    let late = replay(&policy, late.concat().as_bytes(), &requests());
    assert_eq!(without_logs(&late), without_logs(&ordered));
    assert_eq!(late.logs[0].late, 0);
}

#[test]
fn a_line_that_is_too_late_counts_as_made_at_the_newest_time() {
    let at = |second| line(second, "192.0.2.1", "-", "GET /", 200);
    // The second request is let go by the third, so that the last one is too late.
    let log = [at(0), at(500), at(1_000), at(499)].concat();
    let report = replay(&policy("1/min burst 1"), log.as_bytes(), &requests());
    assert_eq!(report.logs[0].late, 1);
    assert_eq!((report.totals.requests, report.totals.refused), (4, 1));
    assert!(table(&report).contains("taken as made at the newest time: 1"));
}

#[test]
fn a_line_of_the_far_future_does_not_spoil_the_rest() {
    let mut lines = one_second_each();
    let policy = policy("6/min burst 3");
    let ordered = replay(&policy, lines.concat().as_bytes(), &requests());
    let future = "192.0.2.99 - - [31/Dec/2553:23:59:59 +0000] \"GET / HTTP/1.1\" 200 5\n";
    lines.insert(10, future.to_owned());
    let report = replay(&policy, lines.concat().as_bytes(), &requests());
    assert_eq!(report.totals.requests, ordered.totals.requests + 1);
    assert_eq!(report.totals.refused, ordered.totals.refused);
}

#[test]
fn requests_within_a_second_are_sorted_by_their_fractions() {
    let at = |time: &str, client: &str| {
        format!(r#"{{"ts":{time},"remote_ip":"{client}","method":"GET","uri":"/","status":200}}"#)
            + "\n"
    };
    let log = [at("1431857103.9", "192.0.2.1"), at("1431857103.1", "192.0.2.2")].concat();
    let text = "version = 1\nalways = ['a']\n[limits.a]\nquota = '1/day'";
    let report = replay(&text.parse().expect("a policy"), log.as_bytes(), &requests());
    assert_eq!(report.callers[0].caller, "address 192.0.2.1");
}

#[test]
fn gzip_is_unpacked() {
    let policy = policy("30/min burst 20");
    let plain = replay(&policy, EXCERPT, &requests());
    let mut packed = Vec::new();
    // Two members, as logs have that were packed apart and joined.
    for half in [&EXCERPT[..5_000], &EXCERPT[5_000..]] {
        let mut gzip = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
        gzip.write_all(half).expect("a vector takes anything");
        gzip.finish().expect("a vector takes anything");
    }
    let unpacked = replay(&policy, &packed, &requests());
    assert_eq!(without_logs(&unpacked), without_logs(&plain));
    assert_eq!(unpacked.logs[0].lines, 199);
}

#[test]
fn long_lines_are_skipped_and_the_others_are_read() {
    let good = line(1, "192.0.2.1", "-", "GET /", 200);
    let of_length =
        |length: usize| [&good.as_bytes()[..good.len() - 1], &vec![b'x'; length], b"\n"].concat();
    let lines = [
        good.as_bytes(),
        &of_length(1_000_000),
        &of_length(LONGEST),
        &of_length(5 * LONGEST),
        good.as_bytes(),
    ];
    let report = replay(&policy("1/s"), &lines.concat(), &requests());
    let log = &report.logs[0];
    assert_eq!((log.lines, log.requests), (5, 3));
    assert_eq!((log.skipped[0].lines, &log.skipped[0].first[..]), (2, &[3, 4][..]));
    // A last line without an end, that is too long; and nothing but such a line.
    let endless = vec![b'x'; 3 * LONGEST];
    let mut lines = Lines::new(Cursor::new(endless));
    assert!(matches!(lines.next(), Ok(Some(Line::TooLong))));
    assert!(matches!(lines.next(), Ok(None)));
}

#[test]
fn a_mark_of_the_byte_order_and_no_final_end_of_line_do_no_harm() {
    let good = line(1, "192.0.2.1", "-", "GET /", 200);
    let log = format!("\u{feff}{good}{}", good.trim_end());
    let report = replay(&policy("1/s"), log.as_bytes(), &requests());
    assert_eq!((report.logs[0].lines, report.totals.requests), (2, 2));
}

#[test]
fn names_from_outside_do_nothing_to_a_terminal() {
    let evil = "\u{1b}]0;owned\u{7}\u{202e}<b>\u{9b}";
    let log = line(1, "192.0.2.1", evil, "GET /", 200).repeat(3);
    let report = replay(&policy("1/day"), log.as_bytes(), &requests());
    let text = table(&report);
    assert!(text.contains("user \\u{1b}]0;owned"), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text}");
    assert!(report.keys[0].key.chars().count() <= 64, "{report:?}");
    // A name of a megabyte is cut.
    let log = line(1, "192.0.2.1", &"x".repeat(900_000), "GET /", 200).repeat(3);
    let report = replay(&policy("1/day"), log.as_bytes(), &requests());
    assert_eq!(report.totals.refused, 2);
    assert!(table(&report).len() < 4_000);
}

#[test]
fn what_is_no_request_is_skipped_with_its_reason() {
    let good = line(1, "192.0.2.1", "-", "GET /", 200);
    let log = [
        &good,
        "192.0.2.1 - - [17/May/2015:00:00:01 +0000] \"-\" 408 0\n",
        "host.example - - [17/May/2015:00:00:01 +0000] \"GET / HTTP/1.1\" 200 0\n",
        "192.0.2.1 - - [17/May/2015:00:00:01 +0000] \"\\x16\\x03\" 400 0\n",
    ]
    .concat();
    let report = replay(&policy("1/s"), log.as_bytes(), &requests());
    let skipped: Vec<_> =
        report.logs[0].skipped.iter().map(|why| (why.lines, why.first.clone())).collect();
    assert_eq!(skipped, [(2, vec![2, 4]), (1, vec![3])]);
    assert_eq!(report.doubt(0), None);
}

/// All numbers of the document are in the table.
#[test]
fn json_says_what_the_table_says() {
    let report = replay(&policy("30/min burst 20"), EXCERPT, &requests());
    let mut json = Vec::new();
    report.write_json(&mut json).expect("a vector takes anything");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("one JSON document");
    let text = table(&report);
    let row = |name: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.trim_start().starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no row {name}: {text}"));
        line.split_whitespace().map(str::to_owned).collect()
    };
    for (name, key) in [("requests", "requests"), ("pass", "passed"), ("refused", "refused")] {
        assert_eq!(row(name)[1], json["totals"][key].to_string(), "{text}");
    }
    let limit = &json["limits"][0];
    let expected = [&limit["decided"], &limit["refused"]].map(ToString::to_string);
    assert_eq!(row("client  caller")[2..4], expected, "{text}");
    assert!(text.contains(limit["quotas"][0]["enough"].as_str().expect("text")));
    let key = &json["keys"][0];
    let expected = ["decided", "refused"].map(|name| key[name].to_string());
    assert_eq!(row(key["key"].as_str().expect("text"))[3..5], expected, "{text}");
    for time in [&json["from"], &json["to"], &json["busiest_second"]["at"]] {
        assert!(text.contains(time.as_str().expect("text")), "{text}");
    }
}

proptest! {
    /// Whatever the bytes, nothing panics and no line is lost.
    #[test]
    fn lines_are_conserved(log in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut log = log;
        // Not gzip, and not a format that is unknown.
        log.splice(0..0, line(1, "192.0.2.1", "-", "GET /", 200).repeat(3).into_bytes());
        let report = replay(&policy("1/s"), &log, &requests());
        let found = &report.logs[0];
        let skipped: u64 = found.skipped.iter().map(|why| why.lines).sum();
        let whole = common::lines(&log).count();
        prop_assert_eq!(found.lines, u64::try_from(whole).unwrap_or(0));
        prop_assert_eq!(found.requests + skipped, found.lines);
        prop_assert_eq!(report.totals.requests, found.requests);
        prop_assert!(report.totals.passed <= report.totals.requests);
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
        log.truncate(cut.index(log.len()).max(1_000));
        let report = replay(&policy("1/s"), &log, &requests());
        let found = &report.logs[0];
        let skipped: u64 = found.skipped.iter().map(|why| why.lines).sum();
        prop_assert_eq!(found.lines, u64::try_from(common::lines(&log).count()).unwrap_or(0));
        prop_assert_eq!(found.requests + skipped, found.lines);
        let mut json = Vec::new();
        report.write_json(&mut json).expect("a vector takes anything");
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
    }

    /// However the bytes arrive, the lines are the same.
    #[test]
    fn lines_do_not_depend_on_the_reads(
        log in "[a-c\n\r]{0,200}",
        step in 1..40usize,
    ) {
        struct Slow(Cursor<Vec<u8>>, usize);
        impl std::io::Read for Slow {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let most = buffer.len().min(self.1);
                self.0.read(&mut buffer[..most])
            }
        }
        let mut lines = Lines::new(Slow(Cursor::new(log.clone().into_bytes()), step));
        let mut found = Vec::new();
        let sample = lines.sample(3).map(<[u8]>::to_vec);
        prop_assert!(sample.is_ok_and(|sample| log.as_bytes().starts_with(&sample)));
        while let Ok(Some(Line::Whole(line))) = lines.next() {
            found.push(line.to_vec());
        }
        let expected: Vec<_> = common::lines(log.as_bytes()).map(<[u8]>::to_vec).collect();
        prop_assert_eq!(found, expected);
    }
}
