//! Cases of the rules A4 and A6 for the text of `Forwarded`.

use tollgate_http::address::{Source, Trust};

use super::{check, config, forwarded};

// A4: an element without exactly one `for` ends the walk.

#[test]
fn a4_an_element_of_forwarded_needs_exactly_one_for() {
    for element in [
        "proto=http",
        "\"\"",
        ";",
        "for",
        "for;for=203.0.113.7",
        "for=203.0.113.7;for=203.0.113.7",
        "for=203.0.113.7;For=unknown",
        "four=203.0.113.7",
        "fo=203.0.113.7",
        "x for=203.0.113.7",
        "\"for\"=203.0.113.7",
        "for\"\"=203.0.113.7",
        "for x=203.0.113.7",
        "203.0.113.7",
        "=203.0.113.7",
        "for:203.0.113.7",
        "by=\"for=203.0.113.7\"",
        "by=for=203.0.113.7",
    ] {
        check(
            &forwarded(),
            &[
                (&[element], "10.0.0.1"),
                (&[&format!("for=6.6.6.6, {element}, for=10.0.0.2")], "10.0.0.2"),
            ],
        );
    }
}

// A6: quoted strings, escapes, blanks and the case of names.

#[test]
fn a6_commas_and_semicolons_in_quotes_part_nothing() {
    check(
        &forwarded(),
        &[
            (
                &[r#"for=6.6.6.6, for=203.0.113.7;host="a, for=10.0.0.9;for=7.7.7.7""#],
                "203.0.113.7",
            ),
            (&[r#"host=",;,;";for=203.0.113.7;by=";,",for=10.0.0.2"#], "203.0.113.7"),
            (&[r#"for=203.0.113.7;x="\", for=10.0.0.9, \"""#], "203.0.113.7"),
            (&[r#"for=203.0.113.7;x="\\", for=10.0.0.9"#], "203.0.113.7"),
            // The quoted string begins in one line and ends in the next.
            (&[r#"for=203.0.113.7;x="a"#, r#"b", for=10.0.0.9"#], "203.0.113.7"),
            (&[r#"for=203.0.113.7;x="for=9.9.9.9"#, r#"for=8.8.8.8""#], "203.0.113.7"),
            (&[r#"for="203.0.113.7"#, r#"", for=10.0.0.9"#], "10.0.0.9"),
            // An escape at the end of a line escapes the comma between the lines.
            (&[r#"for=203.0.113.7;x="\"#, r#"", for=10.0.0.9"#], "203.0.113.7"),
            // Outside of quotes, a backslash escapes nothing.
            (&[r"for=6.6.6.6;x=\, for=203.0.113.7"], "203.0.113.7"),
            (&[r#"for=6.6.6.6;x=\"", for=203.0.113.7"#], "203.0.113.7"),
        ],
    );
}

#[test]
fn a6_escapes_cases_and_blanks() {
    check(
        &forwarded(),
        &[
            (&[r#"for="\2\0\3.0.113.7""#], "203.0.113.7"),
            (&[r#"for="\[2001:db8::\7\]\:80""#], "2001:db8::7"),
            (&["FoR=203.0.113.7"], "203.0.113.7"),
            (&["for = 203.0.113.7"], "203.0.113.7"),
            (&["\t for\t =\t \"203.0.113.7\" \t;\tproto = http"], "203.0.113.7"),
            (&[&format!("for{0}={0}203.0.113.7{0}", " ".repeat(300))], "203.0.113.7"),
            (&[";;for=203.0.113.7;;"], "203.0.113.7"),
            (&["; ;by=x; for=203.0.113.7"], "203.0.113.7"),
        ],
    );
}

#[test]
fn a6_with_a_quote_left_open_the_whole_header_says_nothing() {
    check(
        &forwarded(),
        &[
            (&["\""], "10.0.0.1"),
            (&["for=203.0.113.7;x=\""], "10.0.0.1"),
            (&["for=\"203.0.113.7"], "10.0.0.1"),
            (&["for=6.6.6.6;x=\"a, for=203.0.113.7"], "10.0.0.1"),
            (&["for=203.0.113.7", "for=10.0.0.2;x=\""], "10.0.0.1"),
            (&["for=6.6.6.6;x=\"", "for=203.0.113.7"], "10.0.0.1"),
            (&[r#"for=203.0.113.7;x="\"#], "10.0.0.1"),
            (&[r#"for=203.0.113.7;x="\""#], "10.0.0.1"),
            (&[r#"for=203.0.113.7;x=\""#], "10.0.0.1"),
        ],
    );
    for (hops, line) in [
        (1, "for=203.0.113.7;x=\""),
        (1, "x=\", for=6.6.6.6"),
        (2, "for=203.0.113.7, for=10.0.0.2;x=\""),
        (2, "for=203.0.113.7, \""),
    ] {
        check(&config(Source::Forwarded, Trust::Hops(hops)), &[(&[line], "10.0.0.1")]);
    }
}

#[test]
fn a6_a_value_may_have_128_bytes() {
    for (length, expected) in [(128, "203.0.113.7"), (129, "10.0.0.1")] {
        let port = "p".repeat(length - "203.0.113.7:_".len());
        check(
            &forwarded(),
            &[
                (&[&format!("for=\"203.0.113.7:_{port}\"")], expected),
                (&[&format!("for=203.0.113.7:_{port};proto=http")], expected),
            ],
        );
    }
}
