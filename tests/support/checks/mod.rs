//! What holds for every limiter, written against `dyn RateLimiter`.

pub(crate) mod asking;
pub(crate) mod changing;
pub(crate) mod closing;
pub(crate) mod reserving;
pub(crate) mod waiting;
