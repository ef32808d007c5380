//! What waiting costs: wall time, CPU time, polls, and order, for crowds of tasks and of threads.
//!
//! * `cargo bench -p tollgate-bench --bench wait`: all tables; takes about two minutes.
//! * `... --bench wait -- --test`: everything once, small, no figures.
//!
//! Everybody waits at once, in the same process, one crowd after another, in several rounds; each
//! figure is the median of the rounds.

#[path = "support/crowd.rs"]
mod crowd;
#[path = "support/random.rs"]
mod random;
#[path = "support/table.rs"]
mod table;
#[path = "support/threads.rs"]
mod threads;
#[path = "support/waiters.rs"]
mod waiters;

use std::time::{Duration, Instant};

use crowd::{Outcome, Plan};
use table::{Table, Target};
use threads::{Blocked, Threads};
use tollgate::{Quota, RateLimiter, TokenBucket};
use waiters::{BARE, OURS, PEERS, Waiter};

const PLAN: Plan =
    Plan { per_second: 5_000, burst: 5, waiters: 10_000, workers: 2, percent_cancelled: 0 };

/// How much of it is run.
#[derive(Clone, Copy)]
struct Size {
    rounds: u32,
    /// The waiters are divided by this.
    divisor: u32,
}

impl Size {
    /// Only a full run says something.
    fn print(self, table: &Table) {
        if self.divisor == 1 {
            table.print();
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let given = |flag: &str| args.iter().any(|arg| arg == flag);
    let only_test = given("--test") || !given("--bench");
    let size =
        if only_test { Size { rounds: 1, divisor: 100 } } else { Size { rounds: 3, divisor: 1 } };
    waiting(size);
    order(size);
    cancelling(size);
    faster_than_the_timer(size);
    blocking(size);
}

/// A crowd that just waits.
fn waiting(size: Size) {
    let plan = Plan { waiters: PLAN.waiters / size.divisor, ..PLAN };
    let all: Vec<Waiter> = [BARE].into_iter().chain(OURS).chain(PEERS).collect();
    let rounds = run(&all, &plan, size.rounds);
    let mut table = Table::new(
        "10,000 tasks wait at 5,000/s",
        ["what", "measured", "measured against", "value"],
    );
    for (index, (name, _)) in all.iter().enumerate() {
        let figure = |of: &dyn Fn(&Outcome) -> f64| {
            median(rounds.iter().map(|outcomes| of(&outcomes[index])).collect())
        };
        let ours = OURS.iter().any(|(our, _)| our == name);
        let most = |most| if ours { Target::AtMost(most) } else { Target::None };
        let wall = figure(&|one| one.wall().as_secs_f64());
        let ideal = figure(&|one| one.ideal().as_secs_f64());
        table.row(
            format!("{name}: wall time"),
            seconds(wall),
            seconds(ideal),
            wall / ideal,
            most(1.02),
        );
        let busy = figure(&|one| one.busy.as_secs_f64());
        let bare = median(rounds.iter().map(|all| all[0].busy.as_secs_f64()).collect());
        let ratio = median(rounds.iter().map(|all| ratio(all[index].busy, all[0].busy)).collect());
        table.row(format!("{name}: CPU time"), seconds(busy), seconds(bare), ratio, most(1.3));
        table.row(format!("{name}: polls"), "", "", figure(&Outcome::polls), most(2.0));
        let disorder = figure(&Outcome::out_of_order);
        table.row(format!("{name}: out of order"), "", "", disorder, Target::None);
    }
    size.print(&table);
}

/// The order of a crowd on one thread: with two, the machine may keep one of them from running what
/// it has woken, and that is not the limiter's order.
fn order(size: Size) {
    let plan = Plan { waiters: PLAN.waiters / size.divisor, workers: 1, ..PLAN };
    let all: Vec<Waiter> = [BARE].into_iter().chain(OURS).chain(PEERS).collect();
    let rounds = run(&all, &plan, 1);
    let mut table = Table::new(
        "10,000 tasks wait at 5,000/s on one thread",
        ["share that overtook another by more than 2 ms", "", "", "share"],
    );
    for ((name, _), outcome) in all.iter().zip(&rounds[0]) {
        let ours = OURS.iter().any(|(our, _)| our == name);
        let target = if ours { Target::AtMost(0.0) } else { Target::None };
        table.row(*name, "", "", outcome.out_of_order(), target);
    }
    size.print(&table);
}

/// A crowd of which some leave.
fn cancelling(size: Size) {
    let plan = Plan { waiters: PLAN.waiters / size.divisor, percent_cancelled: 30, ..PLAN };
    let all: Vec<Waiter> = OURS.into_iter().chain(PEERS).collect();
    let mut table = Table::new(
        "10,000 tasks wait at 5,000/s, 30% leave in the first second",
        ["share of the rate that was used", "wall", "ideal", "share"],
    );
    used(&mut table, &all, &plan, size.rounds);
    size.print(&table);
}

/// Rates at which several waiters are due within one tick of the timer.
fn faster_than_the_timer(size: Size) {
    let all = [BARE, OURS[0], OURS[1], PEERS[1]];
    for (title, per_second, waiters) in [
        ("20,000 tasks wait at 50,000/s", 50_000, 20_000),
        ("100,000 tasks wait at 200,000/s", 200_000, 100_000),
    ] {
        // The crowd takes a while to assemble: until it waits, what comes beyond the burst is lost.
        let burst = per_second / 100;
        let plan = Plan { per_second, burst, waiters: waiters / size.divisor, ..PLAN };
        let mut table =
            Table::new(title, ["share of the rate that was used", "wall", "ideal", "share"]);
        used(&mut table, &all, &plan, size.rounds);
        size.print(&table);
    }
}

/// Adds how much of the rate each used.
fn used(table: &mut Table, all: &[Waiter], plan: &Plan, rounds: u32) {
    let rounds = run(all, plan, rounds);
    for (index, (name, _)) in all.iter().enumerate() {
        let share = rounds.iter().map(|all| ratio(all[index].ideal(), all[index].wall())).collect();
        let figure = |of: &dyn Fn(&Outcome) -> Duration| {
            median(rounds.iter().map(|all| of(&all[index]).as_secs_f64()).collect())
        };
        let (wall, ideal) = (figure(&Outcome::wall), figure(&Outcome::ideal));
        let ours = OURS.iter().any(|(our, _)| our == name);
        let target = if ours { Target::AtLeast(0.99) } else { Target::None };
        let (wall, ideal) = (seconds(wall), seconds(ideal));
        table.row(*name, wall, ideal, median(share), target);
    }
}

/// Threads instead of tasks.
fn blocking(size: Size) {
    let threads = Threads { count: 1_000 / size.divisor, times: 10 };
    let plan = Plan { waiters: threads.total(), ..PLAN };
    let mut rounds: Vec<[Blocked; 2]> = Vec::new();
    for _ in 0..size.rounds {
        let quota = Quota::per_second(plan.per_second.into()).burst(plan.burst.into());
        let limiter = TokenBucket::new(quota).expect("a valid quota");
        let ours = threads.run(|_, _| {
            limiter.wait().expect("an open limiter");
        });
        let bare = threads.run(|permit, start| sleep_until(start + plan.due(permit)));
        rounds.push([ours, bare]);
    }
    let figure = |of: &dyn Fn(&[Blocked; 2]) -> f64| median(rounds.iter().map(of).collect());
    let wall = figure(&|[ours, _]| ours.wall.as_secs_f64());
    let bare_wall = figure(&|[_, bare]| bare.wall.as_secs_f64());
    let ideal = plan.due(plan.waiters - 1).as_secs_f64();
    let busy = figure(&|[ours, _]| ours.busy.as_secs_f64());
    let bare_busy = figure(&|[_, bare]| bare.busy.as_secs_f64());
    let busy_ratio = figure(&|[ours, bare]| ratio(ours.busy, bare.busy));
    let mut table = Table::new(
        "1,000 threads wait ten times each at 5,000/s",
        ["what", "measured", "measured against", "value"],
    );
    let against = |wall: f64| (seconds(wall), seconds(ideal));
    let (measured, perfect) = against(bare_wall);
    table.row("bare sleeps: wall time", measured, perfect, bare_wall / ideal, Target::None);
    let (measured, perfect) = against(wall);
    table.row("TokenBucket: wall time", measured, perfect, wall / ideal, Target::AtMost(1.02));
    let (measured, bare) = (seconds(busy), seconds(bare_busy));
    table.row("TokenBucket: CPU time", measured, bare, busy_ratio, Target::AtMost(1.3));
    size.print(&table);
}

fn sleep_until(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}

/// All of them, one after another, in each round.
fn run(all: &[Waiter], plan: &Plan, rounds: u32) -> Vec<Vec<Outcome>> {
    (0..rounds).map(|_| all.iter().map(|(_, wait)| wait(plan)).collect()).collect()
}

fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}

fn seconds(value: f64) -> String {
    format!("{value:.3} s")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
