//! The slowest single call of millions with fresh keys.
//!
//! Each call is timed with one reading of a clock: the difference to the one before. Two clocks
//! take turns. The wall's also counts when another process had the core; the thread's own CPU time
//! does not, but a reading takes a system call, which is in every figure. Ours and governor take
//! turns in one process, each with a new limiter; a figure is the median of the rounds'.
//!
//! Where many `String`s went idle, most of the slowest call may be the allocator's: glibc keeps
//! small freed pieces apart, and merges all of them when a large piece, such as a table, comes or
//! goes. With `GLIBC_TUNABLES=glibc.malloc.mxfast=0` it does not, which tells the two apart.

use std::time::{Duration, Instant};

use governor::clock::{self as peer_clock, FakeRelativeClock};
use rustix::time::{ClockId, clock_gettime};
use tollgate::{KeyedLimiter, ManualClock, MonotonicClock};

use crate::Size;
use crate::histogram::Histogram;
use crate::keyed_keys::Sort;
use crate::keyed_limiters::ByKey;
use crate::table::{Table, Target};

const CALLS: u32 = 10_000_000;
const ROUNDS: usize = 5;
/// Where tables do not grow as large, and so pauses are shorter.
const FEWER_ROUNDS: usize = 3;

/// When buckets are full again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Not while anything is measured: tables only grow.
    Never,
    /// After so many milliseconds: tables are swept.
    Soon(u32),
    /// All at once after each million calls: tables also shrink.
    Tide,
}

const PACES: [Pace; 4] = [Pace::Never, Pace::Soon(1), Pace::Soon(200), Pace::Tide];
/// Calls from one tide to the next.
const TIDE: u32 = 1_000_000;

/// What a call is timed with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timer {
    Wall,
    Own,
}

/// What is kept of a round.
#[derive(Clone, Copy)]
struct Pause {
    longest: u64,
    rare: u64,
}

pub(crate) fn print(size: Size) {
    sort::<u64>(size, "keyed, the slowest of 10,000,000 calls with fresh keys, u64");
    sort::<String>(size, "keyed, the slowest of 10,000,000 calls with fresh keys, String");
}

fn sort<K: Sort>(size: Size, title: &'static str) {
    let mut table = Table::new(title, ["buckets", "ours us", "governor us", "ratio"]);
    rows::<K>(size, &mut table);
    size.show(&table);
}

fn rows<K: Sort>(size: Size, table: &mut Table) {
    // One more, for the first to start from.
    let keys: Vec<K> = (0..=size.of(CALLS)).map(|number| K::numbered(number.into())).collect();
    for pace in PACES {
        for &timer in pace.timers() {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            let rounds = if pace == Pace::Never { ROUNDS } else { FEWER_ROUNDS };
            for round in 0..size.rounds(rounds) {
                let first = round % 2 == 0;
                for mine in [first, !first] {
                    let pause = timer.run(pace, &keys, size.of(TIDE), mine);
                    if mine { &mut ours } else { &mut theirs }.push(pause);
                }
            }
            let mut row = |what: &str, of: fn(&Pause) -> u64, target| {
                let what = format!("{}: {what}, {}", pace.name(), timer.name());
                let (ours, theirs) = (median(&ours, of), median(&theirs, of));
                table.row(
                    what,
                    format!("{ours:.1}"),
                    format!("{theirs:.1}"),
                    ours / theirs,
                    target,
                );
            };
            row("slowest", |pause| pause.longest, Target::AtMost(0.5));
            row("99.99 %", |pause| pause.rare, Target::None);
        }
    }
}

/// In microseconds.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn median(pauses: &[Pause], of: fn(&Pause) -> u64) -> f64 {
    let mut all: Vec<u64> = pauses.iter().map(of).collect();
    all.sort_unstable();
    all[all.len() / 2] as f64 / 1e3
}

impl Pace {
    fn name(self) -> String {
        match self {
            Self::Never => "never full again".to_owned(),
            Self::Soon(millis) => format!("full after {millis} ms"),
            Self::Tide => "all full each million".to_owned(),
        }
    }

    /// The wall's clock for what the target is for; a process beside this one disturbs it.
    fn timers(self) -> &'static [Timer] {
        if self == Self::Never { &[Timer::Wall, Timer::Own] } else { &[Timer::Own] }
    }

    /// A bucket of two permits has one left, and the other is back after this.
    fn period(self) -> Duration {
        match self {
            Self::Never | Self::Tide => Duration::from_hours(1),
            Self::Soon(millis) => Duration::from_millis(millis.into()),
        }
    }
}

impl Timer {
    fn name(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Own => "CPU",
        }
    }

    /// Asks a new limiter for each key: ours, or governor.
    fn run<K: Sort>(self, pace: Pace, keys: &[K], tide: u32, ours: bool) -> Pause {
        let quota = tollgate::Quota::per(1, pace.period()).burst(2);
        let builder = KeyedLimiter::<K>::builder(quota);
        let two = std::num::NonZeroU32::MIN.saturating_add(1);
        let quota = governor::Quota::with_period(pace.period()).expect("some time");
        let quota = quota.allow_burst(two);
        match (ours, pace == Pace::Tide) {
            (true, false) => {
                let limiter = builder.clock(MonotonicClock::new()).build().expect("a valid quota");
                self.of(&limiter, keys, tide, || ())
            }
            (true, true) => {
                let clock = ManualClock::new();
                let limiter = builder.clock(clock.clone()).build().expect("a valid quota");
                self.of(&limiter, keys, tide, || clock.advance(2 * pace.period()))
            }
            (false, false) => {
                let clock = peer_clock::MonotonicClock;
                let limiter = governor::RateLimiter::dashmap_with_clock(quota, clock);
                self.of(&limiter, keys, tide, || ())
            }
            (false, true) => {
                let clock = FakeRelativeClock::default();
                let limiter = governor::RateLimiter::dashmap_with_clock(quota, clock.clone());
                self.of(&limiter, keys, tide, || clock.advance(2 * pace.period()))
            }
        }
    }

    fn of<K: Sort, L: ByKey<K>>(self, it: &L, keys: &[K], tide: u32, turn: impl Fn()) -> Pause {
        match self {
            Self::Wall => {
                let start = Instant::now();
                let nanos = || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                time_each(it, keys, tide, turn, nanos)
            }
            Self::Own => time_each(it, keys, tide, turn, || {
                let now = clock_gettime(ClockId::ThreadCPUTime);
                let part = |part: i64| u64::try_from(part).unwrap_or(0);
                part(now.tv_sec) * 1_000_000_000 + part(now.tv_nsec)
            }),
        }
    }
}

/// Asks for each key, and calls `turn` after each `tide` of them.
fn time_each<K: Sort, L: ByKey<K>>(
    limiter: &L,
    keys: &[K],
    tide: u32,
    turn: impl Fn(),
    nanos: impl Fn() -> u64,
) -> Pause {
    let mut histogram = Histogram::new();
    for keys in keys.chunks(usize::try_from(tide).expect("it fits")) {
        turn();
        // Not the first, whose code is not there yet.
        assert!(limiter.ask(&keys[0]), "a fresh key");
        let mut before = nanos();
        for key in &keys[1..] {
            assert!(limiter.ask(key), "a fresh key");
            let now = nanos();
            histogram.count(now - before);
            before = now;
        }
    }
    Pause { longest: histogram.longest(), rare: histogram.all_but_one_in(10_000) }
}
