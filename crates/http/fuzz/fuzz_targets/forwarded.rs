//! Any `Forwarded` is read without a panic, and as the plain reference reads it.
#![no_main]

#[path = "../../tests/support/naive_client.rs"]
mod naive_client;
mod request;

use libfuzzer_sys::fuzz_target;
use tollgate_http::address::Source;

fuzz_target!(|input: (u8, &[u8])| {
    let (hops, lines) = input;
    request::check(Source::Forwarded, "forwarded", hops, lines);
});
