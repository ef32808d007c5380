//! Limits and rules that other files add to a policy.

use tollgate_http::Quota;
use tollgate_http::policy::{
    Additions, Code, DescriptorRule, Format, Limit, Place, Policy, PolicyError, SettingsReader,
};

fn place(line: u32) -> Place {
    Place::File { name: "edge.yaml".into(), line, column: 1 }
}

/// A limit, a rule that uses it, and a warning.
fn additions() -> Additions {
    let mut additions = Additions::default();
    additions.limit(&place(1), Limit::new("more", Quota::per_minute(10)));
    additions.descriptor(&place(2), DescriptorRule::new("edge").entry("user").limits(["more"]));
    additions.warning(&place(3), Code::UnusedSetting, "it has no effect");
    additions
}

fn parse(text: &str, additions: Additions) -> Result<Policy, PolicyError> {
    let read = |_: Option<SettingsReader<'_>>| ((), additions);
    Policy::parse_with_additions(Format::Toml, text, "a.toml", &[], read).map(|(policy, ())| policy)
}

fn told(text: &str, additions: Additions) -> String {
    parse(text, additions).expect_err("an error").to_string()
}

#[test]
fn the_policy_has_what_its_file_and_the_others_say() {
    let own = "[limits.own]\nquota = '1/s'\n[[descriptors]]\ndomain = 'own'\nentries = ['a']\n\
               limits = ['own']\n";
    let added = "[limits.more]\nquota = '10/min'\n[[descriptors]]\ndomain = 'edge'\n\
                 entries = ['user']\nlimits = ['more']\n";
    for text in ["", own] {
        let policy = parse(&format!("version = 1\n{text}"), additions()).expect("a policy");
        let (limits, rules) = added.split_at(added.find("[[").expect("a rule"));
        let whole = match own.find("[[").filter(|_| !text.is_empty()) {
            Some(at) => format!("version = 1\n{}{limits}{}{rules}", &own[..at], &own[at..]),
            None => format!("version = 1\n{added}"),
        };
        assert_eq!(policy, whole.parse().expect("a policy"));
        let warnings: Vec<_> = policy.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(warnings, ["edge.yaml:3:1: it has no effect [unused-setting]"]);
    }
}

#[test]
fn problems_name_the_right_file() {
    let mut wrong = additions();
    wrong.limit(&place(4), Limit::new("More", Quota::per_minute(10)));
    wrong.error(&place(5), Code::BadValue, "it is wrong");
    let told = told("version = 2\n", wrong);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert!(lines[0].starts_with("a.toml:1:11: "), "{told}");
    assert!(lines[1].starts_with("edge.yaml:4:1: "), "{told}");
    assert_eq!(lines[2], "edge.yaml:5:1: it is wrong [bad-value]");
}

#[test]
fn a_file_with_other_mistakes_is_told_with_those_of_the_additions() {
    let mut wrong = additions();
    wrong.error(&place(5), Code::BadValue, "it is wrong");
    // Not TOML at all, no table of limits, and no list of rules.
    for (text, own) in [
        ("version 1", "a.toml:1:9: "),
        ("version = 1\nlimits = 5", "a.toml:2:10: "),
        ("version = 1\n[descriptors]\na = 1", "a.toml:2:1: "),
    ] {
        let told = told(text, wrong.clone());
        assert!(told.starts_with(own) || told.contains(&format!("\n{own}")), "{told}");
        assert!(told.ends_with("edge.yaml:5:1: it is wrong [bad-value]"), "{told}");
    }
}

#[test]
fn many_problems_are_counted() {
    let mut wrong = Additions::default();
    for line in 1..=500 {
        wrong.error(&place(line), Code::BadValue, "it is wrong");
    }
    let error = parse("version = 2", wrong).expect_err("an error");
    assert_eq!((error.problems().len(), error.more()), (200, 301));
    assert_eq!(error.problems()[1].source_name(), "edge.yaml");
}
