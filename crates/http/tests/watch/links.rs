//! Links: those of Kubernetes, and those of people.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::{Scene, text};

/// Writes a version of a `ConfigMap` as the kubelet's `AtomicWriter` does: a folder with a new
/// name, and a link `..data` that is renamed over the old one.
fn publish(volume: &Path, version: u64) {
    let name = format!("..2026_01_01_00_00_0{version}.1");
    fs::create_dir(volume.join(&name)).unwrap();
    fs::write(volume.join(&name).join("limits.toml"), text(version)).unwrap();
    symlink(&name, volume.join("..data_tmp")).unwrap();
    let before = fs::read_link(volume.join("..data"));
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    if let Ok(before) = before {
        fs::remove_dir_all(volume.join(before)).unwrap();
    }
}

#[test]
fn kubernetes_swaps_a_link() {
    let volume = tempfile::tempdir().unwrap();
    publish(volume.path(), 1);
    let path = volume.path().join("limits.toml");
    symlink("..data/limits.toml", &path).unwrap();
    let scene = Scene::watch(volume, path);
    for version in 2..6 {
        publish(scene.folder.path(), version);
        scene.until_policy(version);
    }
    assert_eq!(scene.limiter.reload_status().reloads(), 4);
}

#[test]
fn a_file_behind_a_link_is_written_in_its_own_folder() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (path, target) = (here.path().join("limits.toml"), there.path().join("real.toml"));
    fs::write(&target, text(1)).unwrap();
    symlink(&target, &path).unwrap();
    let scene = Scene::watch(here, path);
    fs::write(&target, text(2)).unwrap();
    scene.until_policy(2);
    // The link leads to another folder, which is watched from now on.
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("other.toml");
    fs::write(&target, text(3)).unwrap();
    let new_link = scene.path.with_extension("new");
    symlink(&target, &new_link).unwrap();
    fs::rename(&new_link, &scene.path).unwrap();
    scene.until_policy(3);
    fs::write(&target, text(4)).unwrap();
    scene.until_policy(4);
}
