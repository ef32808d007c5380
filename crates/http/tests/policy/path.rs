//! Patterns of paths.

use tollgate_http::policy::PathPattern;

fn pattern(text: &str) -> PathPattern {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Whether two patterns match the same paths.
fn same(a: &str, b: &str) -> bool {
    let (a, b) = (pattern(a), pattern(b));
    a.covers(&b) && b.covers(&a)
}

#[test]
fn spellings_of_the_same_pattern() {
    for (a, b) in [
        ("/", "//"),
        ("/a/b", "//a///b/"),
        ("/a", "/%61"),
        ("/%C3%A4", "/ä"),
        ("/{id}", "/{other}"),
        ("/a/{*rest}", "/a/{*all}/"),
        ("/:id".replace(':', "%3A").as_str(), "/%3aid"),
        ("/*".replace('*', "%2A").as_str(), "/%2a"),
    ] {
        assert!(same(a, b), "{a} and {b}");
        assert_eq!(pattern(a).to_string(), a);
    }
}

#[test]
fn different_patterns() {
    for (a, b) in [
        ("/a", "/A"),
        ("/a/b", "/a%2Fb"),
        ("/a%2Fb", "/a%252Fb"),
        ("/{id}", "/%7Bid%7D"),
        ("/a", "/a/{*rest}"),
        ("/{id}", "/{*rest}"),
        ("/a b", "/a+b"),
    ] {
        assert!(!same(a, b), "{a} and {b}");
    }
}

#[test]
fn dots_that_are_resolved_are_refused_and_others_are_not() {
    for resolved in ["/.", "/a/..", "/%2e", "/.%2E/a", "/%2e%2e"] {
        assert!(resolved.parse::<PathPattern>().is_err(), "{resolved}");
    }
    for literal in ["/...", "/.well-known", "/a..b", "/%252e"] {
        pattern(literal);
    }
}

#[test]
fn a_pattern_has_at_most_a_hundred_segments() {
    pattern(&"/a".repeat(100));
    assert!("/a".repeat(101).parse::<PathPattern>().is_err());
}

/// Compares `covers` with its meaning, for all patterns of up to two segments out of `a`, `b` and
/// `{x}`, on all paths of up to four segments out of `a`, `b` and `c`.
#[test]
fn a_pattern_covers_another_if_it_matches_all_of_its_paths() {
    let lists = |parts: [&'static str; 3], longest: usize| {
        let mut all: Vec<Vec<&str>> = vec![Vec::new()];
        let mut last = all.clone();
        for _ in 0..longest {
            let longer = |list: &Vec<&'static str>| {
                parts.map(|part| list.iter().copied().chain([part]).collect::<Vec<_>>())
            };
            last = last.iter().flat_map(longer).collect();
            all.extend(last.clone());
        }
        all
    };
    let paths = lists(["a", "b", "c"], 4);
    let patterns: Vec<(Vec<&str>, bool)> = lists(["a", "b", "{x}"], 2)
        .into_iter()
        .flat_map(|parts| [(parts.clone(), false), (parts, true)])
        .collect();
    let matches = |(parts, rest): &(Vec<&str>, bool), path: &[&str]| {
        (path.len() == parts.len() || (*rest && path.len() > parts.len()))
            && parts.iter().zip(path).all(|(part, segment)| *part == "{x}" || part == segment)
    };
    let text = |(parts, rest): &(Vec<&str>, bool)| {
        let rest = if *rest { "/{*rest}" } else { "" };
        format!("/{}{rest}", parts.join("/"))
    };
    for a in &patterns {
        for b in &patterns {
            let covers = paths.iter().all(|path| !matches(b, path) || matches(a, path));
            let (a, b) = (text(a), text(b));
            assert_eq!(pattern(&a).covers(&pattern(&b)), covers, "{a} and {b}");
        }
    }
}
