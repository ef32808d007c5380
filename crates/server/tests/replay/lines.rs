//! Lines of the common format and its kin, their times, and what they tell of a request.

use tollgate_server::replay::log::client::Addresses;
use tollgate_server::replay::log::{Request, Skipped, common, time};

use crate::support::client;

const TIME: &str = "17/May/2015:10:05:03 +0000";

fn request(line: &[u8]) -> Result<Request<'_>, Skipped> {
    common::request(line, 1, Addresses::default())
}

fn seconds(text: &str) -> Option<u64> {
    time::parse(text.as_bytes())
}

#[test]
fn lines_that_count() {
    for (line, expected) in [
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
        // Whole addresses, as they stand in the line.
        assert_eq!(client(&request.client, 128), expected, "{line}");
        assert_eq!(time::seconds(request.time), 1_431_857_103, "{line}");
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
    let of = |log: &'static str| common::lines(log.as_bytes()).collect::<Vec<_>>();
    assert!(of("").is_empty());
    assert_eq!(of("a\nb"), [b"a", b"b"]);
    assert_eq!(of("a\r\nb\r\n"), [b"a", b"b"]);
    assert_eq!(of("\n\n"), [b"", b""]);
}

#[test]
fn fractions_of_a_second_are_kept() {
    for (text, nanos) in [
        ("17/May/2015:10:05:03.25 +0000", 250_000_000),
        ("2015-05-17T12:05:03.123456789012+02:00", 123_456_789),
        ("2015-05-17 10:05:03,5 UTC", 500_000_000),
        ("1431857103.999", 999_000_000),
        ("1431857103123", 123_000_000),
        ("1431857103000001", 1_000),
        ("1431857103000000001", 1),
        ("2015-05-17T10:05:03Z", 0),
    ] {
        let time = time::parse_any(text.as_bytes()).map(tollgate::Timestamp::as_nanos);
        assert_eq!(time, Some(1_431_857_103_000_000_000 + nanos), "{text}");
    }
}

/// What is told of a request: method, path, host and user.
fn told(line: &str, place: usize) -> [String; 4] {
    let request = common::request(line.as_bytes(), place, Addresses::default());
    let details = request.unwrap_or_else(|error| panic!("{line}: {error:?}")).details;
    [details.method, details.path, details.host, details.user]
        .map(|text| String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn the_first_line_of_a_request_is_taken_apart() {
    for (line, expected) in [
        ("GET / HTTP/1.1", ["GET", "/", ""]),
        ("GET /a/b?c=d#e HTTP/2.0", ["GET", "/a/b", ""]),
        ("get /a%20b", ["get", "/a%20b", ""]),
        ("GET /a b HTTP/1.1", ["GET", "/a b", ""]),
        ("GET http://a.example:80/x?y HTTP/1.1", ["GET", "/x", "a.example:80"]),
        ("GET https://a.example HTTP/1.1", ["GET", "", "a.example"]),
        ("CONNECT a.example:443 HTTP/1.1", ["CONNECT", "", "a.example:443"]),
        ("OPTIONS * HTTP/1.1", ["OPTIONS", "*", ""]),
        // No requests.
        ("", ["", "", ""]),
        ("-", ["", "", ""]),
        ("- /", ["", "/", ""]),
        ("GET", ["", "", ""]),
        (r"\x16\x03\x01", ["", "", ""]),
        ("GET not-a-target HTTP/1.1", ["", "", ""]),
        ("<script> / HTTP/1.1", ["", "/", ""]),
    ] {
        let of = told(&format!("192.0.2.1 - - [{TIME}] \"{line}\" 200 5"), 1);
        assert_eq!(of[..3], expected, "{line}");
    }
}

#[test]
fn a_user_stands_behind_the_client_and_a_virtual_host_before() {
    for (head, place, host, user) in [
        ("192.0.2.1 - -", 1, "", ""),
        ("192.0.2.1 - frank", 1, "", "frank"),
        ("192.0.2.1 - frank smith", 1, "", "frank smith"),
        ("192.0.2.1 - \"frank smith\"", 1, "", "frank smith"),
        ("192.0.2.1 - \"\"", 1, "", ""),
        ("192.0.2.1 - 10.0.0.1 - -", 1, "", ""),
        ("a.example:443 192.0.2.1 - alice", 2, "a.example:443", "alice"),
        ("- 192.0.2.1 - -", 2, "", ""),
        ("192.0.2.1", 1, "", ""),
    ] {
        let of = told(&format!("{head} [{TIME}] \"GET / HTTP/1.1\" 200 5"), place);
        assert_eq!(of[2..], [host, user], "{head}");
    }
}

#[test]
fn a_status_is_a_number_of_three_digits_behind_the_request() {
    for (tail, status) in
        [(" 200 5", Some(200)), ("  404", Some(404)), (" -", None), ("", None), (" 1375", None)]
    {
        let line = format!("192.0.2.1 - - [{TIME}] \"GET /\"{tail}");
        let found = request(line.as_bytes()).map(|request| request.details.status);
        assert_eq!(found, Ok(status), "{tail}");
    }
}
