//! Policies with many routes: a request for the last of them.

use std::fmt::Write;

use tollgate_http::Policy;

use crate::Size;
use crate::driver::contestant;
use crate::layers::under;
use crate::ratios::{self, Pair};
use crate::requests::Crowd;
use crate::table::Target;

const PAIRS: &[Pair] = &[
    ("10 routes", "1 route", Target::None),
    ("100 routes", "1 route", Target::None),
    ("100 routes, the first", "1 route", Target::None),
];

pub(crate) fn print(size: Size) {
    let crowd = Crowd::of(1);
    let first = crowd.clone().asking_for("/v1/things0/4711");
    let last = |count: u32| crowd.clone().asking_for(&format!("/v1/things{}/4711", count - 1));
    let contestants = vec![
        contestant("1 route", under(&routes(1)), &last(1), 200),
        contestant("10 routes", under(&routes(10)), &last(10), 200),
        contestant("100 routes", under(&routes(100)), &last(100), 200),
        contestant("100 routes, the first", under(&routes(100)), &first, 200),
    ];
    ratios::print(size, "routes: a request for the last one", &crowd, contestants, PAIRS);
}

/// A policy with so many routes, each of which has the limit by address.
fn routes(count: u32) -> Policy {
    let mut text =
        "version = 1\n[limits.calls]\nquota = \"9999/ms\"\nkey = \"address\"\n".to_owned();
    for number in 0..count {
        let route = format!("path = \"/v1/things{number}/{{id}}\"\nlimits = [\"calls\"]\n");
        let methods = "method = [\"GET\", \"POST\"]\n";
        let _ = write!(text, "[[routes]]\nname = \"things{number}\"\n{methods}{route}");
    }
    text.parse().expect("a valid policy")
}
