//! The ways in which a file changes.

use std::fs::{self, File};
use std::io::Write;

use tollgate_http::reload::Watching;

use crate::{Scene, policy, rename_over, text};

#[test]
fn a_file_that_is_renamed_over_it() {
    let scene = Scene::new();
    for number in 2..5 {
        rename_over(&scene.path, number);
        scene.until_policy(number);
    }
    let status = scene.limiter.reload_status();
    assert_eq!((status.reloads(), status.failures()), (3, 0));
    assert_eq!(scene.limiter.policy(), policy(4));
}

#[test]
fn a_file_that_is_emptied_and_written_in_steps() {
    let scene = Scene::new();
    let text = text(2);
    let (first, second) = text.split_at(20);
    let mut file = File::create(&scene.path).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    file.sync_all().unwrap();
    file.write_all(second.as_bytes()).unwrap();
    drop(file);
    scene.until_policy(2);
}

#[test]
fn a_file_that_is_deleted_and_made_anew() {
    let scene = Scene::new();
    fs::remove_file(&scene.path).unwrap();
    fs::write(&scene.path, text(2)).unwrap();
    scene.until_policy(2);
    // Also if it stays away for long. That is told once.
    fs::remove_file(&scene.path).unwrap();
    let status = scene.until(|status| status.failures() > 0);
    assert!(status.last_error().unwrap().contains("can't be read"), "{status:?}");
    assert_eq!(scene.limiter.policy(), policy(2));
    fs::write(&scene.path, text(3)).unwrap();
    scene.until_policy(3);
}

#[test]
fn a_bad_file_is_told_once_and_a_good_one_is_taken() {
    let scene = Scene::new();
    let bad = text(2).replace("calls", "CALLS");
    rename_over_with(&scene, &bad);
    let status = scene.until(|status| status.failures() == 1);
    let error = status.last_error().unwrap();
    assert!(error.starts_with(&format!("{}:2:", scene.path.display())), "{error}");
    assert_eq!(scene.limiter.policy(), policy(1));
    // The same mistake once more is nothing new.
    let before = status.unchanged();
    rename_over_with(&scene, &bad);
    let status = scene.until(|status| status.unchanged() > before);
    assert_eq!((status.failures(), status.reloads()), (1, 0));
    assert!(status.last_error().is_some(), "the file is still bad");
    rename_over(&scene.path, 3);
    assert_eq!(scene.until_policy(3).failures(), 1);
}

fn rename_over_with(scene: &Scene, text: &str) {
    let new = scene.path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, &scene.path).unwrap();
}

#[test]
fn the_same_content_is_not_looked_at() {
    let scene = Scene::new();
    let before = scene.limiter.reload_status();
    rename_over(&scene.path, 1);
    let status = scene.until(|status| status.unchanged() > before.unchanged());
    assert_eq!((status.reloads(), status.failures()), (0, 0));
    assert_eq!(status.loaded_at(), before.loaded_at());
    // A comment is another content of the same policy.
    rename_over_with(&scene, &format!("# a comment\n{}", text(1)));
    let status = scene.until(|status| status.reloads() == 1);
    assert_eq!(status.policy_hash(), before.policy_hash());
}

#[test]
fn a_folder_that_is_deleted_and_made_anew() {
    let scene = Scene::new();
    let folder = scene.folder.path();
    fs::remove_dir_all(folder).unwrap();
    // It can't be watched now, which is told.
    let status = scene.until(|status| status.failures() > 0);
    assert_eq!(status.reloads(), 0);
    scene.until(|status| status.watching() == Watching::Polling);
    fs::create_dir(folder).unwrap();
    fs::write(&scene.path, text(2)).unwrap();
    scene.until_policy(2);
    // The new folder is watched.
    scene.until(|status| status.watching() == Watching::Events);
    rename_over(&scene.path, 3);
    scene.until_policy(3);
}
