//! Files from public repositories: each is read or refused as `data/ratelimit_files.txt` says.

use tollgate_http::policy::Problem;
use tollgate_http::{HttpLimiter, Policy};

use crate::{policy, told};

struct Recorded<'a> {
    source: &'a str,
    errors: Vec<Wanted<'a>>,
    warnings: Vec<Wanted<'a>>,
    /// Descriptors and what they get.
    descriptors: Vec<(&'a str, &'a str)>,
    text: String,
}

struct Wanted<'a> {
    place: &'a str,
    code: &'a str,
    contains: Vec<&'a str>,
}

fn recorded() -> Vec<Recorded<'static>> {
    let sections = include_str!("../data/ratelimit_files.txt").split("\n=== ").skip(1);
    sections.map(section).collect()
}

fn section(section: &str) -> Recorded<'_> {
    let (head, text) = section.split_once("\n---\n").expect("a file");
    let mut lines = head.lines();
    let mut recorded = Recorded {
        source: lines.next().expect("a source"),
        errors: Vec::new(),
        warnings: Vec::new(),
        descriptors: Vec::new(),
        text: format!("{text}\n"),
    };
    for line in lines {
        match line.split_at(2) {
            ("! ", wanted) => recorded.errors.push(self::wanted(wanted)),
            ("? ", wanted) => recorded.warnings.push(self::wanted(wanted)),
            ("> ", wanted) => {
                recorded.descriptors.push(wanted.split_once(" -> ").expect("a descriptor"));
            }
            _ => panic!("{line}"),
        }
    }
    recorded
}

fn wanted(line: &str) -> Wanted<'_> {
    let mut parts = line.split(" | ");
    let (place, code) = parts.next().and_then(|part| part.split_once(' ')).expect("place and code");
    Wanted { place, code, contains: parts.collect() }
}

/// How the problems that were found differ from those that should be.
fn differences(kind: &str, found: &[Problem], wanted: &[Wanted<'_>]) -> Vec<String> {
    let is_wanted = |found: &Problem, wanted: &Wanted<'_>| {
        let (place, told) = (format!("file.yaml:{}: ", wanted.place), found.to_string());
        told.starts_with(&place)
            && found.code().as_str() == wanted.code
            && wanted.contains.iter().all(|part| told.contains(part))
    };
    let mut differences: Vec<String> = found
        .iter()
        .zip(wanted)
        .filter(|(found, wanted)| !is_wanted(found, wanted))
        .map(|(found, wanted)| format!("{found}\n is not {} {}", wanted.place, wanted.code))
        .collect();
    let surplus = found.iter().skip(wanted.len());
    differences.extend(surplus.map(|found| format!("{found}\n is not wanted")));
    if found.len() < wanted.len() {
        differences.push(format!("{} {kind} instead of {}", found.len(), wanted.len()));
    }
    differences
}

#[test]
fn each_file_is_read_or_refused() {
    let all = recorded();
    assert!(all.len() >= 50, "only {} files", all.len());
    let mut wrong = Vec::new();
    for file in &all {
        let differences = match policy(&file.text) {
            Ok(policy) => {
                let mut all = differences("errors", &[], &file.errors);
                all.extend(differences("warnings", policy.warnings(), &file.warnings));
                all.extend(descriptor_differences(file, &policy));
                let printed: Policy = policy.to_string().parse().unwrap();
                assert_eq!(printed, policy, "{}: the printed policy is another", file.source);
                all
            }
            Err(error) => differences("errors", error.problems(), &file.errors),
        };
        wrong.extend(differences.into_iter().map(|text| format!("{}: {text}", file.source)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn descriptor_differences(file: &Recorded<'_>, policy: &Policy) -> Vec<String> {
    let limiter = HttpLimiter::new(policy).unwrap();
    let difference = |(descriptor, wanted): &(&str, &str)| {
        let mut words = descriptor.split(' ');
        let domain = words.next().expect("a domain");
        let entries: Vec<(&str, &str)> =
            words.map(|word| word.split_once('=').expect("an entry")).collect();
        let told = told(&limiter, domain, &entries);
        (!is_as(&told, wanted)).then(|| format!("{descriptor}\n gets {told}\n  not {wanted}"))
    };
    file.descriptors.iter().filter_map(difference).collect()
}

/// Whether a text is another one in which `~` stands for a hash, and which may end before the key.
fn is_as(told: &str, wanted: &str) -> bool {
    let told = if wanted.contains(" by ") { told } else { told.split(" by ").next().unwrap() };
    let Some((start, end)) = wanted.split_once('~') else { return told == wanted };
    let Some(rest) = told.strip_prefix(start) else { return false };
    let (hash, rest) = rest.split_at(8.min(rest.len()));
    hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && rest == end
}
