//! Files that are read by call, and what is told of it.

use std::fs;
use std::time::Duration;

use tollgate_http::{BuildError, HttpLimiter, Policy};

use crate::{limiter, policy, wall_time};

const GOOD: &str = "version = 1\n[limits.calls]\nquota = '10/min'\n";
const BAD: &str = "version = 1\n[limits.calls]\nquota = 'many'\nkeys = 'user'\n";

#[test]
fn a_file_is_read_by_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.toml");
    assert!(matches!(HttpLimiter::from_path(&path), Err(BuildError::Load(_))));
    fs::write(&path, GOOD).unwrap();
    let limiter = HttpLimiter::from_path(&path).unwrap();
    assert_eq!(limiter.policy(), GOOD.parse::<Policy>().unwrap());
    fs::write(&path, GOOD.replace("10/", "20/")).unwrap();
    let changes = limiter.reload_from_path(&path).unwrap();
    assert_eq!(changes.quotas().len(), 1);
    // By call, a file is taken also if it is the same.
    assert!(limiter.reload_from_path(&path).unwrap().is_empty());
    assert_eq!(limiter.reload_status().reloads(), 2);
}

#[test]
fn an_error_keeps_the_policy_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.toml");
    let before = policy("[limits.calls]\nquota = '10/min'\n");
    let (limiter, clock) = limiter(&before);
    let loaded_at = wall_time(&clock);
    clock.advance(Duration::from_secs(5));
    fs::write(&path, BAD).unwrap();
    limiter.reload_from_path(&path).unwrap_err();
    let status = limiter.reload_status();
    let error = status.last_error().unwrap();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    for (line, place) in lines.iter().zip(["3:9", "4:1"]) {
        assert!(line.starts_with(&format!("{}:{place}: ", path.display())), "{line}");
    }
    assert_eq!(status.failed_at(), Some(wall_time(&clock)));
    assert_eq!(status.loaded_at(), loaded_at);
    assert_eq!((status.reloads(), status.failures()), (0, 1));
    assert_eq!(limiter.policy(), before);

    fs::write(&path, GOOD.replace("10/", "20/")).unwrap();
    limiter.reload_from_path(&path).unwrap();
    let status = limiter.reload_status();
    assert_eq!((status.last_error(), status.failed_at()), (None, None));
    assert_eq!((status.reloads(), status.failures()), (1, 1));
    assert_eq!(status.loaded_at(), wall_time(&clock));
    assert_eq!(status.policy_hash(), limiter.policy().hash());
    assert_ne!(status.policy_hash(), before.hash());
}
