//! How watching begins, and watching without the help of the operating system.

use std::fs;
use std::time::Duration;

use tollgate_http::HttpLimiter;
use tollgate_http::reload::Watching;

use crate::until::until;
use crate::{policy, rename_over, text};

#[test]
fn a_file_that_differs_from_the_beginning_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.toml");
    fs::write(&path, text(2)).unwrap();
    let limiter = HttpLimiter::builder(policy(1)).watch(&path).build().unwrap();
    until(|| limiter.reload_status(), |status| status.reloads() == 1);
    assert_eq!(limiter.policy(), policy(2));
}

#[test]
fn a_file_that_is_not_there_at_the_beginning_is_awaited() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.toml");
    let limiter = HttpLimiter::builder(policy(1)).watch(&path).build().unwrap();
    let status = until(|| limiter.reload_status(), |status| status.failures() == 1);
    assert_eq!((status.reloads(), status.watching()), (0, Watching::Events));
    fs::write(&path, text(2)).unwrap();
    until(|| limiter.policy(), |in_force| *in_force == policy(2));
}

#[test]
fn a_file_can_be_polled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.toml");
    fs::write(&path, text(1)).unwrap();
    let builder = HttpLimiter::builder(policy(1));
    let limiter = builder.watch_by_polling(&path, Duration::from_millis(5)).build().unwrap();
    let status = until(|| limiter.reload_status(), |status| status.unchanged() > 2);
    assert_eq!((status.reloads(), status.watching()), (0, Watching::Polling));
    rename_over(&path, 2);
    until(|| limiter.policy(), |in_force| *in_force == policy(2));
}

#[test]
fn nothing_is_watched_unless_it_is_asked_for() {
    let limiter = HttpLimiter::new(policy(1)).unwrap();
    assert_eq!(limiter.reload_status().watching(), Watching::Nothing);
}

#[test]
fn a_store_that_panics_does_not_end_the_watching() {
    use std::sync::Arc;
    use tollgate_http::engine::store::{Buckets, LimitSpec, Memory, Store, StoreError};

    /// Memory that can't stand the second policy.
    struct Fragile(Memory);

    impl Store for Fragile {
        fn open(&self, limits: &[LimitSpec]) -> Result<Arc<dyn Buckets>, StoreError> {
            let second = tollgate::Quota::per_minute(2);
            assert!(limits.iter().all(|limit| limit.quotas[0] != second), "not this one");
            self.0.open(limits)
        }
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.toml");
    fs::write(&path, text(1)).unwrap();
    let builder = HttpLimiter::builder(policy(1)).store(Fragile(Memory::new()));
    let limiter = builder.watch_by_polling(&path, Duration::from_millis(5)).build().unwrap();
    rename_over(&path, 2);
    let status = until(|| limiter.reload_status(), |status| status.failures() == 1);
    assert_eq!(status.last_error(), Some("the reload panicked"));
    assert_eq!(limiter.policy(), policy(1));
    rename_over(&path, 3);
    until(|| limiter.policy(), |in_force| *in_force == policy(3));
}
