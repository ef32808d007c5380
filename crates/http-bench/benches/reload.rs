//! A reload of a large policy, and decisions meanwhile.
//!
//! * `cargo bench -p tollgate-http-bench --bench reload`: all tables.
//! * `... --bench reload -- --test`: everything once, small, no figures.
//!
//! The policy is a text of 10,000 subjects. One thread asks the layer without a pause and times
//! each request; another one reads the policy and puts it in force, 20 times. Because the longest
//! of millions of requests may just have been the one during which the machine did something else,
//! two runs without reloads are beside it: one in which nothing else happens, and one in which the
//! other thread reads the policy and then throws it away. And each run is made twice: by the wall's
//! clock, and by the thread's own CPU time, which another process on its core does not disturb, but
//! in which no waiting for a lock would show either.

#[path = "support/driver.rs"]
#[expect(dead_code, reason = "nothing races")]
mod driver;
#[path = "../../bench/benches/support/histogram.rs"]
mod histogram;
#[path = "support/requests.rs"]
#[expect(dead_code, reason = "requests have no users")]
mod requests;
#[path = "support/size.rs"]
mod size;
#[path = "support/spread.rs"]
mod spread;
#[path = "support/table.rs"]
mod table;
#[path = "../../bench/benches/support/work.rs"]
#[expect(dead_code, reason = "nothing races")]
mod work;

use std::fmt::Write;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tollgate_http::{HttpLimiter, Policy, RateLimitLayer};
use tower::Layer;

use driver::Prompt;
use histogram::Histogram;
use requests::{Crowd, NoOp};
use size::Size;
use spread::Spread;
use table::{Table, Target};

const SUBJECTS: u32 = 10_000;
const ROUNDS: usize = 20;
/// Between two reloads.
const PAUSE: Duration = Duration::from_millis(50);

fn main() {
    let (size, _) = Size::from_args();
    let texts = [text(size.of(SUBJECTS), 60), text(size.of(SUBJECTS), 61)];
    parts(size, &texts);
    decisions(size, &texts);
}

/// A policy with so many subjects, half of them by user and half by address, and this quota.
fn text(subjects: u32, quota: u32) -> String {
    let mut text = format!(
        "version = 1\nalways = [\"calls\"]\n[limits.calls]\nquota = \"{quota}000000/s\"\n\
         key = \"address\"\n[tiers.premium]\ncalls = \"{quota}000001/s\"\n"
    );
    for number in 0..subjects {
        let who = if number % 2 == 0 {
            format!("user = \"user-{number:06}\"")
        } else {
            format!("address = \"10.1.{}.{}\"", number / 256, number % 256)
        };
        let _ = write!(text, "[[subjects]]\n{who}\ntier = \"premium\"\n");
    }
    text
}

/// What a reload consists of.
fn parts(size: Size, texts: &[String; 2]) {
    let read = |at: usize| texts[at % 2].parse::<Policy>().expect("a valid policy");
    let limiter = HttpLimiter::new(read(0)).expect("memory keeps any limit");
    let (mut reading, mut compiling, mut reloading, mut all) = (vec![], vec![], vec![], vec![]);
    for round in 1..=size.rounds(ROUNDS) {
        let begun = Instant::now();
        let policy = read(round);
        reading.push(millis(begun));
        let fresh = Instant::now();
        black_box(HttpLimiter::new(&policy)).expect("memory keeps any limit");
        compiling.push(millis(fresh));
        let swapped = Instant::now();
        limiter.reload(&policy).expect("memory keeps any limit");
        reloading.push(millis(swapped));
        all.push(reading[round - 1] + reloading[round - 1]);
    }
    let mut table = Table::new("reload: 10,000 subjects", &["part", "median ms", "quartiles"]);
    for (part, times, target) in [
        ("read and check", reading, Target::None),
        ("compile, and put in force", reloading, Target::None),
        ("the whole reload", all, Target::AtMost(50.0)),
        ("a new limiter, to compare with", compiling, Target::None),
    ] {
        let times = Spread::of(times);
        let cells = [part.to_owned(), format!("{:.2}", times.median), times.to_string()];
        table.row(cells, times.median, target);
    }
    size.show(&table);
}

/// What the other thread does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    Reading,
    Reloading,
}

/// With which clock requests are timed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timer {
    Wall,
    Own,
}

impl Timer {
    fn name(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Own => "CPU",
        }
    }

    fn now(self) -> Duration {
        let clock = match self {
            Self::Wall => ClockId::Monotonic,
            Self::Own => ClockId::ThreadCPUTime,
        };
        Duration::try_from(clock_gettime(clock)).unwrap_or_default()
    }
}

fn decisions(size: Size, texts: &[String; 2]) {
    let heads = ["meanwhile", "clock", "requests", "median us", "99.9 % us", "longest ms"];
    let mut table = Table::new("reload: the time of a request meanwhile", &heads);
    for timer in [Timer::Wall, Timer::Own] {
        for (name, meanwhile, target) in [
            ("nothing", Meanwhile::Nothing, Target::None),
            ("a policy is read, and thrown away", Meanwhile::Reading, Target::None),
            ("reloads", Meanwhile::Reloading, Target::AtMost(1.0)),
        ] {
            let (histogram, count) = decide(size, texts, meanwhile, timer);
            let longest = nanos(histogram.longest()) / 1e6;
            table.row(
                [
                    name.to_owned(),
                    timer.name().to_owned(),
                    count.to_string(),
                    format!("{:.2}", nanos(histogram.all_but_one_in(2)) / 1e3),
                    format!("{:.2}", nanos(histogram.all_but_one_in(1_000)) / 1e3),
                    format!("{longest:.3}"),
                ],
                longest,
                target,
            );
        }
    }
    size.show(&table);
}

/// Times requests until the other thread is done.
fn decide(size: Size, texts: &[String; 2], meanwhile: Meanwhile, timer: Timer) -> (Histogram, u64) {
    let first: Policy = texts[0].parse().expect("a valid policy");
    let limiter = HttpLimiter::new(&first).expect("memory keeps any limit");
    let mut service = RateLimitLayer::new(limiter.clone()).layer(NoOp);
    let crowd = Crowd::of(1_000);
    let is_done = AtomicBool::new(false);
    let mut histogram = Histogram::new();
    let mut count = 0;
    driver::meet(&mut service, &crowd);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=size.rounds(ROUNDS) {
                thread::sleep(size.slice(PAUSE));
                if meanwhile != Meanwhile::Nothing {
                    let policy: Policy = texts[round % 2].parse().expect("a valid policy");
                    if meanwhile == Meanwhile::Reloading {
                        limiter.reload(&policy).expect("memory keeps any limit");
                    }
                }
            }
            is_done.store(true, Ordering::Relaxed);
        });
        let mut before = timer.now();
        while !is_done.load(Ordering::Relaxed) {
            black_box(service.ask(crowd.request(count)));
            let now = timer.now();
            histogram
                .count(u64::try_from(now.saturating_sub(before).as_nanos()).unwrap_or(u64::MAX));
            before = now;
            count += 1;
        }
    });
    (histogram, count)
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn nanos(count: u64) -> f64 {
    count as f64
}
