//! The error of any type that tower's middleware uses.

/// An error as tower's middleware passes it on.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
