//! The price of the tower layer, beside those of other crates.
//!
//! * `cargo bench -p tollgate-http-bench --bench layer`: all tables.
//! * `... --bench layer -- PATTERN`: those in whose name it is: `single`, `three`, `refused`,
//!   `flood`, `threads`, `routes`.
//! * `... --bench layer -- --test`: everything once, small, no figures.
//! * `cargo bench -p tollgate-http-bench --features tower-rate-limiter --ignore-rust-version ...`:
//!   with one more peer.
//!
//! Each contestant is a layer before a service that does nothing, driven by a loop that makes a
//! request, calls the service, and polls the response once. They take turns in slices of a
//! millisecond of CPU time, in shuffled order. From each slice, that of the service without a layer
//! in the same round is subtracted: what is left is what the layer adds. A ratio is the median over
//! the rounds of two such differences of one round; beside it are the quartiles, and the ratio
//! before anything was subtracted.

#[path = "support/driver.rs"]
mod driver;
#[path = "support/figures.rs"]
mod figures;
#[path = "support/flood.rs"]
mod flood;
#[path = "support/full.rs"]
mod full;
#[path = "support/layers.rs"]
mod layers;
#[path = "support/pace.rs"]
mod pace;
#[path = "../../bench/benches/support/pool.rs"]
mod pool;
#[path = "../../bench/benches/support/race.rs"]
#[expect(dead_code, reason = "not all of it is needed here")]
mod race;
#[path = "../../bench/benches/support/random.rs"]
mod random;
#[path = "support/ratios.rs"]
mod ratios;
#[path = "support/refused.rs"]
mod refused;
#[path = "support/requests.rs"]
mod requests;
#[path = "support/routes.rs"]
mod routes;
#[path = "support/scenes.rs"]
mod scenes;
#[path = "support/single.rs"]
mod single;
#[path = "support/size.rs"]
mod size;
#[path = "support/spread.rs"]
mod spread;
#[path = "support/table.rs"]
mod table;
#[path = "support/threads.rs"]
mod threads;
#[path = "support/three.rs"]
mod three;
#[path = "../../bench/benches/support/work.rs"]
#[expect(dead_code, reason = "contestants are made otherwise here")]
mod work;

use scenes::Scene;
use size::Size;

const SCENES: [(&str, Scene); 6] = [
    ("single", single::print),
    ("three", three::print),
    ("refused", refused::print),
    ("flood", flood::print),
    ("threads", threads::print),
    ("routes", routes::print),
];

fn main() {
    scenes::run(&SCENES);
}
