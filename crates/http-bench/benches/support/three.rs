//! Three limits for each request: by address, by caller, and one for all.

use tollgate_http::policy::{Mode, Response};

use crate::Size;
use crate::driver::contestant;
use crate::figures::cost;
use crate::layers::{axum_governor_three, ours_three};
use crate::pace::Pace;
use crate::ratios::{self, Pair};
use crate::requests::Crowd;
use crate::table::{Table, Target};

const PAIRS: &[Pair] = &[
    ("tollgate", "axum-governor", Target::AtMost(0.6)),
    ("tollgate, no fields", "axum-governor", Target::None),
];

pub(crate) fn print(size: Size) {
    for count in [1, 1_000] {
        let pace = Pace::allowing(count);
        let crowd = Crowd::of(size.of(count)).with_users();
        let ours = |response| ours_three(pace, [Mode::Enforce; 3], response);
        let contestants = vec![
            contestant("tollgate", ours(Response::new()), &crowd, 200),
            contestant("tollgate, no fields", ours(Response::new().headers([])), &crowd, 200),
            contestant("axum-governor", axum_governor_three(pace), &crowd, 200),
        ];
        let title = format!("three: address, caller and all, clients: {count}");
        let race = ratios::print(size, &title, &crowd, contestants, PAIRS);
        let heads = ["layer", "median us", "quartiles ns"];
        let mut table = Table::new(format!("{title}, what is added"), &heads);
        for (name, target) in [("tollgate", Target::AtMost(1.0)), ("axum-governor", Target::None)] {
            let added = cost(&race, name);
            let micros = added.median / 1e3;
            let cells = [name.to_owned(), format!("{micros:.2}"), added.to_string()];
            table.row(cells, micros, target);
        }
        size.show(&table);
    }
}
