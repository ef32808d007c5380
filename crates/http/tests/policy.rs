//! Policies: read, checked, printed, built in code.

#[path = "policy/additions.rs"]
mod additions;
#[path = "policy/builder.rs"]
mod builder;
#[path = "policy/bytes.rs"]
mod bytes;
#[path = "policy/codes.rs"]
mod codes;
#[path = "policy/files.rs"]
mod files;
#[path = "policy/formats.rs"]
mod formats;
#[cfg(feature = "json")]
#[path = "policy/generate.rs"]
mod generate;
#[path = "policy/path.rs"]
mod path;
#[path = "policy/reference.rs"]
mod reference;
#[path = "policy/schema.rs"]
mod schema;
#[path = "policy/tables.rs"]
mod tables;
