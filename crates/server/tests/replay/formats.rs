//! Logs of many servers: the right clients, or a message.
//!
//! Where the lines in `data/logs` come from, file by file, stands in its `README.md`: some were
//! recorded, some were written for these tests.

use proptest::prelude::*;
use tollgate_server::replay::input::WhichLines;
use tollgate_server::replay::log::layout::{self, Layout};
use tollgate_server::replay::log::{common, time};

use crate::support::{arguments, client, file, policy, replay};

/// What a replay of a log ends with.
#[derive(Debug)]
struct Outcome {
    /// The client of each request, in the order of the log.
    clients: Vec<String>,
    /// The seconds since 1970 of each request.
    times: Vec<u64>,
    skipped: u64,
    notes: Vec<String>,
    /// The message of a replay that fails.
    failure: Option<String>,
    report: String,
}

fn outcome(log: &[u8], given: &[&str]) -> Outcome {
    let mut outcome = Outcome {
        clients: Vec::new(),
        times: Vec::new(),
        skipped: 0,
        notes: Vec::new(),
        failure: None,
        report: String::new(),
    };
    let given = arguments(given);
    let reading = given.reading(WhichLines::Clients);
    let found = match layout::find(log, &reading.hints) {
        Ok(found) => found,
        Err(message) => {
            outcome.failure = Some(message);
            return outcome;
        }
    };
    let mut layout = found.layout.clone();
    for line in common::lines(log) {
        if let Ok(request) = layout.request(line, reading.addresses) {
            outcome.clients.push(client(&request.client, 64));
            outcome.times.push(time::seconds(request.time));
        }
    }
    let report = replay(&policy("60/min burst 20"), log, &reading);
    let mut text = Vec::new();
    report.write_table(&mut text).expect("a vector takes anything");
    outcome.report = String::from_utf8(text).expect("a report is text");
    outcome.skipped = report.logs[0].skipped.iter().map(|why| why.lines).sum();
    outcome.notes = found.notes;
    outcome.failure = report.doubt(given.max_skipped);
    assert_eq!(report.totals.requests, outcome.clients.len() as u64);
    outcome
}

/// The clients of a replay that succeeds.
fn clients(log: &[u8], arguments: &[&str]) -> Vec<String> {
    let outcome = outcome(log, arguments);
    assert_eq!(outcome.failure, None, "{arguments:?}: {outcome:?}");
    outcome.clients
}

#[test]
fn the_clients_of_many_servers() {
    let v6 = "2001:db8:1:2::/64";
    for (name, arguments, expected) in [
        (
            "01_vhost_first.log",
            &[][..],
            &["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1", "192.0.2.4"][..],
        ),
        (
            "03_forwarded_for_first.log",
            &[],
            &["10.0.0.2", "10.0.0.2", "2001:db8:10ff:f00f::/64", "10.5.102.222"],
        ),
        (
            "03_forwarded_for_first.log",
            &["--forwarded", "last"],
            &["198.51.100.98", "10.0.0.2", "10.225.192.17", "203.0.113.1"],
        ),
        ("05_number_after_size.log", &[], &["192.0.2.5", "192.0.2.5"]),
        (
            "07_common_and_odd_ok.log",
            &[],
            &[
                "::/64",
                "::/64",
                "127.0.0.1",
                "127.0.0.1",
                "127.0.0.1",
                "2001:db8:add:4002::/64",
                "192.0.2.1",
                "127.0.0.1",
                "unix",
            ],
        ),
        ("08_two_spaces_before_request.log", &[], &["192.0.2.7"]),
        ("10_apache_ssl_request.log", &[], &["192.0.2.119", "192.0.2.156"]),
        ("12_alb.log", &[], &["192.0.2.39"]),
        ("14_nginx.json.log", &[], &["192.0.2.10"]),
        ("15_caddy.json.log", &[], &["192.0.2.11"]),
        ("20_client_dash_balancer_time.log", &[], &["192.0.2.82"]),
        ("caddy_old.json.log", &[], &["192.0.2.16", "2001:db8:9::/64"]),
        ("classic_elb.log", &[], &["192.0.2.39"]),
        ("cloudflare.json.log", &[], &["192.0.2.206", "192.0.2.207", v6]),
        ("cloudfront.log", &[], &["192.0.2.100"]),
        ("collectors.log", &[], &["192.0.2.19", "192.0.2.20"]),
        ("envoy.json.log", &[], &["192.0.2.15", "2001:db8::/64"]),
        ("haproxy.log", &[], &["192.0.2.2", "192.0.2.3", "192.0.2.4"]),
        ("iis.log", &[], &["198.51.100.22", "2001:db8:7::/64", "198.51.100.22"]),
        ("iis.log", &["--client=s-ip"], &["192.0.2.80", "192.0.2.80", "192.0.2.80"]),
        ("istio.log", &[], &["192.0.2.17"]),
        ("other_times.log", &[], &["127.0.0.1", "192.0.2.28", "192.0.2.29"]),
        ("lighttpd.log", &[], &["192.0.2.21", "192.0.2.22"]),
        (
            "ports_and_families.log",
            &[],
            &["192.0.2.27", v6, v6, "192.0.2.27", "192.0.2.27", "fe80::/64", "client.example"],
        ),
        ("s3.log", &[], &["192.0.2.18"]),
        ("traefik.json.log", &[], &["192.0.2.14"]),
        ("traefik.json.log", &["--client", "ClientAddr"], &["192.0.2.14"]),
    ] {
        assert_eq!(clients(&file(name), arguments), expected, "{name} {arguments:?}");
    }
}

#[test]
fn a_log_of_which_too_little_is_read_fails_with_a_message() {
    for (name, arguments, message) in [
        ("16_envoy_default.log", &[][..], "`--client`"),
        ("18_forwarded_for_dash.log", &[], "`--client`"),
        ("mixed.log", &[], "2 of 4 lines could not be read"),
        ("unknown.log", &[], "`--format`"),
        ("14_nginx.json.log", &["--client", "nothing"], "no line could be replayed"),
        ("01_vhost_first.log", &["--client", "remote_addr"], "give a number"),
        ("01_vhost_first.log", &["--client", "99"], "no line could be replayed"),
        ("01_vhost_first.log", &["--client", "0"], "give a number"),
        ("iis.log", &["--client", "x-forwarded-for"], "no line could be replayed"),
        ("12_alb.log", &["--format", "%h %l"], "`--time`"),
        ("12_alb.log", &["--format", "combined"], "no fields"),
        ("12_alb.log", &["--format", "%t %r"], "`--client`"),
        ("12_alb.log", &["--format", "$remote_addr$msec"], "nothing between"),
    ] {
        let failure = outcome(&file(name), arguments).failure.unwrap_or_default();
        assert!(failure.contains(message), "{name} {arguments:?}: {failure}");
    }
    assert_eq!(outcome(b"", &[]).failure, None);
    assert_eq!(outcome(&file("mixed.log"), &["--max-skipped", "50"]).failure, None);
}

#[test]
fn skipped_lines_are_counted_with_their_reason_and_first_line() {
    let mixed = outcome(&file("mixed.log"), &[]);
    assert_eq!(mixed.skipped, 2);
    assert!(mixed.report.contains("in another field than in most lines (line 3)"));
    assert!(mixed.report.contains("no valid time (line 4)"), "{}", mixed.report);
    assert!(mixed.notes.iter().any(|note| note.contains("the lines disagree")), "{mixed:?}");
    assert!(mixed.notes.iter().any(|note| note.contains("1 of the first 4 lines")), "{mixed:?}");

    // One request without a client among others is no failure, but it is counted.
    let log = [file("18_forwarded_for_dash.log"), file("03_forwarded_for_first.log")].concat();
    let outcome = outcome(&log, &[]);
    assert_eq!((outcome.failure, outcome.skipped), (None, 2));
    assert!(outcome.report.contains("2: the client is `-` or empty (lines 1, 2)"));
}

#[test]
fn where_two_fields_may_be_the_client_a_note_says_which_is_taken() {
    let line = |first: &str| {
        format!("{first} 192.0.2.2 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5\n")
    };
    for (first, note) in [
        ("192.0.2.1", "fields 1 and 2 both hold addresses"),
        ("vhost.example:443", "field 2"),
        ("2015-05-17T10:05:03Z stdout F", "field 4"),
    ] {
        let outcome = outcome(line(first).as_bytes(), &[]);
        assert!(outcome.notes.iter().any(|found| found.contains(note)), "{first}: {outcome:?}");
    }
    assert_eq!(clients(line("192.0.2.1").as_bytes(), &["--client", "2"]), ["192.0.2.2"]);
    let names = outcome(line("192.0.2.1").as_bytes(), &["--client", "6"]);
    assert!(names.notes.iter().any(|note| note.contains("GET / HTTP/1.1")), "{names:?}");
    // Where most requests came past the proxy, its address is still not the client's.
    let log = [line("-"), line("-"), line("192.0.2.1")].concat();
    let proxied = outcome(log.as_bytes(), &[]);
    assert_eq!(proxied.clients, ["192.0.2.1"]);
    assert!(proxied.failure.is_some_and(|message| message.contains("2 requests have no client")));
    assert_eq!(clients(log.as_bytes(), &["--client", "2"]), ["192.0.2.2"; 3]);
    // A virtual host may be an address.
    let host = outcome(line("192.0.2.9:443").as_bytes(), &[]);
    assert_eq!(host.clients, ["192.0.2.2"], "{host:?}");
    // What nginx calls `main` ends with the addresses of the proxies.
    let main =
        "10.0.0.1 - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 5 \"-\" \"a\" \"192.0.2.1\"";
    let behind = outcome(main.as_bytes(), &[]);
    assert_eq!(behind.clients, ["10.0.0.1"]);
    assert!(behind.notes.iter().any(|note| note.contains("`--client 10`")), "{behind:?}");
    // A virtual host that is an address, among others that are names.
    let log = [line("a.example:80"), line("b.example:80"), line("192.0.2.9:80")].concat();
    let outcome = outcome(log.as_bytes(), &[]);
    assert_eq!(outcome.clients, ["192.0.2.2"; 3]);
}

#[test]
fn a_field_of_the_line_may_be_chosen_by_number() {
    let log = concat!(
        "10.0.0.1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"a \\\"b\\\"\" ",
        "\"192.0.2.3, 10.0.0.9\"\n",
    );
    for (place, client) in [("1", "10.0.0.1"), ("10", "192.0.2.3")] {
        assert_eq!(clients(log.as_bytes(), &["--client", place]), [client], "{place}");
    }
}

#[test]
fn formats_are_read_as_servers_are_told_them() {
    let combined =
        "192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"a\"";
    let nginx = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent";
    let apache = r#"%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""#;
    let balanced = concat!(
        "10.0.0.1 [192.0.2.1, 10.0.0.2] 1431857103.123 \"GET /\\\"x\\\" HTTP/1.1\" ",
        "\"192.0.2.7\"",
    );
    for (line, arguments) in [
        (combined, &["--format", nginx][..]),
        (combined, &["--format", &format!("log_format main '{nginx} '\n  '\"$http_referer\"';")]),
        (combined, &["--format", apache]),
        (combined, &["--format", &format!("LogFormat \"{apache}\" combined")]),
        (
            balanced,
            &[
                "--format",
                "$remote_addr [$http_x_forwarded_for] ${msec} \"$request\"",
                "--client",
                "X-Forwarded-For",
            ],
        ),
        (balanced, &["--format", "$remote_addr [$http_x_forwarded_for] $msec ", "--client", "2"]),
        (
            "2015-05-17T10:05:03.1Z GET 192.0.2.1:1234",
            &["--format", "%START_TIME% %REQ(:METHOD)% %DOWNSTREAM_REMOTE_ADDRESS%"],
        ),
        (
            "GET /a \"192.0.2.1, 10.0.0.1\" 2015-05-17T12:05:03+02:00 tail",
            &["--format", "$request_method $uri \"$http_x_forwarded_for\" $time_iso8601"],
        ),
        ("host.example\t192.0.2.1\t1431857103000", &["--format", "%v\\t%{c}a\\t%{msec}t"]),
        ("1431857103 192.0.2.1", &["--format", "$when $who", "--time", "when", "--client", "$who"]),
    ] {
        let outcome = outcome(line.as_bytes(), arguments);
        assert_eq!(outcome.failure, None, "{line} {arguments:?}");
        assert_eq!(outcome.clients, ["192.0.2.1"], "{line} {arguments:?}");
        assert_eq!(outcome.times, [1_431_857_103], "{line} {arguments:?}");
    }
}

#[test]
fn json_lines_of_many_keys_are_read() {
    for line in [
        r#"{"time":"2015-05-17T10:05:03+00:00","remote_addr":"192.0.2.1"}"#,
        r#"{"time_local":"17/May/2015:10:05:03 +0000","remote_addr":"192.0.2.1","uri":"/"}"#,
        r#"{"@timestamp":"2015-05-17T10:05:03.123Z","client_ip":"192.0.2.1:99"}"#,
        r#"{"msec":"1431857103.123","remote_ip":"192.0.2.1"}"#,
        r#"{"timestamp":1431857103123,"clientip":"::ffff:192.0.2.1"}"#,
        r#"{"ts":1431857103.5,"request":{"remote_ip":"192.0.2.1","uri":"/"}}"#,
        r#"{"ts":"2015/05/17 10:05:03","request":{"remote_addr":"192.0.2.1:5"}}"#,
        r#"{"StartUTC":"2015-05-17T10:05:03.1Z","ClientHost":"192.0.2.1","ClientPort":"1"}"#,
        r#"{"EdgeStartTimestamp":1431857103000000000,"ClientIP":"192.0.2.1"}"#,
        r#"{"timestamp":"2015-05-17T10:05:03Z","httpRequest":{"remoteIp":"192.0.2.1"}}"#,
        r#"{"timestamp":1431857103000,"httpRequest":{"clientIp":"192.0.2.1"},"action":"ALLOW"}"#,
        r#"{"@timestamp":"2015-05-17T10:05:03Z","source":{"ip":"192.0.2.1"}}"#,
        r#"{"@timestamp":"2015-05-17T10:05:03Z","source.ip":"192.0.2.1"}"#,
        r#"{"time":"2015-05-17T10:05:03Z","x_forwarded_for":"192.0.2.1, 10.0.0.1"}"#,
    ] {
        let outcome = outcome(line.as_bytes(), &[]);
        assert_eq!(outcome.failure, None, "{line}");
        assert_eq!(outcome.clients, ["192.0.2.1"], "{line}");
        assert_eq!(outcome.times, [1_431_857_103], "{line}");
    }
    let odd = r#"{"when":1431857103,"peer":{"addr":"192.0.2.1"}}"#.as_bytes();
    let failure = outcome(odd, &[]).failure.unwrap_or_default();
    assert!(failure.contains("`--client KEY`") && failure.contains("peer"), "{failure}");
    assert_eq!(clients(odd, &["--client", "peer.addr", "--time", "when"]), ["192.0.2.1"]);
}

#[test]
fn times_of_many_forms() {
    for (text, seconds) in [
        ("17/May/2015:10:05:03 +0000", Some(1_431_857_103)),
        ("17/May/2015:10:05:03.123", Some(1_431_857_103)),
        ("17/May/2015:10:05:03", Some(1_431_857_103)),
        ("17/May/2015 10:05:03", Some(1_431_857_103)),
        ("17/May/2015:10:05:03.123 +0000", Some(1_431_857_103)),
        ("17/May/2015:10:05:03 GMT", Some(1_431_857_103)),
        ("2015-05-17T12:05:03+02:00", Some(1_431_857_103)),
        ("2015-05-17T12:05:03.123456789+0200", Some(1_431_857_103)),
        ("2015-05-17 10:05:03", Some(1_431_857_103)),
        ("2015/05/17 10:05:03", Some(1_431_857_103)),
        ("2015-05-17 10:05:03,123 UTC", Some(1_431_857_103)),
        ("2015-05-17T10:05:03Z", Some(1_431_857_103)),
        ("1431857103", Some(1_431_857_103)),
        ("1431857103.999", Some(1_431_857_103)),
        ("1431857103123", Some(1_431_857_103)),
        ("1431857103123456", Some(1_431_857_103)),
        ("1431857103123456789", Some(1_431_857_103)),
        ("", None),
        ("-", None),
        ("10:05:03", None),
        ("2015-13-17T10:05:03Z", None),
        ("2015-00-17T10:05:03Z", None),
        ("2015-02-30T10:05:03Z", None),
        ("2015-05-17T10:05:03+2:00", None),
        ("2015-05-17", None),
        ("17/May/2015:10:05:03.x", None),
        ("17/\u{e9}", None),
        ("1.2.3", None),
        ("99999999999999999999999", None),
    ] {
        assert_eq!(time::parse_any(text.as_bytes()).map(time::seconds), seconds, "{text}");
    }
}

proptest! {
    /// Whatever the bytes, the format and the options: nothing panics.
    #[test]
    fn nothing_makes_it_panic(
        log in prop::collection::vec(any::<u8>(), 0..200),
        format in "[$%{}a-z\\[\\]\" \\\\>A-Z_()éh]{0,30}",
        client in "[a-z0-9.]{0,4}",
        damage in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let names = [
            "03_forwarded_for_first.log", "12_alb.log", "15_caddy.json.log", "iis.log",
            "haproxy.log", "istio.log", "ports_and_families.log",
        ];
        let mut real = file(names[damage.index(names.len())]);
        let at = damage.index(real.len());
        real[at] = byte;
        for log in [&log, &real] {
            outcome(log, &[]);
            outcome(log, &["--client", &client]);
            outcome(log, &["--format", &format, "--client", &client, "--time", "1"]);
            outcome(log, &["--format", "%h %t", "--forwarded", "-2"]);
        }
    }

    /// A line of a virtual host with more fields is never counted for the host.
    #[test]
    fn a_virtual_host_is_never_a_client(host in "[a-z]{1,8}\\.example(:[0-9]{1,4})?", user in "[a-z-]{1,5}") {
        let log = format!("{host} 192.0.2.1 - {user} [17/May/2015:10:05:03 +0000] \"GET /\" 200 5\n");
        prop_assert_eq!(outcome(log.as_bytes(), &[]).clients, ["192.0.2.1"]);
        let Ok(found) = layout::find(log.as_bytes(), &layout::Hints::default()) else {
            return Err(TestCaseError::fail("the layout is not found"));
        };
        prop_assert_eq!(found.layout, Layout::Common(2));
    }
}
