//! A `ConfigMap` that Kubernetes changes becomes the policy in force, while the service runs.

#[path = "support/service.rs"]
mod service;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;

use service::Service;
use tollgate_test_programs::{DEADLINE, needs};

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

/// Waits until operators see this quota.
fn until_quota(service: &Service, quota: u32) {
    let (begin, expected) = (Instant::now(), format!("quota = \"{quota}/h\""));
    loop {
        let shown = service.operator("/rate_limit/config");
        assert_eq!(shown.status, 200, "{shown:?}");
        if shown.body.contains(&expected) {
            return;
        }
        assert!(begin.elapsed() < DEADLINE, "it is not {expected}: {}", shown.body);
    }
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
    until_quota(&service, 2);
    let statuses = |n| (0..n).map(|_| service.check(CHECK).status).collect::<Vec<_>>();
    assert_eq!(statuses(3), [200, 200, 429]);

    // What was used stays used: two of two become four of four, and five of ten become free.
    publish(volume.path(), 2, &written.replace("2/h", "4/h"));
    until_quota(&service, 4);
    assert_eq!(statuses(1), [429]);

    // A mistake changes nothing, and is counted.
    publish(volume.path(), 3, &written.replace("2/h", "none"));
    let begin = Instant::now();
    while !service.operator("/metrics").body.lines().any(|line| {
        line.starts_with("tollgate_policy_reloads_total{result=\"error\"} ")
            && !line.ends_with(" 0")
    }) {
        assert!(begin.elapsed() < DEADLINE, "{}", service.operator("/metrics").body);
    }
    until_quota(&service, 4);

    publish(volume.path(), 4, &written.replace("calls", "visits"));
    let begin = Instant::now();
    while !service.operator("/rate_limit/config").body.contains("[limits.visits]") {
        assert!(begin.elapsed() < DEADLINE, "{}", service.program.log());
    }
    // Another limit begins full.
    assert_eq!(statuses(3), [200, 200, 429]);
}
