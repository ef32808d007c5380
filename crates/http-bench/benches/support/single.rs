//! One limit per client address.

use tollgate_http::policy::{BodyForm, Dialect};

use crate::Size;
use crate::driver::contestant;
use crate::layers::{axum_governor, ours, ours_telling, tower_governor, tower_governor_telling};
use crate::pace::Pace;
use crate::ratios::{self, Pair};
use crate::requests::{Crowd, FiveFields};
use crate::table::Target;

/// Defaults against defaults, then with the same fields on both sides.
const PAIRS: &[Pair] = &[
    ("tollgate", "tower_governor", Target::AtMost(0.8)),
    ("tollgate", "axum-governor", Target::AtMost(0.6)),
    ("tollgate", "tower_governor with fields", Target::AtMost(0.8)),
    ("tollgate, no fields", "tower_governor", Target::None),
    ("tollgate, x-ratelimit", "tower_governor with fields", Target::None),
    ("tollgate", "five constant fields", Target::None),
    #[cfg(feature = "tower-rate-limiter")]
    ("tollgate", "tower-rate-limiter", Target::None),
    #[cfg(feature = "tower-rate-limiter")]
    ("tollgate, ratelimit", "tower-rate-limiter", Target::None),
];

pub(crate) fn print(size: Size) {
    for count in [1, 1_000, 100_000] {
        let (crowd, pace) = (Crowd::of(size.of(count)), Pace::allowing(count));
        let telling = |fields: &[Dialect]| ours_telling(pace, fields, BodyForm::Problem);
        let contestants = vec![
            contestant("tollgate", ours(pace), &crowd, 200),
            contestant("tollgate, no fields", telling(&[]), &crowd, 200),
            contestant("tollgate, x-ratelimit", telling(&[Dialect::XRateLimit]), &crowd, 200),
            contestant("tower_governor", tower_governor(pace), &crowd, 200),
            contestant("tower_governor with fields", tower_governor_telling(pace), &crowd, 200),
            contestant("five constant fields", FiveFields, &crowd, 200),
            contestant("axum-governor", axum_governor(pace), &crowd, 200),
            #[cfg(feature = "tower-rate-limiter")]
            contestant("tollgate, ratelimit", telling(&[Dialect::RateLimit]), &crowd, 200),
            #[cfg(feature = "tower-rate-limiter")]
            contestant("tower-rate-limiter", crate::layers::tower_rate_limiter(), &crowd, 200),
        ];
        let title = format!("single: one limit per address, clients: {count}");
        ratios::print(size, &title, &crowd, contestants, PAIRS);
    }
}
