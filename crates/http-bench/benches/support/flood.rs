//! Requests of clients who have never come before, at a limiter that is full.

use tollgate_http::Policy;
use tollgate_http::policy::{KeyPart, Limit, WhenFull};

use crate::Size;
use crate::driver::{Prompt, contestant, meet};
use crate::layers::under;
use crate::pace::Pace;
use crate::ratios::{self, Pair};
use crate::requests::Crowd;
use crate::table::Target;

/// How many keys the limiters hold.
pub(crate) const MAX_KEYS: u32 = 100_000;

const PAIRS: &[Pair] = &[
    ("strangers share a bucket", "known", Target::AtMost(2.0)),
    ("strangers are denied", "known", Target::AtMost(2.0)),
];

pub(crate) fn print(size: Size) {
    let count = size.of(MAX_KEYS);
    let (known, strangers) = (Crowd::of(count), Crowd::of_strangers());
    let share = WhenFull::Share;
    let contestants = vec![
        contestant("known", full(count, share), &known, 200),
        contestant("strangers share a bucket", full(count, share), &strangers, 200),
        contestant("strangers are denied", full(count, WhenFull::Deny), &strangers, 503),
    ];
    let title = format!("flood: {MAX_KEYS} keys are known, and there is room for no more");
    ratios::print(size, &title, &known, contestants, PAIRS);
}

/// Ours with as many keys as it may hold.
pub(crate) fn full(count: u32, when_full: WhenFull) -> impl Prompt {
    let most = usize::try_from(count).expect("it fits");
    let limit = Limit::new("requests", Pace::Vast.quota())
        .key([KeyPart::Address])
        .max_keys(most)
        .when_full(when_full);
    let policy = Policy::builder().limit(limit).always(["requests"]);
    let mut service = under(&policy.build().expect("a valid policy"));
    meet(&mut service, &Crowd::of(count));
    service
}
