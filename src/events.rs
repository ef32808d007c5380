//! What the limiters tell a subscriber of `tracing`; nothing without that feature.

#[cfg(feature = "tracing")]
pub(crate) use tracing::{debug, info, warn};

/// Whether anybody may listen to events of level debug. It costs one relaxed load.
#[inline]
pub(crate) fn is_debug_heard() -> bool {
    #[cfg(feature = "tracing")]
    return tracing::level_filters::LevelFilter::current() >= tracing::Level::DEBUG;
    #[cfg(not(feature = "tracing"))]
    return false;
}

/// An event that nobody hears.
#[cfg(not(feature = "tracing"))]
macro_rules! unheard {
    ($($field:tt)*) => {};
}

#[cfg(not(feature = "tracing"))]
pub(crate) use {unheard as debug, unheard as info, unheard as warn};
