//! The threads of a limiter, its watches and its signal handlers end with its last clone. (In a
//! file of its own: it counts the threads and open files of the process.)

#![cfg(all(feature = "watch", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "support/until.rs"]
mod until;

use std::fs;
use std::path::Path;
use std::process::Command;

use tollgate_http::{HttpLimiter, Policy};
use until::until;

/// The names of the threads that belong to limiters.
fn threads() -> Vec<String> {
    let names = fs::read_dir("/proc/self/task").unwrap().filter_map(|task| {
        // A thread may end while it is looked at.
        let name = fs::read_to_string(task.ok()?.path().join("comm")).ok()?;
        Some(name.trim().to_owned())
    });
    let mut names: Vec<_> =
        names.filter(|name| name.starts_with("tollgate-") || name.starts_with("notify")).collect();
    names.sort();
    names
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn watching(path: &Path) -> HttpLimiter {
    let policy = Policy::from_path(path).unwrap();
    HttpLimiter::builder(&policy).watch(path).on_violation(|_| ()).build().unwrap()
}

#[test]
fn everything_ends_with_the_last_clone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.toml");
    fs::write(&path, "version = 1\n").unwrap();
    // What the process keeps for ever is made by the first limiter.
    drop(watching(&path));
    until(threads, Vec::is_empty);
    let files = open_files();

    let limiter = watching(&path);
    let clone = limiter.clone();
    drop(limiter);
    let expected = ["tollgate-hook", "tollgate-sighup", "tollgate-watch"];
    let own = || threads().into_iter().filter(|name| name.starts_with("tollgate-")).collect();
    until(own, |names: &Vec<String>| *names == expected);
    until(|| clone.reload_status(), |status| status.unchanged() > 0);
    drop(clone);
    until(threads, Vec::is_empty);

    for _ in 0..20 {
        let limiters: Vec<_> = (0..5).map(|_| watching(&path)).collect();
        // Some end before their thread has read the file for the first time, others after it.
        let status = || limiters[0].reload_status();
        until(status, |status| status.unchanged() > 0);
        drop(limiters);
    }
    until(threads, Vec::is_empty);
    until(open_files, |open| *open <= files);

    // Nobody listens any more, and the process lives on.
    let process = std::process::id().to_string();
    assert!(Command::new("kill").args(["-HUP", &process]).status().unwrap().success());
    let limiter = watching(&path);
    until(|| limiter.reload_status(), |status| status.unchanged() > 0);
}
