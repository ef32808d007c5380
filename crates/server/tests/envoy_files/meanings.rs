//! What a file means to Go's `yaml.v2`, and what ratelimit checks, beyond the recorded files.

use std::time::Duration;

use tollgate_http::engine::Descriptor;
use tollgate_http::{HttpLimiter, ManualClock};

use crate::{policy, told};

/// All problems of a file with errors.
fn errors(text: &str) -> Vec<String> {
    let error = policy(text).expect_err("an error");
    error.problems().iter().map(ToString::to_string).collect()
}

/// All warnings of a file without errors.
fn warnings(text: &str) -> Vec<String> {
    let policy = policy(text).unwrap();
    policy.warnings().iter().map(ToString::to_string).collect()
}

fn is_told(told: &[String], wanted: &[(&str, &str)]) {
    let is_same = told.len() == wanted.len()
        && told.iter().zip(wanted).all(|(told, (place, part))| {
            told.starts_with(&format!("file.yaml:{place}: ")) && told.contains(part)
        });
    assert!(is_same, "{}", told.join("\n"));
}

/// What a descriptor of the domain `d` gets.
fn asked(text: &str, entries: &[(&str, &str)]) -> String {
    told(&HttpLimiter::new(policy(text).unwrap()).unwrap(), "d", entries)
}

fn with_limit(limit: &str) -> String {
    format!("domain: d\ndescriptors:\n- key: a\n  rate_limit: {{ {limit} }}\n")
}

#[test]
fn numbers_are_those_of_go() {
    for (number, quota) in [
        ("12", "12/min"),
        ("012", "10/min"),
        ("0x1F", "31/min"),
        ("0b11", "3/min"),
        ("1_0", "10/min"),
    ] {
        let text = with_limit(&format!("unit: minute, requests_per_unit: {number}"));
        assert_eq!(asked(&text, &[("a", "x")]), format!("{quota} d.a by x"), "{number}");
    }
    for number in ["1.5", "-1", "4294967296", "\"5\"", "many", "[1]", "99999999999999999999"] {
        let text = with_limit(&format!("unit: minute, requests_per_unit: {number}"));
        is_told(&errors(&text), &[("4:50", "write a whole number from 0 to 4294967295")]);
    }
}

#[test]
fn words_for_true_and_false_are_those_of_yaml_1_1() {
    for word in ["true", "True", "yes", "on", "y"] {
        let text = with_limit(&format!("unlimited: {word}"));
        assert_eq!(asked(&text, &[("a", "x")]), "unlimited", "{word}");
    }
    for word in ["\"true\"", "1", "maybe"] {
        let text = with_limit(&format!("unlimited: {word}, unit: day, requests_per_unit: 1"));
        is_told(&errors(&text), &[("4:28", "write true or false")]);
    }
}

#[test]
fn texts_are_as_they_are_written() {
    for value in ["8080", "true", "010", "2026-01-01", "0x10", "1e", "203.0.113.7"] {
        let text = format!(
            "domain: d\ndescriptors:\n- {{key: a, value: {value}, rate_limit: {{unit: day, \
             requests_per_unit: 1}}}}\n"
        );
        assert_eq!(asked(&text, &[("a", value)]).split(' ').next(), Some("1/day"), "{value}");
        assert_eq!(asked(&text, &[("a", "other")]), "nothing", "{value}");
    }
    // These are numbers with a fraction, or too large, which ratelimit refuses.
    for value in ["1.0", "1e3", ".inf", "18446744073709551615"] {
        let text = format!("domain: d\ndescriptors:\n- {{key: a, value: {value}}}\n");
        is_told(&errors(&text), &[("3:19", "write a text in quotes")]);
    }
    // No value at all.
    for value in ["", "~", "null", "\"\""] {
        let text = format!("domain: d\ndescriptors:\n- key: a\n  value: {value}\n");
        assert_eq!(asked(&text, &[("a", "any")]), "unlimited", "{value:?}");
    }
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = "
domain: d
descriptors:
- key: a
  rate_limit: &common { unit: minute, requests_per_unit: 5 }
- &b
  key: b
  rate_limit: *common
- <<: *b
  key: c
- key: e
  rate_limit:
    <<: [{ unit: hour }, *common]
    requests_per_unit: 7
- key: f
  rate_limit: { requests_per_unit: 9, <<: *common }
";
    assert_eq!(asked(text, &[("a", "x")]), "5/min d.a by x");
    assert_eq!(asked(text, &[("b", "x")]), "5/min d.b by x");
    assert_eq!(asked(text, &[("c", "x")]), "5/min d.c by x");
    // The first table of a list counts most, and what follows the merge key counts more.
    assert_eq!(asked(text, &[("e", "x")]), "7/h d.e by x");
    // `yaml.v2` lets a merge key replace what stands before it.
    assert_eq!(asked(text, &[("f", "x")]), "5/min d.f by x");
    is_told(&warnings(text), &[("16:39", "replaces `requests_per_unit`")]);
    let wrong = "domain: d\ndescriptors:\n- <<: 5\n  key: a\n";
    is_told(&errors(wrong), &[("3:3", "`<<` is the number `5`")]);
}

#[test]
fn of_a_key_that_is_there_twice_the_last_one_counts() {
    let text = with_limit("unit: minute, requests_per_unit: 5, unit: hour");
    assert_eq!(asked(&text, &[("a", "x")]), "5/h d.a by x");
    is_told(&warnings(&text), &[("4:53", "`unit` is there twice")]);
}

#[test]
fn settings_at_the_wrong_place_have_no_effect() {
    let text = "domain: d\ndescriptors:\n- key: a\n  unit: day\n  rate_limit:\n    unit: minute\n    \
                requests_per_unit: 1\n    shadow_mode: true\n";
    assert_eq!(asked(text, &[("a", "x")]), "1/min d.a by x");
    is_told(
        &warnings(text),
        &[("4:3", "`unit` has no effect in a descriptor"), ("8:5", "`shadow_mode` has no effect")],
    );
}

#[test]
fn limits_of_nothing() {
    let missing = with_limit("unit: minute");
    assert_eq!(asked(&missing, &[("a", "x")]), "blocked");
    is_told(&warnings(&missing), &[("4:15", "`requests_per_unit` is missing")]);
    let shadow = "domain: d\ndescriptors:\n- key: a\n  shadow_mode: true\n  rate_limit: { unit: day, \
                  requests_per_unit: 0 }\n";
    assert_eq!(asked(shadow, &[("a", "x")]), "unlimited");
    is_told(&warnings(shadow), &[("5:15", "a limit of 0 with `shadow_mode`")]);
    // What ratelimit takes from those who write all settings.
    let all = with_limit("unlimited: true, unit: UNKNOWN, requests_per_unit: 0");
    assert_eq!(asked(&all, &[("a", "x")]), "unlimited");
    assert_eq!(warnings(&all), [""; 0]);
}

#[test]
fn every_unit_has_its_period() {
    for (unit, quota) in [
        ("second", "1/s"),
        ("Minute", "1/min"),
        ("HOUR", "1/h"),
        ("day", "1/day"),
        ("week", "1/7day"),
        ("month", "1/30day"),
        ("year", "1/365day"),
    ] {
        let text = with_limit(&format!("unit: {unit}, requests_per_unit: 1"));
        assert_eq!(asked(&text, &[("a", "x")]), format!("{quota} d.a by x"));
        // The largest number, too.
        let text = with_limit(&format!("unit: {unit}, requests_per_unit: 4294967295"));
        policy(&text).unwrap();
    }
    is_told(&errors(&with_limit("requests_per_unit: 1")), &[("4:15", "`unit` is missing")]);
    let misspelt = with_limit("unit: minuet, requests_per_unit: 1");
    is_told(&errors(&misspelt), &[("4:23", "did you mean `minute`?")]);
}

#[test]
fn all_errors_are_told_at_once() {
    let text = "
descriptors:
- value: b
  rate_limit: { unit: fortnight }
- key: a*
- key: c
  value: d
  share_threshold: true
- key: c
  value: d
- metadata: 5
  key: f
- key: [g]
- text
more: 1
";
    is_told(
        &errors(text),
        &[
            ("2:1", "`domain` is missing"),
            ("3:3", "`key` is missing"),
            ("4:23", "`fortnight`"),
            ("5:8", "has an asterisk"),
            ("8:20", "`share_threshold` is only possible"),
            ("11:13", "`metadata` is the number `5`"),
            ("13:8", "`key` is a list"),
            ("14:3", "a descriptor is the text `text`"),
            ("15:1", "`more` is not a key of the file"),
        ],
    );
}

#[test]
fn a_share_that_cannot_be_kept_is_an_error() {
    let text = "
domain: d
descriptors:
- key: a
  value: x*
  share_threshold: true
  descriptors:
  - key: a
    rate_limit: { unit: day, requests_per_unit: 1 }
";
    is_told(&errors(text), &[("4:3", "`share_threshold` can't be kept")]);
}

#[test]
fn a_window_begins_with_the_first_request_of_a_key() {
    let policy = policy(&with_limit("unit: minute, requests_per_unit: 1")).unwrap();
    let clock = ManualClock::new();
    let limiter = HttpLimiter::builder(policy).clock(clock.clone()).build().unwrap();
    let passes = |user| {
        let entries = [("a", user)];
        let asked = [Descriptor::new(&entries)];
        limiter.decide_descriptors("d", &asked).now().expect("memory").is_allowed()
    };
    clock.advance(Duration::from_secs(50));
    assert!(passes("x") && !passes("x"));
    clock.advance(Duration::from_secs(59));
    assert!(!passes("x") && passes("y"), "no minute of the clock ends a window");
    clock.advance(Duration::from_secs(1));
    assert!(passes("x") && !passes("y"));
}
