//! The same policy in all formats, its printed form, and what no output shows.

use tollgate_http::policy::{Format, Policy};

const SAMPLE: &str = include_str!("../data/policies/sample.toml");

fn sample() -> Policy {
    SAMPLE.parse().expect("the sample is a policy")
}

#[test]
fn the_sample_is_read_printed_and_read_again() {
    let policy = sample();
    let again: Policy = policy.to_string().parse().expect("what is printed is a policy");
    assert_eq!(again, policy);
    assert_eq!(again.hash(), policy.hash());
    assert_eq!(again.to_string(), policy.to_string());
    assert_eq!(policy.hash().len(), 12);
}

#[test]
fn the_hash_is_of_the_meaning_and_not_of_the_text() {
    let policy = sample();
    let commented = format!("# A comment.\n{SAMPLE}");
    let same: Policy = commented.parse().expect("a policy");
    assert_eq!(same.hash(), policy.hash());
    let other: Policy = SAMPLE.replace("10/min", "11/min").parse().expect("a policy");
    assert_ne!(other.hash(), policy.hash());
    assert_ne!(other, policy);
}

#[cfg(feature = "yaml")]
#[test]
fn the_sample_means_the_same_in_yaml() {
    let yaml = include_str!("../data/policies/sample.yaml");
    assert_eq!(Policy::from_yaml(yaml).expect("a policy"), sample());
}

#[cfg(feature = "json")]
#[test]
fn the_sample_means_the_same_in_json() {
    let json = include_str!("../data/policies/sample.json");
    assert_eq!(Policy::from_json(json).expect("a policy"), sample());
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_do_not_matter() {
    let windows = format!("\u{feff}{}", SAMPLE.replace('\n', "\r\n"));
    assert_eq!(windows.parse::<Policy>().expect("a policy"), sample());
}

#[test]
fn columns_count_characters() {
    let text = "version = 1\ndefault_tier = \"größe\" ; é";
    let error = Policy::from_toml(text).expect_err("this is not TOML");
    assert_eq!(error.problems()[0].place().to_string(), "2:24");
}

#[test]
fn the_debug_form_shows_no_hash_of_a_key() {
    let shown = format!("{:?}", sample());
    assert!(shown.contains("ApiKey(..)"), "{shown}");
    assert!(!shown.contains("159, 134"), "the bytes of the hash are shown: {shown}");
    assert!(!shown.contains("9f86d081"), "the hash is shown: {shown}");
}

#[test]
fn no_message_has_a_line_break_or_is_endless() {
    let text = format!("version = 1\nmode = \"a\\n\\u001b[31m{}\"", "x".repeat(1000));
    let error = Policy::from_toml(&text).expect_err("the mode does not exist");
    let shown = error.to_string();
    assert!(!shown.contains(['\n', '\u{1b}']) && shown.len() < 300, "{shown:?}");
    assert!(shown.contains("`a\\n\\u{1b}[31m"), "{shown:?}");
}

#[test]
fn times_of_all_offsets_are_moments() {
    let text = |until: &str| {
        format!("version = 1\n[[subjects]]\nuser = \"u\"\nblocked = true\nuntil = {until}")
    };
    let read = |until: &str| text(until).parse::<Policy>().map(|policy| policy.to_string());
    let utc = read("2027-01-01T00:00:00Z").expect("a policy");
    assert!(utc.contains("until = 2027-01-01T00:00:00Z"), "{utc}");
    for same in [
        "2027-01-01T02:00:00+02:00",
        "2026-12-31T18:30:00-05:30",
        "\"2027-01-01T00:00:00Z\"",
        "2027-01-01 00:00:00.000Z",
    ] {
        assert_eq!(read(same).as_ref(), Ok(&utc), "{same}");
    }
    for exact in ["2028-02-29T23:59:59.5Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
        let printed = read(exact).expect("a policy");
        let trimmed = exact.trim_end_matches('Z');
        assert!(printed.contains(trimmed), "{exact}: {printed}");
    }
    for wrong in ["9999-12-31T23:59:59-01:00", "1970-01-01T00:00:00+00:01"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn problems_are_sorted_and_those_beyond_two_hundred_are_counted() {
    let unknown: Vec<String> = (0..300).map(|n| format!("unknown_{n} = 1")).collect();
    let error = Policy::from_toml(&unknown.join("\n")).expect_err("all keys are unknown");
    assert_eq!(error.problems().len(), 200);
    assert_eq!(error.more(), 101);
    assert!(error.to_string().ends_with("and 101 further problems"));
    assert!(error.problems().is_sorted_by_key(|problem| problem.place().clone()));
}

#[test]
fn a_text_that_is_too_long_or_not_utf8_has_a_place() {
    let long = " ".repeat((4 << 20) + 1);
    let error = Policy::from_toml(&long).expect_err("the text is too long");
    assert!(error.to_string().contains("4194305 bytes"), "{error}");
    let error = Policy::parse(Format::Toml, b"version = 1\nmode = \"\xff\"", "a.toml");
    let error = error.expect_err("the text is not UTF-8").to_string();
    assert_eq!(error, "a.toml:2:9: the text is not UTF-8 [syntax]");
}

#[test]
fn numbers_have_all_spellings_of_their_format() {
    let wanted = Policy::from_toml("version = 1\nclient.ipv6_prefix = 56").expect("a policy");
    for number in ["5_6", "0x38", "0o70", "0b111000", "+56"] {
        let text = format!("version = 1\nclient.ipv6_prefix = {number}");
        assert_eq!(Policy::from_toml(&text).as_ref(), Ok(&wanted), "{number}");
    }
    #[cfg(feature = "yaml")]
    for number in ["56", "0x38", "0o70", "+56", "056"] {
        let text = format!("{{version: 1, client: {{ipv6_prefix: {number}}}}}");
        assert_eq!(Policy::from_yaml(&text).as_ref(), Ok(&wanted), "{number}");
    }
}
