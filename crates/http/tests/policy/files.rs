//! Policies in files.

use std::path::PathBuf;

use tollgate_http::policy::{LoadError, Policy};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/policies").join(name)
}

#[test]
fn the_end_of_the_name_says_the_format() {
    let policy = Policy::from_path(data("sample.toml")).expect("a policy");
    #[cfg(feature = "yaml")]
    assert_eq!(Policy::from_path(data("sample.yaml")).expect("a policy"), policy);
    #[cfg(feature = "json")]
    assert_eq!(Policy::from_path(data("sample.json")).expect("a policy"), policy);
    assert!(policy.warnings().is_empty(), "the sample is one to copy");
}

#[test]
fn warnings_name_the_file() {
    let path = std::env::temp_dir().join(format!("tollgate-{}-warnings.toml", std::process::id()));
    std::fs::write(&path, "version = 1\n[limits.calls]\nquota = \"1/s\"\n").expect("written");
    let policy = Policy::from_path(&path);
    std::fs::remove_file(&path).expect("removed");
    let policy = policy.expect("a policy");
    let warnings: Vec<_> = policy.warnings().iter().map(|warning| warning.source_name()).collect();
    assert_eq!(warnings, [path.display().to_string()]);
}

#[test]
fn an_unknown_format_is_an_error_of_its_own() {
    let error = Policy::from_path(data("bad.txt")).expect_err("no policy");
    assert!(matches!(&error, LoadError::UnknownFormat { path, .. } if path.ends_with("bad.txt")));
    assert!(error.to_string().contains(".toml"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_an_error_of_its_own() {
    let error = Policy::from_path(data("none.toml")).expect_err("no policy");
    let LoadError::Unreadable { path, error } = error else { panic!("another error: {error}") };
    assert_eq!(path, data("none.toml"));
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    assert!(matches!(Policy::from_path(folder), Err(LoadError::UnknownFormat { .. })));
}
