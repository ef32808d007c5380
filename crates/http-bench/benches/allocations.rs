//! Allocations of the tower layer, and its memory in a flood. (In a program of its own, because its
//! allocator counts.)
//!
//! * `cargo bench -p tollgate-http-bench --bench allocations`: all tables.
//! * `... --bench allocations -- --test`: everything once, small, no figures.
//!
//! The first table counts the allocations of one request with its response, without those of the
//! service and of the making of the request. The second sends two million addresses that have never
//! come before to a limiter that holds 100,000 keys, and tells by how much the memory grows. Each
//! flood runs in a process of its own, so that none sits on pages that another has left.

#[path = "support/driver.rs"]
#[expect(dead_code, reason = "nothing races")]
mod driver;
#[path = "support/full.rs"]
mod full;
#[path = "support/layers.rs"]
#[allow(dead_code, reason = "not every peer is needed here")]
mod layers;
#[path = "../../bench/benches/support/memory.rs"]
#[expect(dead_code, reason = "not all of it is needed here")]
mod memory;
#[path = "support/pace.rs"]
#[allow(dead_code, reason = "clients are few")]
mod pace;
#[path = "support/requests.rs"]
#[allow(dead_code, reason = "all ask for the same path")]
mod requests;
#[path = "support/size.rs"]
mod size;
#[path = "support/table.rs"]
mod table;
#[path = "../../bench/benches/support/work.rs"]
#[expect(dead_code, reason = "nothing races")]
mod work;

use tollgate_http::policy::{BodyForm, Dialect, Mode, Response, WhenFull};

use driver::Prompt;
use layers::{
    axum_governor, axum_governor_three, ours, ours_telling, ours_three, tower_governor,
    tower_governor_telling,
};
use memory::{Allocated, by_a_child, megabytes, resident};
use pace::Pace;
use requests::{Crowd, NoOp};
use size::Size;
use table::{Table, Target};

/// How many strangers come.
const STRANGERS: u32 = 2_000_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(task) = memory::task(&args) {
        child(task);
        return;
    }
    let (size, _) = Size::from_args();
    allocations(size);
    memory_in_a_flood(size);
}

fn allocations(size: Size) {
    let (single, three) = (Crowd::of(1), Crowd::of(1).with_users());
    let (endless, refusing) = (Pace::Endless, Pace::Hourly(1));
    let both = [Dialect::RateLimit, Dialect::XRateLimit];
    let enforced = |response| ours_three(endless, [Mode::Enforce; 3], response);
    let refused = |body| ours_telling(refusing, &both, body);
    let rows = [
        ("address", made(ours(endless), &single), Target::None),
        (
            "address, no fields",
            made(ours_telling(endless, &[], BodyForm::None), &single),
            Target::None,
        ),
        ("address, refused", made(refused(BodyForm::Problem), &single), Target::None),
        ("address, refused, no body", made(refused(BodyForm::None), &single), Target::None),
        ("three limits", made(enforced(Response::new()), &three), Target::AtMost(4.0)),
        (
            "three limits, no fields",
            made(enforced(Response::new().headers([])), &three),
            Target::None,
        ),
        ("tower_governor", made(tower_governor(endless), &single), Target::None),
        (
            "tower_governor with fields",
            made(tower_governor_telling(endless), &single),
            Target::None,
        ),
        ("axum-governor", made(axum_governor(endless), &single), Target::None),
        ("axum-governor, three limits", made(axum_governor_three(endless), &three), Target::None),
    ];
    let mut table = Table::new("allocations of one request", &["layer", "allocations", "bytes"]);
    for (name, made, target) in rows {
        let cells = [name.to_owned(), made.count.to_string(), made.bytes.to_string()];
        table.row(cells, f64::from(u32::try_from(made.count).unwrap_or(u32::MAX)), target);
    }
    size.show(&table);
}

/// What a layer allocates for one request.
struct Made {
    count: u64,
    bytes: u64,
}

fn made(mut service: impl Prompt, crowd: &Crowd) -> Made {
    let one = |service: &mut dyn FnMut(http::Request<()>) -> http::response::Parts| {
        let info = allocation_counter::measure(|| drop(service(crowd.request_of(0))));
        (info.count_total, info.bytes_total)
    };
    // What is allocated once is there before anything is counted.
    for _ in 0..3 {
        drop(service.ask(crowd.request_of(0)));
    }
    let (mut bare, mut with) = (NoOp, service);
    let bare = one(&mut |request| bare.ask(request));
    let with = one(&mut |request| with.ask(request));
    Made { count: with.0.saturating_sub(bare.0), bytes: with.1.saturating_sub(bare.1) }
}

fn memory_in_a_flood(size: Size) {
    let count = size.of(STRANGERS).to_string();
    let keys = size.of(full::MAX_KEYS).to_string();
    let title = "memory: 2,000,000 strangers at a limiter that holds 100,000 keys";
    let heads =
        ["when full", "allocated before", "grows by", "resident before", "grows by", "ratio"];
    let mut table = Table::new(title, &heads);
    for when_full in ["share", "deny"] {
        let lines = by_a_child(&[when_full, &keys, &count]);
        let [before, allocated, resident_before, resident] = &lines[0][..] else {
            panic!("four numbers were printed");
        };
        let ratio = megabytes(resident_before + resident) / megabytes(*resident_before);
        table.row(
            [
                when_full.to_owned(),
                format!("{:.1} MB", megabytes(*before)),
                format!("{:.3} MB", megabytes(*allocated)),
                format!("{:.1} MB", megabytes(*resident_before)),
                format!("{:.3} MB", megabytes(*resident)),
                format!("{ratio:.3}"),
            ],
            ratio,
            Target::AtMost(1.01),
        );
    }
    size.show(&table);
}

/// Floods a limiter, and prints bytes: those before the flood, and by how much they have grown;
/// first the allocated ones, then the resident ones.
fn child(task: &[&str]) {
    let [when_full, keys, count] = task else { panic!("no such task: {task:?}") };
    let when_full = if *when_full == "share" { WhenFull::Share } else { WhenFull::Deny };
    let (keys, count) = (keys.parse().expect("a number"), count.parse().expect("a number"));
    let strangers = Crowd::of_strangers();
    let (mut known, mut grown) = (Allocated::default(), Allocated::default());
    let mut service = known.during(|| full::full(keys, when_full, BodyForm::Problem));
    let resident_before = resident();
    grown.during(|| (0..count).for_each(|at| drop(service.ask(strangers.request(at)))));
    let resident = resident() - resident_before;
    println!("{} {} {resident_before} {resident}", known.bytes(), grown.bytes());
}
