//! The policy: what is limited, for whom, by how much.

pub(crate) mod path;
pub(crate) mod settings;

pub use path::PathPattern;
pub use settings::{
    Algorithm, BodyForm, Dialect, HostPattern, KeyPart, Limit, Missing, Mode, Penalty, ResetForm,
    Response, Route, Subject, Tier, WhenFull, Who,
};
