//! Headers that look like limits, but are not known.

#[cfg(feature = "tracing")]
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells once in the life of the process that such headers are ignored, with the first name. A
/// server sends them with each response.
pub(super) fn tell_once(name: &str) {
    #[cfg(feature = "tracing")]
    {
        static TOLD: AtomicBool = AtomicBool::new(false);
        if !TOLD.swap(true, Ordering::Relaxed) {
            crate::events::info!(
                header = name,
                "headers about limits that are not known are ignored; this is said only once"
            );
        }
    }
    #[cfg(not(feature = "tracing"))]
    let _ = name;
}
