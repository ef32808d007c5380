//! The page on what can be wrong, `src/policy/codes.md`: a policy for each code, what is told of
//! it, and the same policy set right. `UPDATE=1` in the environment writes the page anew.

use std::fmt::Write as _;

use tollgate_http::policy::{Code, Policy, Problem};

const PAGE: &str = include_str!("../../src/policy/codes.md");

/// A policy with one problem, and what to replace in it by what.
struct Example {
    code: Code,
    policy: &'static str,
    wrong: &'static str,
    right: &'static str,
}

const fn example(
    code: Code,
    policy: &'static str,
    wrong: &'static str,
    right: &'static str,
) -> Example {
    Example { code, policy, wrong, right }
}

const LIMIT: &str = "version = 1\n[limits.calls]\n@\n[[routes]]\npath = '/'\nlimits = ['calls']\n";
const QUOTA: &str = "version = 1\n[limits.calls]\nquota = '10/min'\n@\n[[routes]]\npath = '/'\n\
                     limits = ['calls']\n";
const ROUTE: &str = "version = 1\n[limits.calls]\nquota = '10/min'\n[tiers.free]\ncalls = '5/min'\n\
                     [[subjects]]\nuser = 'alice'\ntier = 'free'\n[[routes]]\n@\n";
const FIRST: &str = "@\n";
const CLIENT: &str = "version = 1\n[client]\n@\n";
const SUBJECT: &str = "version = 1\n[tiers.free]\n[[subjects]]\n@\n";
const ROUTES: &str = "version = 1\n@\n";

const ERRORS: &[Example] = &[
    example(Code::Syntax, FIRST, "version 1", "version = 1"),
    example(Code::BadVersion, FIRST, "version = 2", "version = 1"),
    example(Code::UnknownKey, QUOTA, "algoritm = \"strict\"", "algorithm = \"strict\""),
    example(
        Code::UnknownLimit,
        ROUTE,
        "path = \"/\"\nlimits = [\"cals\"]",
        "path = \"/\"\nlimits = [\"calls\"]",
    ),
    example(
        Code::UnknownTier,
        SUBJECT,
        "user = \"alice\"\ntier = \"fre\"",
        "user = \"alice\"\ntier = \"free\"",
    ),
    example(
        Code::MissingValue,
        LIMIT,
        "key = \"address\"",
        "quota = \"10/min\"\nkey = \"address\"",
    ),
    example(Code::BadQuota, LIMIT, "quota = \"10 per minute\"", "quota = \"10/min\""),
    example(
        Code::CostOverBurst,
        ROUTE,
        "path = \"/\"\nlimits = [\"calls\"]\ncost = 8",
        "path = \"/\"\nlimits = [\"calls\"]\ncost = 5",
    ),
    example(
        Code::BadCost,
        ROUTE,
        "path = \"/\"\nlimits = [\"calls\"]\ncost = 0",
        "path = \"/\"\nlimits = [\"calls\"]\ncost = 1",
    ),
    example(Code::MissingUnset, QUOTA, "key = \"user\"", "key = \"user\"\nmissing = \"address\""),
    example(Code::BadStatus, QUOTA, "status = 500", "status = 503"),
    example(
        Code::BadAddress,
        SUBJECT,
        "address = \"example.com\"\nblocked = true",
        "address = \"203.0.113.7\"\nblocked = true",
    ),
    example(
        Code::HostBits,
        SUBJECT,
        "address = \"203.0.113.7/24\"\nblocked = true",
        "address = \"203.0.113.0/24\"\nblocked = true",
    ),
    example(
        Code::TrustsEverybody,
        CLIENT,
        "header = \"x-forwarded-for\"\ntrusted_proxies = [\"0.0.0.0/0\"]",
        "header = \"x-forwarded-for\"\ntrusted_proxies = [\"10.0.0.0/8\"]",
    ),
    example(
        Code::NobodyTrusted,
        CLIENT,
        "header = \"x-forwarded-for\"",
        "header = \"x-forwarded-for\"\ntrusted_hops = 1",
    ),
    example(
        Code::BothGiven,
        CLIENT,
        "header = \"forwarded\"\ntrusted_hops = 1\ntrusted_proxies = [\"10.0.0.0/8\"]",
        "header = \"forwarded\"\ntrusted_proxies = [\"10.0.0.0/8\"]",
    ),
    example(Code::BadPrefix, CLIENT, "ipv6_prefix = 24", "ipv6_prefix = 56"),
    example(Code::BadPath, ROUTES, "[[routes]]\npath = \"login\"", "[[routes]]\npath = \"/login\""),
    example(
        Code::BadMethod,
        ROUTES,
        "[[routes]]\npath = \"/\"\nmethod = \"post\"",
        "[[routes]]\npath = \"/\"\nmethod = \"POST\"",
    ),
    example(
        Code::UnreachableRoute,
        ROUTES,
        "[[routes]]\npath = \"/{*rest}\"\n[[routes]]\npath = \"/login\"",
        "[[routes]]\npath = \"/login\"\n[[routes]]\npath = \"/{*rest}\"",
    ),
    example(
        Code::DuplicateName,
        ROUTES,
        "[[routes]]\nname = \"a\"\npath = \"/a\"\n[[routes]]\nname = \"a\"\npath = \"/b\"",
        "[[routes]]\nname = \"a\"\npath = \"/a\"\n[[routes]]\nname = \"b\"\npath = \"/b\"",
    ),
    example(
        Code::DuplicateSubject,
        SUBJECT,
        "user = \"bob\"\nexempt = true\n[[subjects]]\nuser = \"bob\"\ntier = \"free\"",
        "user = \"bob\"\ntier = \"free\"",
    ),
    example(
        Code::Contradiction,
        SUBJECT,
        "user = \"bob\"\nexempt = true\nblocked = true",
        "user = \"bob\"\nblocked = true",
    ),
    example(
        Code::RawApiKey,
        SUBJECT,
        "api_key = \"s3cret\"\nexempt = true",
        "api_key = \"sha256:1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0\"\n\
         exempt = true",
    ),
    example(Code::BadValue, QUOTA, "key = \"ip\"", "key = \"address\""),
];

const WARNINGS: &[Example] = &[
    example(
        Code::UnusedLimit,
        "version = 1\n@\n[limits.calls]\nquota = '10/min'\n",
        "always = []",
        "always = [\"calls\"]",
    ),
    example(
        Code::UnusedTier,
        "version = 1\n@\n[tiers.free]\n",
        "mode = \"enforce\"",
        "default_tier = \"free\"",
    ),
    example(
        Code::UnusedSetting,
        QUOTA,
        "max_keys = 1000",
        "key = \"user\"\nmissing = \"skip\"\n\
         max_keys = 1000",
    ),
    example(
        Code::RedundantLimit,
        "version = 1\n[limits.calls]\nquota = '5/s'\n[limits.flood]\n@\n[[routes]]\npath = '/'\n\
         limits = ['calls', 'flood']\n",
        "quota = \"20/s\"",
        "quota = \"20/min\"",
    ),
    example(
        Code::UnknownMethod,
        ROUTES,
        "[[routes]]\npath = \"/\"\nmethod = \"GETT\"",
        "[[routes]]\npath = \"/\"\nmethod = \"GET\"",
    ),
];

/// The only problem of a policy.
fn only(example: &Example, problems: &[Problem]) -> Problem {
    let code = example.code;
    let [problem] = problems else { panic!("{code}: not one problem but {problems:?}") };
    assert_eq!(problem.code(), code, "{problem}");
    problem.clone()
}

fn page() -> String {
    let mut page = String::from(
        "\nFor each code: what is wrong, what is told of it, and the same set right. The other lines\n\
         of the policies are left out.\n",
    );
    for example in ERRORS {
        let wrong = Policy::from_toml(&example.policy.replace('@', example.wrong));
        let error = wrong.expect_err(example.code.as_str());
        describe(&mut page, example, &only(example, error.problems()));
    }
    page.push_str("\nA policy is good in spite of these warnings:\n");
    for example in WARNINGS {
        let policy = Policy::from_toml(&example.policy.replace('@', example.wrong));
        let policy = policy.unwrap_or_else(|error| panic!("{error}"));
        describe(&mut page, example, &only(example, policy.warnings()));
    }
    page
}

/// Checks that the policy that was set right is right, and describes both.
fn describe(page: &mut String, example: &Example, problem: &Problem) {
    let right = example.policy.replace('@', example.right);
    let policy = right.parse::<Policy>().unwrap_or_else(|error| panic!("{right}: {error}"));
    assert!(policy.warnings().iter().all(|warning| warning.code() != example.code), "{right}");
    let (code, told) = (example.code, wrapped(problem.message()));
    let _ = writeln!(page, "\n**`{code}`**\n\n```toml\n# wrong\n{}\n```\n", example.wrong);
    let _ = writeln!(page, "{told}\n\n```toml\n# right\n{}\n```", example.right);
}

/// A quotation with lines of at most 99 characters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::from(">")];
    // A code in backticks is not broken.
    let mut in_code = false;
    let mut words = vec![String::new()];
    for letter in text.chars() {
        in_code ^= letter == '`';
        match words.last_mut() {
            Some(word) if letter != ' ' || in_code => word.push(letter),
            _ => words.push(String::new()),
        }
    }
    for word in words {
        if lines.last().is_some_and(|line| line.len() + word.len() > 98) {
            lines.push(String::from(">"));
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(&word);
        }
    }
    lines.join("\n")
}

#[test]
fn the_page_shows_what_is_told() {
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/policy/codes.md");
        std::fs::write(path, &page).expect("the page can be written");
        return;
    }
    assert!(page == PAGE, "codes.md is out of date: run this test with UPDATE=1");
}

/// Each code is on the page: the word of each variant in the file that defines them.
#[test]
fn every_code_is_on_the_page() {
    let source = include_str!("../../src/policy/code.rs");
    let list = source.split("codes! {").nth(1).and_then(|list| list.split("\n}").next());
    let words = list.expect("the list of codes").split(" = \"").skip(1);
    let words: Vec<&str> = words.filter_map(|rest| rest.split('"').next()).collect();
    assert!(words.len() >= 30, "only {words:?}");
    assert_eq!(words.len(), ERRORS.len() + WARNINGS.len());
    for word in words {
        assert!(PAGE.contains(&format!("\n**`{word}`**\n")), "{word}");
    }
}
