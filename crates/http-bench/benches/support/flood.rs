//! Requests of clients who have never come before, at a limiter that is full.

use tollgate_http::policy::{BodyForm, WhenFull};

use crate::Size;
use crate::driver::contestant;
use crate::full::{MAX_KEYS, full};
use crate::ratios::{self, Pair};
use crate::requests::Crowd;
use crate::table::Target;

const PAIRS: &[Pair] = &[
    ("strangers share a bucket", "known", Target::AtMost(2.0)),
    ("strangers are denied", "known", Target::AtMost(2.0)),
    ("strangers are denied, no body", "known", Target::AtMost(2.0)),
];

pub(crate) fn print(size: Size) {
    let count = size.of(MAX_KEYS);
    let (known, strangers) = (Crowd::of(count), Crowd::of_strangers());
    let with = |when_full, body| full(count, when_full, body);
    let (problem, nothing) = (BodyForm::Problem, BodyForm::None);
    let contestants = vec![
        contestant("known", with(WhenFull::Share, problem), &known, 200),
        contestant("strangers share a bucket", with(WhenFull::Share, problem), &strangers, 200),
        contestant("strangers are denied", with(WhenFull::Deny, problem), &strangers, 503),
        contestant("strangers are denied, no body", with(WhenFull::Deny, nothing), &strangers, 503),
    ];
    let title = format!("flood: {MAX_KEYS} keys are known, and there is room for no more");
    ratios::print(size, &title, &known, contestants, PAIRS);
}
