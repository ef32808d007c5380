//! The layers of ARCHITECTURE.md: each folder of `src/` imports only from the layers below its own.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules at the root, lowest layer first. Modules of one layer do not know each other, but
/// for those of [`TOGETHER`].
const LAYERS: &[&[&str]] = &[
    &["time", "error", "events", "sync", "wakers"],
    &["quota"],
    &["algorithm"],
    &["answer"],
    &["clock"],
    &["wait", "rate_limiter"],
    &["charges", "stream"],
    &["limiters"],
    &["keyed", "llm"],
    &["shared"],
    &["shared_llm"],
    &["serde_forms"],
];

/// The methods of the trait return waits, and a wait without a queue asks the trait again.
const TOGETHER: &[&str] = &["wait", "rate_limiter"];

/// The aliases that `lib.rs` itself defines.
const ALIASES: &[(&str, &str)] = &[
    ("TokenBucket", "limiters"),
    ("IntervalTokenBucket", "limiters"),
    ("FixedWindowLimiter", "limiters"),
    ("SlidingWindowLimiter", "limiters"),
    ("StrictLimiter", "limiters"),
    ("KeyedLimiter", "keyed"),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
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

/// The layer of a module.
fn layer(module: &str) -> usize {
    let found = LAYERS.iter().position(|layer| layer.contains(&module));
    found.unwrap_or_else(|| panic!("`{module}` belongs to no layer: add it to LAYERS"))
}

/// The module that each name of the crate's root comes from.
fn names() -> HashMap<String, String> {
    let text = read(&source().join("lib.rs"));
    let mut names: HashMap<String, String> =
        ALIASES.iter().map(|(name, module)| ((*name).into(), (*module).into())).collect();
    for export in text.split("pub use ").skip(1) {
        let (export, _) = export.split_once(';').expect("an export ends");
        let (module, exported) = export.split_once("::").expect("an export of a module");
        for name in exported.trim_matches(['{', '}']).split(',') {
            names.insert(name.trim().into(), module.into());
        }
    }
    names
}

/// What follows each `crate::` in code, outside of comments and unit tests, in a file so many
/// modules deep.
fn imports(text: &str, depth: usize) -> Vec<String> {
    let code = text.split("\nmod tests {").next().unwrap_or_default();
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    // Imports that this test would not follow.
    let to_root = "super::".repeat(depth);
    for import in [to_root.as_str(), "crate::*", "crate::{error::{"] {
        assert!(!code.contains(import), "write `{import}` as `crate::module::...`");
    }
    let mut found = Vec::new();
    for path in code.split("crate::").skip(1) {
        let list = path.strip_prefix('{').and_then(|list| list.split_once('}'));
        let names = list.map_or_else(|| vec![path], |(list, _)| list.split(',').collect());
        for name in names {
            let end = |letter: char| !letter.is_alphanumeric() && letter != '_';
            let name = name.trim().split(end).next().unwrap_or_default();
            if !name.is_empty() {
                found.push(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn each_layer_knows_only_those_below_it() {
    let names = names();
    let mut seen = 0;
    for file in files(&source()) {
        let inside = file.strip_prefix(source()).expect("a file of the crate");
        let first = inside.components().next().expect("a name").as_os_str();
        let module = first.to_str().expect("text").trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        // How many modules deep the file is; `mod.rs` is its folder.
        let depth = inside.components().count() - usize::from(inside.ends_with("mod.rs"));
        for name in imports(&read(&file), depth) {
            let other = names.get(&name).map_or(name.as_str(), String::as_str);
            let together = TOGETHER.contains(&module) && TOGETHER.contains(&other);
            let is_below = other == module || together || layer(other) < layer(module);
            assert!(is_below, "{}: `{module}` must not know `{other}`", inside.display());
            seen += 1;
        }
    }
    assert!(seen > 300, "only {seen} imports found: does this test still read them?");
}

/// The picture in ARCHITECTURE.md names every module.
#[test]
fn the_picture_is_complete() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = read(&root.join("ARCHITECTURE.md"));
    for module in LAYERS.iter().copied().flatten() {
        let named = [format!(" {module}/"), format!(" {module}.rs")];
        assert!(named.iter().any(|name| text.contains(name)), "ARCHITECTURE.md: `{module}`");
    }
}

/// The files that ARCHITECTURE.md speaks of are there.
#[test]
fn every_file_that_is_named_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all = files(&source()).into_iter().chain(files(&root.join("tests")));
    let all: Vec<String> = all.map(|path| path.display().to_string()).collect();
    for name in read(&root.join("ARCHITECTURE.md")).split('`').filter(|name| {
        Path::new(name).extension().is_some_and(|extension| extension == "rs")
            && !name.contains(' ')
    }) {
        assert!(all.iter().any(|path| path.ends_with(&format!("/{name}"))), "no file `{name}`");
    }
}
