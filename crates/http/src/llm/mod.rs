//! For clients of model APIs (LLMs).

mod error_body;
mod usage;

pub use error_body::ErrorBody;
pub use usage::AnswerReader;
