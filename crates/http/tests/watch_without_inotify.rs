//! A file is read every few seconds if its folder can't be watched, and that is told. (In a file of
//! its own: it uses up all file descriptors of a process.)

#![cfg(all(feature = "watch", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "support/until.rs"]
mod until;

use std::fs::{self, File};
use std::process::Command;

use tollgate_http::reload::Watching;
use tollgate_http::{HttpLimiter, Policy};
use until::until;

#[test]
fn a_folder_that_cannot_be_watched_is_no_error() {
    let this = std::env::current_exe().unwrap();
    let few = "ulimit -n 64 && exec \"$0\" --ignored --exact with_few_file_descriptors";
    let done = Command::new("sh").arg("-c").arg(few).arg(this).output().unwrap();
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
#[ignore = "the other test runs it in a process of its own"]
fn with_few_file_descriptors() {
    let text = |quota: &str| format!("version = 1\n[limits.calls]\nquota = '{quota}'\n");
    let policy = |quota: &str| text(quota).parse::<Policy>().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.toml");
    fs::write(&path, text("1/s")).unwrap();

    let mut taken: Vec<File> = (0..64).map_while(|_| File::open(&path).ok()).collect();
    assert!(taken.len() < 64, "the number of file descriptors is not limited");
    // Enough to listen for SIGHUP and to read the file, too few to watch its folder.
    taken.truncate(taken.len() - 4);
    let limiter = HttpLimiter::builder(&policy("1/s")).watch(&path).build().unwrap();
    let status = until(|| limiter.reload_status(), |status| status.unchanged() > 0);
    assert_eq!((status.watching(), status.failures()), (Watching::Polling, 0));
    fs::write(&path, text("2/s")).unwrap();
    until(|| limiter.policy(), |in_force| *in_force == policy("2/s"));

    // Once there is room, the folder is watched.
    drop(taken);
    until(|| limiter.reload_status().watching(), |watching| *watching == Watching::Events);
    fs::write(&path, text("3/s")).unwrap();
    until(|| limiter.policy(), |in_force| *in_force == policy("3/s"));
}
