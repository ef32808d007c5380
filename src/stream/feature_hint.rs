//! The compiler's advice for an adapter that needs the feature `tokio`.

/// No type implements this trait. It makes the compiler name the feature that a call needs.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`rate_limited` needs the feature `tokio` of tollgate beside `stream`",
    label = "enable the feature `tokio` to wait on its timer",
    note = "in Cargo.toml: `tollgate = {{ version = \"..\", features = [\"stream\", \"tokio\"] }}`",
    note = "on another runtime, use its timer: `rate_limited_on`"
)]
pub trait NeedsFeatureTokio {
    #[doc(hidden)]
    fn adapter<T>(self) -> T;
}
