//! A `ConfigMap` that Kubernetes changes becomes the policy in force, while the service runs.

#[path = "support/service.rs"]
mod service;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use service::Service;
use tollgate_test_programs::{needs, until};

/// Writes a version of a file as the kubelet does it in a volume of a `ConfigMap`: a folder with a
/// new name, a link `..data` to it that is renamed over the old one, and a link from the name of
/// the file to the one in `..data`. The old folder is removed.
fn publish(volume: &Path, version: u32, text: &str) {
    let name = format!("..2026_01_01_00_00_0{version}.1");
    fs::create_dir(volume.join(&name)).expect("a folder");
    fs::write(volume.join(&name).join("tollgate.toml"), text).expect("a file");
    symlink(&name, volume.join("..data_tmp")).expect("a link");
    let before = fs::read_link(volume.join("..data"));
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).expect("a link");
    match before {
        Ok(before) => fs::remove_dir_all(volume.join(before)).expect("the old folder"),
        Err(_) => symlink("..data/tollgate.toml", volume.join("tollgate.toml")).expect("a link"),
    }
}

/// A policy of so many requests an hour.
fn policy(quota: u32) -> String {
    format!("always = [\"calls\"]\n[limits.calls]\nquota = \"{quota}/h\"")
}

/// Waits until operators see this in the policy in force.
fn until_in_force(service: &Service, expected: &str) {
    until(|| {
        let shown = service.operator("/rate_limit/config");
        assert_eq!(shown.status, 200, "{shown:?}");
        shown.body.contains(expected)
    });
}

const CHECK: &str = r#"{"method": "GET", "path": "/", "address": "203.0.113.7"}"#;

#[test]
fn a_changed_config_map_is_in_force_and_levels_stay() {
    if !needs("config_map", &["curl"]) {
        return;
    }
    let volume = tempfile::tempdir().expect("a folder");
    let path = volume.path().join("tollgate.toml");
    let mut written = String::new();
    let service = Service::start_at(path, &policy(2), |text| {
        publish(volume.path(), 1, text);
        text.clone_into(&mut written);
    });
    until_in_force(&service, "quota = \"2/h\"");
    let statuses = |n| (0..n).map(|_| service.check(CHECK).status).collect::<Vec<_>>();
    assert_eq!(statuses(3), [200, 200, 429]);

    // What was used stays used: two of two become four of four.
    publish(volume.path(), 2, &written.replace("2/h", "4/h"));
    until_in_force(&service, "quota = \"4/h\"");
    assert_eq!(statuses(1), [429]);

    // A mistake changes nothing, and is counted.
    publish(volume.path(), 3, &written.replace("2/h", "none"));
    until(|| {
        let metrics = service.operator("/metrics").body;
        metrics.contains("\ntollgate_policy_reloads_total{result=\"error\"} 1\n")
    });
    until_in_force(&service, "quota = \"4/h\"");

    publish(volume.path(), 4, &written.replace("calls", "visits"));
    until_in_force(&service, "[limits.visits]");
    // Another limit begins full.
    assert_eq!(statuses(3), [200, 200, 429]);
}
