//! The price of the layer for clients of model APIs.
//!
//! * `cargo bench -p tollgate-http-bench --bench llm`: all tables; takes about half a minute.
//! * `... --bench llm -- PATTERN`: those in whose name it is: `requests`, `events`, `loopback`.
//! * `... --bench llm -- --test`: everything once, small, no figures.
//!
//! `requests` and `events` measure without a network: the client answers at once, and a loop calls
//! it, polls it once and reads the body. From each slice of a millisecond, that of the client
//! without the layer in the same round is subtracted. `loopback` measures the CPU time of a thread
//! with hyper's client, which reads streams whose events come one at a time, as those of models do.

#[path = "support/llm_client.rs"]
mod llm_client;
#[path = "support/llm_events.rs"]
mod llm_events;
#[path = "support/llm_loopback.rs"]
mod llm_loopback;
#[path = "support/llm_requests.rs"]
mod llm_requests;
#[path = "../../bench/benches/support/pool.rs"]
mod pool;
#[path = "../../bench/benches/support/race.rs"]
#[expect(dead_code, reason = "not all of it is needed here")]
mod race;
#[path = "../../bench/benches/support/random.rs"]
mod random;
#[path = "support/scenes.rs"]
mod scenes;
#[path = "support/size.rs"]
mod size;
#[path = "support/spread.rs"]
mod spread;
#[path = "support/table.rs"]
mod table;
#[path = "../../bench/benches/support/work.rs"]
#[expect(dead_code, reason = "contestants are made otherwise here")]
mod work;

use scenes::Scene;
use size::Size;

const SCENES: [(&str, Scene); 3] = [
    ("requests", llm_requests::print),
    ("events", llm_events::print),
    ("loopback", llm_loopback::print),
];

fn main() {
    scenes::run(&SCENES);
}
