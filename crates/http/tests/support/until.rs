//! Waiting for another thread.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Looks again and again until `look` gives what it should. A machine under load has a minute.
pub(crate) fn until<T: Debug>(look: impl Fn() -> T, is_there: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = look();
        if is_there(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "a minute was not enough: {found:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
