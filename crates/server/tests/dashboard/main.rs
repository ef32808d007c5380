//! The dashboard: its events and fields as any client sees them, and the page in a real browser.

mod browser;
mod elsewhere;
mod events;
mod fields;
mod page;
#[path = "../support/service.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod service;
#[path = "../service/support.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod support;
