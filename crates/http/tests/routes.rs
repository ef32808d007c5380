//! Routes of large policies: which one a path takes does not depend on how many others there are.

use proptest::prelude::*;
use tollgate_http::{Facts, HttpLimiter, Policy};

/// Patterns of paths, and the paths that they are asked about.
const WORDS: [&str; 6] = ["a", "b", "c", "{x}", "%2F", ""];

fn pattern() -> impl Strategy<Value = String> {
    (prop::collection::vec(0..WORDS.len(), 0..4), any::<bool>()).prop_map(|(words, rest)| {
        let names = ["{p}", "{q}", "{r}", "{s}"];
        let segments = words.iter().enumerate().map(|(at, word)| match WORDS[*word] {
            "{x}" => names[at],
            word => word,
        });
        let path: String = segments.flat_map(|segment| ["/", segment]).collect();
        if rest {
            format!("{path}/{{*rest}}")
        } else if path.is_empty() {
            "/".into()
        } else {
            path
        }
    })
}

fn limiter(patterns: &[String]) -> Option<HttpLimiter> {
    let routes = patterns.iter().enumerate();
    let routes: Vec<String> = routes
        .map(|(at, path)| format!("[[routes]]\nname = \"r{at}\"\npath = \"{path}\"\n"))
        .collect();
    let policy: Policy = format!("version = 1\n{}", routes.concat()).parse().ok()?;
    HttpLimiter::new(policy).ok()
}

fn route(limiter: &HttpLimiter, path: &str) -> Option<String> {
    let explained = limiter.explain(&Facts::new("GET", path)).expect("memory answers at once");
    explained.route().map(str::to_owned)
}

proptest! {
    /// Some patterns beside many that no path of the test takes, and alone.
    #[test]
    fn others_change_nothing(
        patterns in prop::collection::vec(pattern(), 1..5),
        path in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d", "%2F"]), 0..4),
    ) {
        let few = limiter(&patterns);
        let others = (0..20).map(|number| format!("/other{number}"));
        let many: Vec<String> = patterns.iter().cloned().chain(others).collect();
        let many = limiter(&many);
        // Behind a pattern for everything, the others would never be reached, which is an error.
        prop_assume!(few.is_some() && many.is_some());
        let (few, many) = (few.expect("assumed"), many.expect("assumed"));
        let path = format!("/{}", path.join("/"));
        prop_assert_eq!(route(&few, &path), route(&many, &path));
    }
}

#[test]
fn the_first_of_many_routes_wins() {
    let mut patterns: Vec<String> =
        (0..100).map(|number| format!("/v1/part{number}/{{id}}")).collect();
    patterns.insert(50, "/v1/{any}/special".to_owned());
    let limiter = limiter(&patterns).expect("a policy");
    assert_eq!(route(&limiter, "/v1/part3/special").as_deref(), Some("r3"));
    assert_eq!(route(&limiter, "/v1/part80/special").as_deref(), Some("r50"));
    assert_eq!(route(&limiter, "/v1/part80/7").as_deref(), Some("r81"));
    assert_eq!(route(&limiter, "/v1/nobody/special").as_deref(), Some("r50"));
    assert_eq!(route(&limiter, "/v1/nobody/7"), None);
    assert_eq!(route(&limiter, "/"), None);
}
