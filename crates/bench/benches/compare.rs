//! The price of a decision, beside that of other crates and of what no decision can do without.
//!
//! * `cargo bench -p tollgate-bench --bench compare`: criterion groups, for statistics and history,
//!   then the tables of ratios.
//! * `... --bench compare -- --ratios`: only the tables.
//! * `... --bench compare -- --ratios keyed`: only the tables of limiters by key; in the same way,
//!   any part of a scene's name.
//! * `... --bench compare -- PATTERN`: only the criterion groups that match.
//! * `... --bench compare -- --test`: everything once, no figures.
//!
//! The ratios come from [races](race), not from criterion's means, because a machine drifts between
//! two means. What is timed is a loop around the call. One thread's figure is its CPU time by
//! operations; several threads start together, and the figure is wall time by the operations of
//! all. A slice in which not all of them could run at a time is repeated up to three times; how
//! parallel the slices were in the end is printed.

#[path = "support/contestants.rs"]
mod contestants;
#[path = "support/keyed.rs"]
mod keyed;
#[path = "support/keyed_keys.rs"]
mod keyed_keys;
#[path = "support/keyed_limiters.rs"]
mod keyed_limiters;
#[path = "support/keyed_work.rs"]
mod keyed_work;
#[path = "support/pool.rs"]
mod pool;
#[path = "support/race.rs"]
mod race;
#[path = "support/random.rs"]
mod random;
#[path = "support/ratios.rs"]
mod ratios;
#[path = "support/table.rs"]
mod table;
#[path = "support/work.rs"]
mod work;

use std::thread;
use std::time::Duration;

use contestants::{Answer, Rate};
use criterion::{BenchmarkId, Criterion};
use pool::Pool;
use race::{Length, Race, Slice};
use work::Contestant;

/// A situation in which contestants are measured.
struct Scene {
    name: &'static str,
    threads: usize,
    answer: Answer,
    slice: Duration,
    /// A rate for the limiters on their default clocks alone.
    rate: Option<Rate>,
}

const SCENES: [Scene; 8] = [
    Scene::new("clock", 1, Answer::Allowed, 1),
    Scene::new("allowed", 1, Answer::Allowed, 1),
    Scene::new("allowed, 7 in 3 s", 1, Answer::Allowed, 1).at(Rate::SEVEN_IN_THREE_SECONDS),
    Scene::new("allowed, 999,983 a second", 1, Answer::Allowed, 1).at(Rate::PRIME),
    Scene::new("denied", 1, Answer::Denied, 1),
    Scene::new("allowed, 2 threads", 2, Answer::Allowed, 1),
    Scene::new("denied, 2 threads", 2, Answer::Denied, 1),
    Scene::new("allowed, 8 threads", 8, Answer::Allowed, 4),
];

impl Scene {
    const fn new(name: &'static str, threads: usize, answer: Answer, slice_millis: u64) -> Self {
        Self { name, threads, answer, slice: Duration::from_millis(slice_millis), rate: None }
    }

    const fn at(self, rate: Rate) -> Self {
        Self { rate: Some(rate), ..self }
    }

    fn contestants(&self) -> Vec<Contestant> {
        let (answer, rate, clocks) = (self.answer, self.rate, self.name == "clock");
        // On a thread that ends: this one must not hold a lease that the measured ones need.
        let made = thread::spawn(move || {
            if clocks {
                return contestants::clocks();
            }
            if let Some(rate) = rate {
                return contestants::defaults(answer, rate);
            }
            let mut all = contestants::limiters(answer);
            if answer == Answer::Allowed {
                all.extend(contestants::floors());
            }
            all
        });
        made.join().expect("contestants")
    }

    /// `rounds` of everybody in turns.
    fn race(&self, rounds: usize) -> Race {
        let pool = Pool::new(self.threads);
        let slice = match self.rate {
            // So few that the burst lasts for all rounds.
            Some(_) => Slice::Of(5_000),
            None => Slice::Lasting(self.slice),
        };
        Race::run(&pool, &self.contestants(), Length { rounds, slice })
    }

    /// A criterion group of everybody, one after another.
    fn bench(&self, criterion: &mut Criterion) {
        let pool = Pool::new(self.threads);
        let mut group = criterion.benchmark_group(self.name);
        for one in self.contestants() {
            group.bench_function(BenchmarkId::from_parameter(one.name), |bencher| {
                bencher.iter_custom(|iterations| {
                    let times = iterations.div_ceil(pool.threads());
                    let took = pool.time(one.name, &one.work, times).took;
                    took.mul_f64(as_f64(iterations) / as_f64(times * pool.threads()))
                });
            });
        }
        group.finish();
    }
}

#[expect(clippy::cast_precision_loss, reason = "criterion asks for fewer than 2^53 iterations")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let given = |flag: &str| args.iter().any(|arg| arg == flag);
    let only_test = given("--test") || !given("--bench");
    let patterns: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |name: &str| {
        patterns.is_empty() || patterns.iter().any(|pattern| name.contains(pattern.as_str()))
    };

    if !given("--ratios") {
        let mut criterion = Criterion::default()
            .sample_size(20)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(600))
            .without_plots()
            .configure_from_args();
        for scene in &SCENES {
            scene.bench(&mut criterion);
        }
        criterion.final_summary();
    }
    if only_test {
        for scene in &SCENES {
            Scene { slice: Duration::from_micros(20), ..*scene }.race(1);
        }
    } else if given("--ratios") || patterns.is_empty() {
        ratios::print(wanted, |name| {
            let scene = SCENES.iter().find(|scene| scene.name == name).expect("a scene");
            scene.race(if scene.threads == 1 { 401 } else { 101 })
        });
    }
    if only_test || given("--ratios") || patterns.is_empty() {
        keyed::Run { only_test, wanted: &wanted }.print();
    }
}
