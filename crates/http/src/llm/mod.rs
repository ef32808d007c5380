//! For clients of model APIs (LLMs).

mod error_body;
mod estimate;
mod lenient;
mod usage;

pub use error_body::ErrorBody;
pub use estimate::{Estimate, Estimator};
pub use usage::AnswerReader;
