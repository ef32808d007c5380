//! The dashboard: its events and fields as any client sees them, and the page in a real browser.

mod browser;
mod events;
mod fields;
mod page;
#[path = "../service/support.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod support;
