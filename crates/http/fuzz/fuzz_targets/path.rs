//! Any path takes the route that a plain reference finds, or is ambiguous.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tollgate_http::{Facts, HttpLimiter, Outcome, Policy};

const POLICY: &str = r#"
version = 1
[[routes]]
path = "/login"
[[routes]]
path = "/a/{x}/b"
[[routes]]
path = "/a/%2F/{*rest}"
[[routes]]
path = "/a/{*rest}"
"#;

/// The routes, by what they ask of the segments; `None` is any one segment.
type Pattern = (&'static str, &'static [Option<&'static [u8]>], bool);

const PATTERNS: &[Pattern] = &[
    ("/login", &[Some(b"login")], false),
    ("/a/{x}/b", &[Some(b"a"), None, Some(b"b")], false),
    ("/a/%2F/{*rest}", &[Some(b"a"), Some(b"/")], true),
    ("/a/{*rest}", &[Some(b"a")], true),
];

fn segments(path: &str) -> Vec<Vec<u8>> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.split('/').filter(|segment| !segment.is_empty()).map(|segment| decoded(segment.as_bytes())).collect()
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::new();
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, tail @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                decoded.push(hex(*high).unwrap_or(0) * 16 + hex(*low).unwrap_or(0));
                rest = tail;
            }
            _ => decoded.push(*byte),
        }
    }
    decoded
}

fn route(segments: &[Vec<u8>]) -> Option<&'static str> {
    let matches = |(_, pattern, rest): &&Pattern| {
        (segments.len() == pattern.len() || *rest && segments.len() > pattern.len())
            && pattern.iter().zip(segments).all(|(pattern, segment)| pattern.is_none_or(|is| is == segment))
    };
    PATTERNS.iter().find(matches).map(|(name, ..)| *name)
}

fn resolved(segments: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut resolved: Vec<Vec<u8>> = Vec::new();
    for segment in segments {
        match &segment[..] {
            b"." => {}
            b".." => drop(resolved.pop()),
            _ => resolved.push(segment.clone()),
        }
    }
    resolved
}

fuzz_target!(|path: &str| {
    static LIMITER: OnceLock<HttpLimiter> = OnceLock::new();
    let limiter = LIMITER.get_or_init(|| {
        let policy: Policy = POLICY.parse().expect("a policy");
        HttpLimiter::new(&policy).expect("memory keeps any policy")
    });
    let explained = limiter.explain(&Facts::new("GET", path)).expect("memory answers at once");
    let (plain, resolved) = (segments(path), resolved(&segments(path)));
    if route(&plain) == route(&resolved) {
        assert_eq!(explained.route(), route(&plain));
        assert_ne!(explained.outcome(), Outcome::Ambiguous);
    } else {
        assert_eq!(explained.outcome(), Outcome::Ambiguous);
    }
});
