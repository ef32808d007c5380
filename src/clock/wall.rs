//! The time of day, which dates in response headers are compared with.

use std::time::SystemTime;

/// Now, by the system's clock.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// Now, by the JavaScript engine's clock: the standard library's clock panics on this target.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub(crate) fn now() -> SystemTime {
    use web_time::web::SystemTimeExt;
    web_time::SystemTime::now().to_std()
}
