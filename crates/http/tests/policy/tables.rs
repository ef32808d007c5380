//! Policies with mistakes, and policies with warnings: each problem with its place, code and
//! texts.

use tollgate_http::policy::{Format, Policy, Problem};

#[test]
fn each_mistake_is_found_at_its_place_and_no_other_is() {
    let table = table(include_str!("../data/policies/bad.txt"));
    assert!(table.len() > 120, "only {} policies", table.len());
    check(&table, |format, text| match Policy::parse(format, text, "policy") {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().to_vec(),
    });
}

#[test]
fn each_warning_is_given_at_its_place_and_no_other_is() {
    let table = table(include_str!("../data/policies/warnings.txt"));
    check(&table, |format, text| {
        let policy = Policy::parse(format, text, "policy").expect("a policy without mistakes");
        policy.warnings().to_vec()
    });
}

/// Each code that an error can have is in the table, those that any format can have in each
/// format.
#[test]
fn the_table_has_each_code() {
    let table = table(include_str!("../data/policies/bad.txt"));
    let codes = [
        "syntax",
        "unknown-key",
        "unknown-limit",
        "unknown-tier",
        "bad-quota",
        "bad-address",
        "host-bits",
        "trusts-everybody",
        "bad-prefix",
        "missing-unset",
        "missing-value",
        "cost-over-burst",
        "bad-cost",
        "unreachable-route",
        "duplicate-name",
        "bad-path",
        "bad-method",
        "duplicate-subject",
        "contradiction",
        "bad-version",
        "both-given",
        "nobody-trusted",
        "bad-status",
        "raw-api-key",
        "bad-value",
    ];
    for code in codes {
        for format in ["toml", "yaml", "json"] {
            let has = table.iter().any(|entry| {
                entry.format == format && entry.problems.iter().any(|wanted| wanted.code == code)
            });
            assert!(has, "no {code} in {format}");
        }
    }
}

struct Entry<'a> {
    about: &'a str,
    format: &'a str,
    problems: Vec<Wanted<'a>>,
    text: String,
}

struct Wanted<'a> {
    place: &'a str,
    code: &'a str,
    contains: Vec<&'a str>,
    omits: Vec<&'a str>,
}

fn table(text: &str) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("=== ") {
            let (format, about) = head.split_once(": ").expect("a format and a title");
            entries.push(Entry { about, format, problems: Vec::new(), text: String::new() });
        } else if let Some(entry) = entries.last_mut() {
            match line.strip_prefix("! ") {
                Some(wanted) => entry.problems.push(self::wanted(wanted)),
                None => entry.text.extend([line, "\n"]),
            }
        }
    }
    entries
}

fn wanted(line: &str) -> Wanted<'_> {
    let mut parts = line.split(" | ");
    let (place, code) =
        parts.next().and_then(|first| first.split_once(' ')).expect("a place and a code");
    let (omits, contains): (Vec<&str>, Vec<&str>) =
        parts.partition(|text| text.starts_with("omits "));
    let omits = omits.into_iter().filter_map(|text| text.strip_prefix("omits ")).collect();
    Wanted { place, code, contains, omits }
}

fn check(table: &[Entry<'_>], problems: impl Fn(Format, &str) -> Vec<Problem>) {
    let mut failures = Vec::new();
    for entry in table {
        // The formats that are not in this build are tested with their features.
        let Some(format) = Format::of_path(format!("policy.{}", entry.format)) else { continue };
        let found = problems(format, &entry.text);
        let is_all = found.len() == entry.problems.len()
            && entry.problems.iter().zip(&found).all(|(wanted, found)| fits(wanted, found));
        if !is_all {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            failures.push(format!("{}: found\n  {}", entry.about, found.join("\n  ")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn fits(wanted: &Wanted<'_>, found: &Problem) -> bool {
    let message = found.message().to_lowercase();
    found.place().to_string() == wanted.place
        && found.code().as_str() == wanted.code
        && wanted.contains.iter().all(|text| message.contains(&text.to_lowercase()))
        && !wanted.omits.iter().any(|text| message.contains(&text.to_lowercase()))
        && found.to_string()
            == format!("policy:{}: {} [{}]", wanted.place, found.message(), wanted.code)
}
