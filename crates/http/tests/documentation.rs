//! The pages of documentation: their policies are policies, and the tests that they name are there.

use std::fs;
use std::path::Path;

use tollgate_http::Policy;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each block of TOML in the README and in the guide is a policy, or a part of one that needs no
/// other part.
#[test]
fn every_policy_can_be_read() {
    let mut seen = 0;
    for name in ["README.md", "docs/guide.md"] {
        let page = page(name);
        for block in page.split("\n```toml\n").skip(1) {
            let block = block.split("\n```").next().expect("a block ends");
            let version = if block.starts_with("version") { "" } else { "version = 1\n" };
            let policy = format!("{version}{block}").parse::<Policy>();
            let policy = policy.unwrap_or_else(|error| panic!("{name}:\n{block}\n{error}"));
            // Only the application says who has some of the tiers.
            let mut warnings = policy.warnings().iter();
            assert!(warnings.all(|warning| warning.code().as_str() == "unused-tier"), "{block}");
            seen += 1;
        }
    }
    assert!(seen >= 7, "only {seen} policies found: does this test still read them?");
}

/// Each test and each case that `docs/mistakes.md` names is there.
#[test]
fn every_test_that_is_named_is_there() {
    let page = page("docs/mistakes.md");
    let cases = self::page("tests/data/cases.json");
    let (mut tests, mut named_cases) = (0, 0);
    for item in page.split("\n* ").skip(1) {
        let shown = item.split("**Test:**").nth(1);
        let shown = shown.unwrap_or_else(|| panic!("no test is named: {item}"));
        let words: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!words.is_empty(), "no test is named: {item}");
        let mut text = None;
        for word in words {
            if Path::new(word).extension().is_some_and(|extension| extension == "rs") {
                text = file(word);
            } else if word.contains('-') {
                assert!(cases.contains(&format!("\"id\": \"{word}\"")), "no case `{word}`");
                named_cases += 1;
            } else if let Some(text) = &text {
                assert!(text.contains(&format!("fn {word}(")), "no test `{word}`: {shown}");
                tests += 1;
            }
        }
    }
    assert!(tests >= 20 && named_cases >= 10, "only {tests} tests and {named_cases} cases named");
}

/// The text of a file with tests. `None` if it is one of the tests over the network and this is a
/// package without them.
fn file(name: &str) -> Option<String> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let network = own.join("../http-network-tests");
    let path = match name.strip_prefix("crates/http-network-tests/") {
        Some(_) if !network.exists() => return None,
        Some(rest) => network.join(rest),
        None => own.join(name),
    };
    Some(fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Each rule that a comment of the code or of a test names is in `docs/rules.md`.
#[test]
fn every_rule_that_is_named_is_there() {
    let rules = page("docs/rules.md");
    let mut seen = 0;
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&file).expect("a file");
        for named in text.split("rule ").skip(1) {
            let rule: String = named.chars().take_while(char::is_ascii_alphanumeric).collect();
            let is_rule = rule.starts_with(['P', 'L', 'F', 'A'])
                && rule.len() > 1
                && rule.bytes().skip(1).all(|byte| byte.is_ascii_digit());
            if is_rule {
                assert!(rules.contains(&format!("\n* **{rule}** ")), "{}: {rule}", file.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 10, "only {seen} rules found: does this test still read them?");
}

/// All files below `folder`.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
