//! Cases of each rule about headers of a trusted peer: A3 to A5, A7 and A8.
//! What only concerns `Forwarded` is in `forwarded_text.rs`.

use tollgate_http::address::{Source, Trust};

use super::{check, client, config, forwarded, real_ip, single, x_forwarded_for};

// A3: from the right, the first that is not trusted; all lines are one list.

#[test]
fn a3_the_first_from_the_right_that_is_not_trusted_is_the_client() {
    check(
        &x_forwarded_for(),
        &[
            (&["203.0.113.7"], "203.0.113.7"),
            (&["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
            (&["6.6.6.6,203.0.113.7,10.0.0.3,10.0.0.2"], "203.0.113.7"),
            (&["6.6.6.6", "203.0.113.7"], "203.0.113.7"),
            (&["6.6.6.6, 203.0.113.7", "10.0.0.3", "2001:db8:ffff::2"], "203.0.113.7"),
            (&["10.0.0.9, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ],
    );
    check(
        &forwarded(),
        &[
            (&["for=203.0.113.7"], "203.0.113.7"),
            (&["for=6.6.6.6, for=203.0.113.7"], "203.0.113.7"),
            (&["for=6.6.6.6,for=203.0.113.7,for=10.0.0.3,for=10.0.0.2"], "203.0.113.7"),
            (&["for=6.6.6.6", "for=203.0.113.7"], "203.0.113.7"),
            (&["for=203.0.113.7", "for=10.0.0.3", "for=\"[2001:db8:ffff::2]\""], "203.0.113.7"),
            (&["for=10.0.0.9, for=203.0.113.7, for=10.0.0.2"], "203.0.113.7"),
        ],
    );
}

#[test]
fn a3_if_all_are_trusted_the_leftmost_is_the_client() {
    check(
        &x_forwarded_for(),
        &[
            (&["10.0.0.9"], "10.0.0.9"),
            (&["10.0.0.9, 10.0.0.8"], "10.0.0.9"),
            (&["10.0.0.9", "10.0.0.8, 10.0.0.7"], "10.0.0.9"),
        ],
    );
    check(
        &forwarded(),
        &[
            (&["for=10.0.0.9"], "10.0.0.9"),
            (&["for=10.0.0.9, for=10.0.0.8"], "10.0.0.9"),
            (&["for=10.0.0.9", "for=10.0.0.8, for=10.0.0.7"], "10.0.0.9"),
        ],
    );
}

#[test]
fn a3_an_absent_or_empty_header_leaves_the_peer() {
    for config in [x_forwarded_for(), forwarded(), real_ip()] {
        check(
            &config,
            &[
                (&[], "10.0.0.1"),
                (&[""], "10.0.0.1"),
                (&["", ""], "10.0.0.1"),
                (&[" \t , ,, "], "10.0.0.1"),
            ],
        );
    }
}

// A4: what is no address ends the walk.

#[test]
fn a4_what_is_no_address_ends_the_walk() {
    for garbage in [
        "unknown",
        "_hidden",
        "garbage",
        "\"203.0.113.7\"",
        "fe80::1%eth0",
        "203.0.113.07",
        "203.0.113.7:65536",
        "203.0.113.7:",
        "203.0.113.7:_p",
        "203.0.113.ä",
        "unix:",
        "203",
        "203.0.113.7 198.51.100.1",
        "203.0.113.7;",
        "for=203.0.113.7",
        "[203.0.113.7]",
    ] {
        check(
            &x_forwarded_for(),
            &[
                (&[garbage], "10.0.0.1"),
                (&[&format!("6.6.6.6, {garbage}")], "10.0.0.1"),
                (&[&format!("6.6.6.6, {garbage}, 10.0.0.3, 10.0.0.2")], "10.0.0.3"),
                (&["6.6.6.6", garbage, "10.0.0.3"], "10.0.0.3"),
                (&[&format!("{garbage}, 203.0.113.7, 10.0.0.2")], "203.0.113.7"),
            ],
        );
    }
    for garbage in [
        "unknown",
        "_hidden",
        "garbage",
        "fe80::1%eth0",
        "203.0.113.07",
        "203.0.113.7:65536",
        "203.0.113.7:",
        "203.0.113.7:_",
        "203.0.113.ä",
        "\"\"",
        "\" 203.0.113.7\"",
        "",
        "\"203.0.113.7\" 8",
        "\"203.0.113.7\"8",
        "203.0.113.7 8",
        "2\"03.0.113.7\"",
        "\"203.0\".113.7",
        "\"\"203.0.113.7",
        "\"\"\"203.0.113.7\"",
        "'203.0.113.7'",
        "\"203.0.113.7, 6.6.6.6\"",
    ] {
        check(
            &forwarded(),
            &[
                (&[&format!("for={garbage}")], "10.0.0.1"),
                (&[&format!("for=6.6.6.6, for={garbage}")], "10.0.0.1"),
                (&[&format!("for=6.6.6.6, for={garbage}, for=10.0.0.3, for=10.0.0.2")], "10.0.0.3"),
                (&["for=6.6.6.6", &format!("FOR = {garbage}"), "for=10.0.0.3"], "10.0.0.3"),
                (&[&format!("for={garbage}, for=203.0.113.7, for=10.0.0.2")], "203.0.113.7"),
            ],
        );
    }
}

#[test]
fn a4_bytes_that_are_not_ascii_end_the_walk() {
    let lines: [&[u8]; 2] = [b"6.6.6.6, 203.0.113.7\xff", b"10.0.0.2"];
    assert_eq!(client(&x_forwarded_for(), "10.0.0.1", &lines), "10.0.0.2");
    let lines: [&[u8]; 2] = [b"for=6.6.6.6, for=203.0.113.7\xff", b"for=10.0.0.2;host=\"\xfe\""];
    assert_eq!(client(&forwarded(), "10.0.0.1", &lines), "10.0.0.2");
    assert_eq!(client(&real_ip(), "10.0.0.1", &[b"203.0.113.7\xa0"]), "10.0.0.1");
}

#[test]
fn a4_empty_elements_are_skipped() {
    check(
        &x_forwarded_for(),
        &[
            (&[",, 203.0.113.7,\t, 10.0.0.2 ,"], "203.0.113.7"),
            (&["203.0.113.7,", "", " ", ",10.0.0.2"], "203.0.113.7"),
        ],
    );
    check(
        &forwarded(),
        &[
            (&[",, for=203.0.113.7,\t, for=10.0.0.2 ,"], "203.0.113.7"),
            (&["for=203.0.113.7,", "", " ", ",for=10.0.0.2"], "203.0.113.7"),
        ],
    );
}

// A5: ports are dropped, and wrapped addresses are unwrapped.

#[test]
fn a5_ports_are_dropped_and_wrapped_elements_unwrapped() {
    for (element, expected) in [
        ("203.0.113.7:0", "203.0.113.7"),
        ("203.0.113.7:65535", "203.0.113.7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:db8::7:443", "2001:db8::7:443"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[64:ff9b::203.0.113.7]:443", "203.0.113.7"),
    ] {
        check(
            &x_forwarded_for(),
            &[
                (&[element], expected),
                (&[&format!("{element}, ::ffff:10.0.0.3, 64:ff9b::10.0.0.2")], expected),
            ],
        );
        check(
            &forwarded(),
            &[
                (&[&format!("for=\"{element}\"")], expected),
                (&[&format!("for={element};proto=http, for=\"[::ffff:10.0.0.3]:80\"")], expected),
            ],
        );
        check(&real_ip(), &[(&[element], expected)]);
    }
    check(
        &forwarded(),
        &[
            (&["for=\"203.0.113.7:_p\""], "203.0.113.7"),
            (&["for=203.0.113.7:_p.-_9A"], "203.0.113.7"),
            (&["for=\"[2001:db8::7]:_p\""], "2001:db8::7"),
            (&["for=\"203.0.113.7:_ä\""], "10.0.0.1"),
        ],
    );
    check(&x_forwarded_for(), &[(&["203.0.113.7:_p"], "10.0.0.1")]);
    check(&real_ip(), &[(&["203.0.113.7:_p"], "10.0.0.1")]);
}

// A7: headers that hold one address.

#[test]
fn a7_a_single_address_header_is_one_line_with_one_address() {
    check(
        &real_ip(),
        &[
            (&["203.0.113.7"], "203.0.113.7"),
            (&[" 203.0.113.7\t"], "203.0.113.7"),
            (&["[2001:db8::7]:443"], "2001:db8::7"),
            // A trusted address is one, too.
            (&["10.0.0.9"], "10.0.0.9"),
            (&["203.0.113.7", "203.0.113.7"], "10.0.0.1"),
            (&["203.0.113.7", ""], "10.0.0.1"),
            (&["203.0.113.7, 198.51.100.1"], "10.0.0.1"),
            (&["203.0.113.7,"], "10.0.0.1"),
            (&["\"203.0.113.7\""], "10.0.0.1"),
            (&["unknown"], "10.0.0.1"),
        ],
    );
    let hops = config(single("cf-connecting-ip"), Trust::Hops(3));
    check(&hops, &[(&["203.0.113.7"], "203.0.113.7"), (&["a"], "10.0.0.1")]);
    assert_eq!(client(&hops, "unix", &["203.0.113.7"]), "203.0.113.7");
}

// A8: a number of hops instead of networks.

#[test]
fn a8_hops_count_elements_from_the_right() {
    let cases: [(u32, &[&str], &str); 10] = [
        (1, &["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        (2, &["6.6.6.6, 203.0.113.7, 192.0.2.1"], "203.0.113.7"),
        (2, &["6.6.6.6", "203.0.113.7", "192.0.2.1"], "203.0.113.7"),
        (2, &["6.6.6.6, 203.0.113.7,, 192.0.2.1 ,"], "203.0.113.7"),
        (2, &["203.0.113.7, unknown"], "203.0.113.7"),
        (1, &["203.0.113.7, unknown"], "10.0.0.1"),
        (2, &["203.0.113.7"], "10.0.0.1"),
        (1, &[], "10.0.0.1"),
        (1, &[","], "10.0.0.1"),
        (u32::MAX, &["6.6.6.6, 203.0.113.7"], "10.0.0.1"),
    ];
    for (hops, lines, expected) in cases {
        let by_hops = config(Source::XForwardedFor, Trust::Hops(hops));
        check(&by_hops, &[(lines, expected)]);
        assert_eq!(client(&by_hops, "unix", lines), expected.replace("10.0.0.1", "unix"));

        let lines: Vec<String> = lines
            .iter()
            .map(|line| {
                let elements = line.split(',').map(|element| match element.trim() {
                    "" => String::new(),
                    address => format!("proto=http;for={address};by=\",\""),
                });
                elements.collect::<Vec<_>>().join(", ")
            })
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        check(&config(Source::Forwarded, Trust::Hops(hops)), &[(&lines, expected)]);
    }
}
