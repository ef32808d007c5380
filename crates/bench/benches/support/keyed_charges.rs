//! Several limits in one decision, against as many decisions one after another.
//!
//! Known keys, plenty of permits, one thread. Both take turns for a few hundred microseconds each,
//! so that whatever else the machine does meets both; a figure is the median of all turns, in the
//! thread's own CPU time.

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};
use tollgate::{KeyedLimiter, Quota, RateLimiter, TokenBucket, take_all, take_each};

use crate::Size;
use crate::table::{Table, Target};

pub(crate) const KEYS: u64 = 1_000;
/// Decisions in a turn.
const TURN: u32 = 20_000;
const TURNS: usize = 301;

pub(crate) const AMPLE: Quota = Quota::per_second(1_000_000).burst(1_000_000_000);
/// So much of it that no bucket is full again before the end.
pub(crate) const IN_USE: u64 = 900_000_000;

pub(crate) fn print(size: Size) {
    let heads = ["limits", "one by one ns", "together ns", "ratio"];
    let mut table = Table::new("keyed, several limits in one decision", heads);
    rows(size, &mut table).expect("valid quotas");
    size.show(&table);
}

fn rows(size: Size, table: &mut Table) -> Result<(), tollgate::QuotaError> {
    let names: Vec<String> = (0..KEYS).map(|key| format!("{key:016x}")).collect();
    let name = |key: u64| names[usize::try_from(key).unwrap_or(0)].as_str();
    let per_user = KeyedLimiter::<String>::new(AMPLE)?;
    let per_address = KeyedLimiter::<u64>::new(AMPLE)?;
    let per_route = KeyedLimiter::<u64>::new(AMPLE)?;
    let in_tiers = KeyedLimiter::<u64>::new(AMPLE)?;
    let gold = in_tiers.tier(Quota::per_second(2_000_000).burst(1_000_000_000))?;
    let all = TokenBucket::new(AMPLE)?;
    for key in 0..KEYS {
        assert!(per_user.allow_n(name(key), IN_USE));
        assert!(per_address.allow_n(&key, IN_USE) && per_route.allow_n(&key, IN_USE));
        assert!(in_tiers.charge(&key).cost(IN_USE).under(&gold).allow());
    }
    assert!(all.allow_n(IN_USE));
    let mut row = |what: &str, target, one: &mut dyn FnMut(u64), other: &mut dyn FnMut(u64)| {
        let (one, other) = compare(size, one, other);
        table.row(what, format!("{one:.1}"), format!("{other:.1}"), other / one, target);
    };
    row(
        "3 keyed: user, address, route",
        Target::AtMost(1.1),
        &mut |key| {
            let (user, address) = (per_user.allow(name(key)), per_address.allow(&key));
            black_box(user & address & per_route.allow(&key));
        },
        &mut |key| {
            let (mut user, mut address) = (per_user.charge(name(key)), per_address.charge(&key));
            black_box(take_all(&mut [&mut user, &mut address, &mut per_route.charge(&key)]));
        },
    );
    row(
        "the same, with all answers",
        Target::AtMost(1.1),
        &mut |key| {
            black_box(per_user.try_acquire(name(key), 1)).ok();
            black_box(per_address.try_acquire(&key, 1)).ok();
            black_box(per_route.try_acquire(&key, 1)).ok();
        },
        &mut |key| {
            let (mut user, mut address) = (per_user.charge(name(key)), per_address.charge(&key));
            let mut route = per_route.charge(&key);
            black_box(take_all(&mut [&mut user, &mut address, &mut route]));
            black_box((user.answer(), address.answer(), route.answer()));
        },
    );
    row(
        "2 keyed and a token bucket",
        Target::AtMost(1.1),
        &mut |key| {
            let (user, address) = (per_user.allow(name(key)), per_address.allow(&key));
            black_box(user & address & all.allow());
        },
        &mut |key| {
            let (mut user, mut address) = (per_user.charge(name(key)), per_address.charge(&key));
            black_box(take_all(&mut [&mut user, &mut address, &mut all.charge(1)]));
        },
    );
    row(
        "1 keyed in a tier, against a plain key",
        Target::None,
        &mut |key| {
            black_box(per_address.allow(&key));
        },
        &mut |key| {
            black_box(in_tiers.charge(&key).under(&gold).allow());
        },
    );
    row(
        "one key twice",
        Target::None,
        &mut |key| {
            black_box(per_address.allow(&key) & per_address.allow(&key));
        },
        &mut |key| {
            black_box(take_each(&mut [per_address.charge(&key), per_address.charge(&key)]));
        },
    );
    let scarce = KeyedLimiter::<u64>::new(Quota::per_hour(1))?;
    for key in 0..KEYS {
        assert!(scarce.allow(&key));
    }
    row(
        "3 keyed, the third of which refuses",
        Target::None,
        &mut |key| {
            let (user, address) = (per_user.allow(name(key)), per_address.allow(&key));
            black_box(user & address & scarce.allow(&key));
        },
        &mut |key| {
            let (mut user, mut address) = (per_user.charge(name(key)), per_address.charge(&key));
            black_box(take_all(&mut [&mut user, &mut address, &mut scarce.charge(&key)]));
        },
    );
    Ok(())
}

/// The median time of each, in nanoseconds.
pub(crate) fn compare(
    size: Size,
    one: &mut dyn FnMut(u64),
    other: &mut dyn FnMut(u64),
) -> (f64, f64) {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for round in 0..size.rounds(TURNS) {
        // The first of the two may find the caches as another left them.
        if round % 2 == 0 {
            ones.push(time(size, one));
            others.push(time(size, other));
        } else {
            others.push(time(size, other));
            ones.push(time(size, one));
        }
    }
    (median(ones), median(others))
}

fn time(size: Size, act: &mut dyn FnMut(u64)) -> f64 {
    let times = size.of(TURN);
    let before = own_time();
    (0..u64::from(times)).for_each(|i| act(i % KEYS));
    (own_time() - before) / f64::from(times)
}

/// The thread's CPU time, in nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn own_time() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
