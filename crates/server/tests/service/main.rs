//! The service as its clients see it: over real connections, in this process.

mod admin;
mod checks;
mod connections;
mod forward_auth;
mod pages;
mod shutdown;
mod support;
mod token;
