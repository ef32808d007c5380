//! The layers of ARCHITECTURE.md: each module of `src/` imports only from those below its own.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules, lowest layer first. Modules of one layer do not know each other.
const LAYERS: &[&[&str]] = &[
    &["net", "replay", "envoy_files"],
    &["web", "settings"],
    &["service", "admin", "envoy"],
    &["run"],
    &["cli"],
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
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

fn layer(module: &str) -> usize {
    let found = LAYERS.iter().position(|layer| layer.contains(&module));
    found.unwrap_or_else(|| panic!("`{module}` belongs to no layer: add it to LAYERS"))
}

/// The modules that the code of a file names after `crate::`.
fn imports(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("the file can be read");
    let code: Vec<&str> =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    assert!(!code.contains("crate::{"), "{}: write one `use` for each module", file.display());
    let end = |letter: char| !letter.is_alphanumeric() && letter != '_';
    let after = code.split("crate::").skip(1);
    after.filter_map(|path| path.split(end).next()).map(str::to_owned).collect()
}

#[test]
fn each_module_knows_only_those_below_it() {
    let mut seen = 0;
    for file in files(&source()) {
        let inside = file.strip_prefix(source()).expect("a file of the crate");
        let first = inside.components().next().expect("a name").as_os_str();
        let module = first.to_str().expect("text").trim_end_matches(".rs");
        if matches!(module, "lib" | "main") {
            continue;
        }
        for other in imports(&file) {
            let may = other == module || layer(&other) < layer(module);
            assert!(may, "{}: `{module}` must not know `{other}`", inside.display());
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} imports found: does this test still read them?");
}
