//! The layers of ARCHITECTURE.md: each module of `src/` imports only from those below its own.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules, lowest layer first. Modules of one layer do not know each other.
const LAYERS: &[&[&str]] = &[&["address"], &["policy"], &["respond"], &["engine"], &["layer"]];

/// The modules that know no other, and that none knows.
const ALONE: &[&str] = &["client", "llm"];

/// The module with what those two have in common: a type alias.
const COMMON: &str = "box_error";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn source() -> PathBuf {
    root().join("src")
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

/// The layer of a module; `None` if the module stands alone.
fn layer(module: &str) -> Option<usize> {
    if ALONE.contains(&module) || module == COMMON {
        return None;
    }
    let found = LAYERS.iter().position(|layer| layer.contains(&module));
    assert!(found.is_some(), "`{module}` belongs to no layer: add it to LAYERS");
    found
}

/// Whether `module` may import from `other`.
fn may_know(module: &str, other: &str) -> bool {
    let is_below = match (layer(other), layer(module)) {
        (Some(other), Some(own)) => other < own,
        _ => false,
    };
    let is_common = other == COMMON && ALONE.contains(&module);
    other == module || is_below || is_common
}

/// The code of a file without comments and unit tests.
fn code(path: &Path) -> String {
    let text = read(path);
    let code = text.split("\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The module that each name of the crate's root comes from.
fn names() -> HashMap<String, String> {
    let mut names = HashMap::new();
    for export in code(&source().join("lib.rs")).split("pub use ").skip(1) {
        let (export, _) = export.split_once(';').expect("an export ends");
        let (module, exported) = export.split_once("::").expect("an export of a module");
        for name in exported.trim_matches(['{', '}']).split(',') {
            names.insert(name.trim().to_owned(), module.to_owned());
        }
    }
    names
}

/// What follows each `crate::` in the code of a file that is so many modules deep.
fn imports(code: &str, depth: usize) -> Vec<String> {
    // Imports that this test would not follow.
    let to_root = "super::".repeat(depth);
    for import in [to_root.as_str(), "crate::*"] {
        assert!(!code.contains(import), "write `{import}` as `crate::module::...`");
    }
    let mut found = Vec::new();
    for path in code.split("crate::").skip(1) {
        let list = path.strip_prefix('{').and_then(|list| list.split_once('}'));
        let names = list.map_or_else(|| vec![path], |(list, _)| list.split(',').collect());
        for name in names {
            assert!(!name.contains('{') || list.is_none(), "write one `use` for each module");
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
fn each_module_knows_only_those_below_it() {
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
        for name in imports(&code(&file), depth) {
            let other = names.get(&name).map_or(name.as_str(), String::as_str);
            let may = may_know(module, other);
            assert!(may, "{}: `{module}` must not know `{other}`", inside.display());
            seen += 1;
        }
    }
    assert!(seen > 150, "only {seen} imports found: does this test still read them?");
}

/// The rule itself: what it forbids.
#[test]
fn a_lower_module_must_not_know_a_higher_one() {
    assert!(may_know("layer", "engine") && may_know("engine", "respond"));
    for (module, other) in [
        ("policy", "engine"),
        ("address", "policy"),
        ("respond", "engine"),
        ("engine", "layer"),
        ("engine", "layer"),
        ("client", "address"),
        ("layer", "client"),
        ("llm", "client"),
        ("client", "llm"),
        ("box_error", "client"),
        ("engine", "box_error"),
    ] {
        assert!(!may_know(module, other), "`{module}` must not know `{other}`");
    }
}

/// The picture in ARCHITECTURE.md names every module.
#[test]
fn the_picture_is_complete() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let is_in_it = |module: &str| {
        text.contains(&format!("\n {module}/")) || text.contains(&format!("\n {module}.rs "))
    };
    for module in LAYERS.iter().copied().flatten().chain(ALONE) {
        assert!(is_in_it(module), "ARCHITECTURE.md: `{module}`");
    }
    for folder in fs::read_dir(source()).expect("a folder").map(|entry| entry.expect("an entry")) {
        let name = folder.file_name().into_string().expect("text");
        let module = name.trim_end_matches(".rs");
        assert!(module == "lib" || is_in_it(module), "no layer: `{module}`");
    }
}

/// The files and folders that ARCHITECTURE.md speaks of are there.
#[test]
fn every_file_that_is_named_is_there() {
    let all = files(&source()).into_iter().chain(files(&root().join("tests")));
    let all: Vec<String> = all.map(|path| path.display().to_string()).collect();
    let text = read(&root().join("ARCHITECTURE.md"));
    let end = |letter: char| letter.is_whitespace() || "`(),;:".contains(letter);
    let mut seen = 0;
    for word in text.split(end) {
        let is_file = Path::new(word).extension().is_some_and(|extension| extension == "rs");
        let is_folder = word.ends_with('/') && !word.contains("..") && word.len() > 1;
        let name = format!("/{}", word.trim_start_matches('/'));
        if is_file {
            assert!(all.iter().any(|path| path.ends_with(&name)), "no file `{word}`");
        } else if is_folder && !["docs/", "fuzz/", "tests/"].contains(&word) {
            assert!(all.iter().any(|path| path.contains(&name)), "no folder `{word}`");
        }
        seen += usize::from(is_file || is_folder);
    }
    assert!(seen > 30, "only {seen} names found: does this test still read them?");
}
