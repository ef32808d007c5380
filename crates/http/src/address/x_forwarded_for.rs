//! `X-Forwarded-For`: a list of addresses, to which each proxy appends the one that it serves.
//!
//! No standard describes it. Some proxies append to the last line, others add a line, so all
//! lines are one list in order (RFC 9110 section 5.3). Quotes mean nothing in it.

use std::net::IpAddr;
use std::ops::ControlFlow::{Break, Continue};

use http::header::{GetAll, HeaderValue};

use super::Trust;
use super::element::{self, Ports};

/// The first address from the right that is not trusted, else the last that the walk came to.
pub(super) fn first_stranger(lines: &GetAll<'_, HeaderValue>, trust: &Trust) -> Option<IpAddr> {
    let mut client = None;
    // This goes through lines and elements as nested loops would; `for` asks layer by layer.
    let _ = elements(lines).try_for_each(|element| match address(element) {
        Some(hop) => {
            client = Some(hop);
            if trust.covers(hop) { Continue(()) } else { Break(()) }
        }
        None => Break(()),
    });
    client
}

/// The address in the element that stands `place` places from the right, counted from 1.
pub(super) fn from_right(lines: &GetAll<'_, HeaderValue>, place: u32) -> Option<IpAddr> {
    let skipped = usize::try_from(place.checked_sub(1)?).ok()?;
    address(elements(lines).nth(skipped)?)
}

/// The elements that are not empty, from the right.
fn elements<'a>(lines: &GetAll<'a, HeaderValue>) -> impl Iterator<Item = &'a [u8]> {
    lines
        .iter()
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

fn address(element: &[u8]) -> Option<IpAddr> {
    element::address(element, Ports::Numbers)
}
