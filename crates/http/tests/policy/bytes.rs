//! Whatever the bytes are, there is a policy or an error with a place, and never a panic.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tollgate_http::policy::{Format, Place, Policy};

const SAMPLES: &[(&str, &str)] = &[
    ("toml", include_str!("../data/policies/sample.toml")),
    ("yaml", include_str!("../data/policies/sample.yaml")),
    ("json", include_str!("../data/policies/sample.json")),
];

/// The formats of this build.
fn formats() -> impl Iterator<Item = Format> {
    ["toml", "yaml", "json"].into_iter().filter_map(|end| Format::of_path(format!("a.{end}")))
}

/// Reads the bytes, and checks that each problem lies within the text and each policy can be
/// printed.
fn read(format: Format, bytes: &[u8]) -> Result<(), TestCaseError> {
    let lines = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 2;
    match Policy::parse(format, bytes, "policy") {
        Ok(policy) => {
            let again = policy.to_string().parse::<Policy>();
            prop_assert_eq!(again.as_ref(), Ok(&policy));
        }
        Err(error) => {
            prop_assert!(!error.problems().is_empty());
            for problem in error.problems() {
                let Place::Text { line, column } = *problem.place() else {
                    return Err(TestCaseError::fail("a place in code"));
                };
                prop_assert!(line >= 1 && column >= 1, "{}", problem);
                prop_assert!(line as usize <= lines, "{} of {} lines", problem, lines);
            }
        }
    }
    Ok(())
}

/// What happens to a text before it is read.
#[derive(Clone, Debug)]
enum Change {
    DeleteLine(Index),
    DuplicateLine(Index),
    SwapLines(Index, Index),
    DeleteByte(Index),
    SwapBytes(Index, Index),
    SetByte(Index, u8),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        index().prop_map(Change::DeleteLine),
        index().prop_map(Change::DuplicateLine),
        (index(), index()).prop_map(|(a, b)| Change::SwapLines(a, b)),
        index().prop_map(Change::DeleteByte),
        (index(), index()).prop_map(|(a, b)| Change::SwapBytes(a, b)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Change::SetByte(at, byte)),
        index().prop_map(Change::Cut),
    ]
}

fn changed(text: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for change in changes {
        let mut lines: Vec<Vec<u8>> =
            bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        if bytes.is_empty() || lines.is_empty() {
            break;
        }
        match change {
            Change::DeleteLine(at) => drop(lines.remove(at.index(lines.len()))),
            Change::DuplicateLine(at) => {
                let at = at.index(lines.len());
                lines.insert(at, lines[at].clone());
            }
            Change::SwapLines(a, b) => {
                let (a, b) = (a.index(lines.len()), b.index(lines.len()));
                lines.swap(a, b);
            }
            Change::DeleteByte(at) => drop(bytes.remove(at.index(bytes.len()))),
            Change::SwapBytes(a, b) => {
                let (a, b) = (a.index(bytes.len()), b.index(bytes.len()));
                bytes.swap(a, b);
            }
            Change::SetByte(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
        if matches!(
            change,
            Change::DeleteLine(_) | Change::DuplicateLine(_) | Change::SwapLines(..)
        ) {
            bytes = lines.concat();
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        for format in formats() {
            read(format, &bytes)?;
        }
    }

    #[test]
    fn any_signs_of_the_formats(text in "[\\[\\]{}\"':,=#&*!|>%@?\\-.\\\\ \t\na1é_+]{0,80}") {
        for format in formats() {
            read(format, text.as_bytes())?;
        }
    }

    #[test]
    fn changed_policies(sample in 0..SAMPLES.len(), changes in vec(change(), 1..8)) {
        let (end, text) = SAMPLES[sample];
        if let Some(format) = Format::of_path(format!("a.{end}")) {
            read(format, &changed(text, &changes))?;
        }
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow_of_the_stack() {
    let deep = [
        ("toml", "a = ".to_owned() + &"[".repeat(100_000)),
        ("toml", "a = ".to_owned() + &"{a=".repeat(100_000)),
        ("toml", format!("a{} = 1", ".a".repeat(60))),
        ("toml", format!("a = {}{}", "[".repeat(60), "]".repeat(60))),
        ("yaml", "[".repeat(100_000)),
        ("yaml", "- ".repeat(100_000)),
        ("yaml", "? ".repeat(100_000)),
        ("yaml", "{a: ".repeat(200)),
        ("json", "[".repeat(100_000)),
        ("json", "{\"a\":".repeat(100_000)),
        ("json", format!("{}{}", "[".repeat(33), "]".repeat(33))),
    ];
    for (end, text) in deep {
        let Some(format) = Format::of_path(format!("a.{end}")) else { continue };
        let error = Policy::parse(format, &text, "policy").expect_err("no policy");
        assert_eq!(error.problems().len(), 1, "{error}");
        assert_eq!(error.problems()[0].code().as_str(), "syntax", "{error}");
    }
}

/// A short text with aliases of aliases stands for a long tree.
#[cfg(feature = "yaml")]
#[test]
fn aliases_do_not_grow() {
    let text = "\
a: &a [x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]
";
    let error = Policy::from_yaml(text).expect_err("no policy");
    assert_eq!(error.to_string(), "policy:1:4: anchors are not read: remove the anchor [syntax]");
}

/// Policies that make each check compare as much as it can. This test ends soon, or it would be
/// noticed; it does not measure.
#[test]
fn large_policies_are_checked_in_bounded_time() {
    let many = |count: usize, text: &dyn Fn(usize) -> String| -> String {
        (0..count).map(text).collect::<Vec<_>>().concat()
    };
    let names = many(1000, &|n| format!("'l{n}',"));
    let limits = many(1000, &|n| format!("[limits.l{n}]\nquota = '{}/s'\n", 2000 - n));
    let tiers = many(1000, &|n| format!("[tiers.t{n}]\n"));
    let routes = many(100, &|n| {
        format!("[[routes]]\npath = '/{}{n}'\nlimits = [{names}]\n", "x/".repeat(90))
    });
    let subjects = many(5000, &|n| {
        format!("[[subjects]]\nuser = '{n}'\nlimits = {{ l0 = '9000/s', l999 = '1/s' }}\n")
    });
    let text = format!("version = 1\nalways = [{names}]\n{limits}{tiers}{routes}{subjects}");
    let policy = Policy::from_toml(&text).expect("a large policy");
    assert_eq!(policy.warnings().len(), 200);
    let twice = format!("version = 1\nalways = [{}]\n{limits}", "'l1',".repeat(100_000));
    let error = Policy::from_toml(&twice).expect_err("a name many times");
    assert_eq!(error.problems().len() + error.more(), 99_999);
    let methods = many(10_000, &|n| format!("'M{n}',"));
    let route = format!("[[routes]]\npath = '/a'\nmethod = [{methods}]\n");
    let error = Policy::from_toml(&format!("version = 1\n{}", route.repeat(20)))
        .expect_err("more methods than there are");
    assert!(error.to_string().contains("at most 100"), "{error}");
}
