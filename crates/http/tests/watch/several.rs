//! A policy that is made of several files.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tollgate_http::policy::Format;
use tollgate_http::reload::{ReloadStatus, Watching};
use tollgate_http::{BuildError, HttpLimiter, Policy};

use crate::until::until;

/// Two files in folders of their own, whose texts in a row are the policy.
struct Two {
    limiter: HttpLimiter,
    first: PathBuf,
    second: PathBuf,
    /// Removes the folders at the end.
    _folders: [TempDir; 2],
}

fn limit(name: &str, number: u64) -> String {
    format!("[limits.{name}]\nquota = '{number}/min'\n")
}

/// The policy whose limits have these numbers.
fn policy(first: u64, second: u64) -> Policy {
    let text = format!("version = 1\n{}{}", limit("first", first), limit("second", second));
    text.parse().unwrap()
}

fn load(first: &Path, second: &Path) -> Result<Policy, BuildError> {
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let text = format!("version = 1\n{}{}", read(first), read(second));
    Ok(Policy::parse(Format::Toml, text, "both")?)
}

impl Two {
    fn new() -> Self {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [first, second] = folders.each_ref().map(|folder| folder.path().join("limits.txt"));
        fs::write(&first, limit("first", 1)).unwrap();
        fs::write(&second, limit("second", 1)).unwrap();
        let paths = [first.clone(), second.clone()];
        let builder = HttpLimiter::builder(policy(1, 1));
        let limiter =
            builder.watch_with(paths.clone(), move || load(&paths[0], &paths[1])).build().unwrap();
        let scene = Self { limiter, first, second, _folders: folders };
        let status = scene.until(|status| status.unchanged() > 0);
        assert_eq!((status.reloads(), status.watching()), (0, Watching::Events));
        scene
    }

    fn until(&self, is_there: impl Fn(&ReloadStatus) -> bool) -> ReloadStatus {
        until(|| self.limiter.reload_status(), is_there)
    }

    fn until_policy(&self, first: u64, second: u64) {
        let expected = policy(first, second);
        until(|| self.limiter.policy(), |in_force| *in_force == expected);
    }
}

/// Puts a file with the text in the place of another.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

#[test]
fn each_of_them_is_watched() {
    let scene = Two::new();
    replace(&scene.first, &limit("first", 2));
    scene.until_policy(2, 1);
    replace(&scene.second, &limit("second", 3));
    scene.until_policy(2, 3);
    let status = scene.limiter.reload_status();
    assert_eq!((status.reloads(), status.failures()), (2, 0));
}

#[test]
fn the_same_contents_are_not_loaded() {
    let scene = Two::new();
    let before = scene.limiter.reload_status().unchanged();
    replace(&scene.second, &limit("second", 1));
    let status = scene.until(|status| status.unchanged() > before);
    assert_eq!((status.reloads(), status.failures()), (0, 0));
}

#[test]
fn one_that_is_bad_or_gone_leaves_the_policy_in_force() {
    let scene = Two::new();
    replace(&scene.second, "[limits.SECOND]");
    let status = scene.until(|status| status.failures() == 1);
    assert!(status.last_error().unwrap().starts_with("both:"), "{status:?}");
    fs::remove_file(&scene.second).unwrap();
    let status = scene.until(|status| status.failures() == 2);
    let expected = format!("{}: the file can't be read", scene.second.display());
    assert!(status.last_error().unwrap().starts_with(&expected), "{status:?}");
    assert_eq!(scene.limiter.policy(), policy(1, 1));
    // The other one is still watched.
    replace(&scene.first, &limit("first", 2));
    scene.until(|status| status.failures() == 3);
    fs::write(&scene.second, limit("second", 2)).unwrap();
    scene.until_policy(2, 2);
    assert_eq!(scene.limiter.reload_status().last_error(), None);
}

#[test]
fn a_folder_that_is_not_there_leaves_the_other_one_watched() {
    let scene = Two::new();
    let folder = scene.first.parent().unwrap();
    fs::remove_dir_all(folder).unwrap();
    scene.until(|status| status.failures() == 1 && status.watching() == Watching::Polling);
    fs::create_dir(folder).unwrap();
    fs::write(&scene.first, limit("first", 4)).unwrap();
    scene.until_policy(4, 1);
    scene.until(|status| status.watching() == Watching::Events);
}
