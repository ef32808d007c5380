#![doc = include_str!("reference.md")]

mod beside;
mod build;
mod check;
mod code;
mod message;
pub(crate) mod path;
#[allow(clippy::module_inception, reason = "the file of the type has the name of the type")]
mod policy;
mod print;
mod problem;
mod problems;
mod read;
mod schema;
pub(crate) mod settings;
mod source;
mod summary;
mod words;

pub use beside::SettingsReader;
pub use build::{
    Additions, DescriptorRule, Limit, Penalty, PolicyBuilder, Response, Route, Subject, Tier,
};
pub use code::Code;
#[cfg(feature = "tracing")]
pub(crate) use message::nearest;
pub use message::{instead, shown};
pub use path::{ParsePathError, PathPattern};
pub use policy::{Policy, bytes_of};
pub(crate) use print::hex;
pub use problem::{LoadError, Place, PolicyError, Problem};
pub use schema::json_schema;
pub use settings::{Algorithm, BodyForm, Dialect, KeyPart, Missing, Mode, ResetForm, WhenFull};
pub(crate) use settings::{HostPattern, Who};
pub use source::{Format, LONGEST};
pub use summary::LimitSummary;
