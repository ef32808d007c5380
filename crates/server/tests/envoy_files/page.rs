//! The page `docs/from-ratelimit.md`: its example is what is printed, and it names all keys.

use crate::policy;

const PAGE: &str = include_str!("../../docs/from-ratelimit.md");

/// The last block of a language on the page.
fn block(language: &str) -> &'static str {
    let (_, rest) = PAGE.rsplit_once(&format!("\n```{language}\n")).expect("a block");
    rest.split("```\n").next().expect("its end")
}

#[test]
fn the_example_is_what_is_printed() {
    assert_eq!(policy(block("yaml")).unwrap().to_string(), block("toml"));
}

#[test]
fn all_keys_are_named() {
    let source = include_str!("../../src/envoy_files/table.rs");
    let list =
        source.split("const KEYS: &[&str] = &[").nth(1).and_then(|rest| rest.split(']').next());
    let keys: Vec<&str> = list.expect("the list of keys").split('"').skip(1).step_by(2).collect();
    assert_eq!(keys.len(), 16);
    let (_, table) = PAGE.split_once("## All keys").expect("the table");
    for key in keys {
        let is_there = table.lines().any(|line| {
            line.starts_with("| `")
                && line.split(" | ").next().unwrap().contains(&format!("`{key}`"))
        });
        assert!(is_there, "{key}");
    }
}
