//! SIGHUP.

use std::fs;
use std::process::Command;
use std::time::Duration;

use tollgate_http::HttpLimiter;

use crate::until::until;
use crate::{policy, rename_over, text};

#[test]
fn the_file_is_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.toml");
    fs::write(&path, text(1)).unwrap();
    // Nothing but the signal makes anybody read the file within this hour.
    let hour = Duration::from_secs(3600);
    let limiter = HttpLimiter::builder(policy(1)).watch_by_polling(&path, hour).build().unwrap();
    until(|| limiter.reload_status(), |status| status.unchanged() == 1);
    let hang_up = || {
        let process = std::process::id().to_string();
        assert!(Command::new("kill").args(["-HUP", &process]).status().unwrap().success());
    };
    rename_over(&path, 2);
    hang_up();
    until(|| limiter.policy(), |in_force| *in_force == policy(2));
    // The same content is not looked at.
    hang_up();
    let status = until(|| limiter.reload_status(), |status| status.unchanged() == 2);
    assert_eq!((status.reloads(), status.failures()), (1, 0));
}
