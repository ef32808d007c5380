//! Requests that are refused, are in a penalty, or are only told about, against allowed ones.

use std::time::Duration;

use tollgate::Quota;
use tollgate_http::Policy;
use tollgate_http::policy::{BodyForm, Dialect, KeyPart, Limit, Mode, Penalty, Response};

use crate::Size;
use crate::driver::{Prompt, contestant, meet};
use crate::layers::{axum_governor, ours, ours_telling, ours_three, tower_governor, under};
use crate::pace::Pace;
use crate::ratios::{self, Pair};
use crate::requests::Crowd;
use crate::table::Target;

const CLIENTS: u32 = 1_000;

const PAIRS: &[Pair] = &[
    ("refused, no body", "allowed", Target::AtMost(1.2)),
    ("refused, problem body", "allowed", Target::None),
    ("in a penalty", "allowed", Target::AtMost(0.5)),
    ("refused, problem body", "tower_governor refused", Target::None),
    ("refused, problem body", "axum-governor refused", Target::None),
];

const SHADOW: &[Pair] = &[
    ("one in shadow", "all enforced", Target::AtMost(1.1)),
    ("all in shadow", "all enforced", Target::AtMost(1.1)),
];

pub(crate) fn print(size: Size) {
    let crowd = Crowd::of(size.of(CLIENTS));
    let (allowing, refusing) = (Pace::allowing(CLIENTS), Pace::Hourly(1));
    let both = [Dialect::RateLimit, Dialect::XRateLimit];
    let contestants = vec![
        contestant("allowed", ours(allowing), &crowd, 200),
        contestant("refused, no body", ours_telling(refusing, &both, BodyForm::None), &crowd, 429),
        contestant("refused, problem body", ours(refusing), &crowd, 429),
        contestant("in a penalty", penalised(&crowd), &crowd, 429),
        contestant("tower_governor refused", tower_governor(refusing), &crowd, 429),
        contestant("axum-governor refused", axum_governor(refusing), &crowd, 429),
    ];
    ratios::print(size, "refused: one limit per address", &crowd, contestants, PAIRS);

    let crowd = crowd.with_users();
    let (on, off) = (Mode::Enforce, Mode::Shadow);
    let with = |modes| ours_three(allowing, modes, Response::new());
    let contestants = vec![
        contestant("all enforced", with([on, on, on]), &crowd, 200),
        contestant("one in shadow", with([on, off, on]), &crowd, 200),
        contestant("all in shadow", with([off, off, off]), &crowd, 200),
    ];
    ratios::print(size, "refused: three limits, some in shadow", &crowd, contestants, SHADOW);
}

/// Ours with all clients in a penalty of a day.
fn penalised(crowd: &Crowd) -> impl Prompt {
    let limit = Limit::new("requests", Quota::per_day(1)).key([KeyPart::Address]);
    let day = Duration::from_hours(24);
    let penalty = Penalty::new(Quota::per_day(1), day).key([KeyPart::Address]).max(day);
    let policy = Policy::builder()
        .limit(limit)
        .always(["requests"])
        .penalty(penalty)
        .response(Response::new().body(BodyForm::None));
    let mut service = under(&policy.build().expect("a valid policy"));
    // Allowed, refused, refused once too often.
    (0..3).for_each(|_| meet(&mut service, crowd));
    service
}
