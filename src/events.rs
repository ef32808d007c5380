//! The `tracing` events of the limiters. Without the feature `tracing`, they compile to nothing.

#[cfg(feature = "tracing")]
pub(crate) use tracing::{debug, info, warn};

/// Whether any subscriber may be interested in events of level debug. Costs one relaxed load.
#[inline]
pub(crate) fn is_debug_heard() -> bool {
    #[cfg(feature = "tracing")]
    return tracing::level_filters::LevelFilter::current() >= tracing::Level::DEBUG;
    #[cfg(not(feature = "tracing"))]
    return false;
}

/// An event without the feature `tracing`: it expands to nothing.
#[cfg(not(feature = "tracing"))]
macro_rules! unheard {
    ($($field:tt)*) => {};
}

#[cfg(not(feature = "tracing"))]
pub(crate) use {unheard as debug, unheard as info, unheard as warn};
