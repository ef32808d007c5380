//! A pool refuses only what no key can serve, whatever was refused before.

#![cfg(feature = "llm")]

use std::time::Duration;

use proptest::prelude::*;
use tollgate::llm::{KeyPool, LimitKind, Limits, Period, PoolPermit, Tokens};
use tollgate::{Clock as _, ManualClock};

const IDS: [&str; 4] = ["a", "b", "b2", "c"];

#[derive(Clone, Copy, Debug)]
enum Op {
    Acquire(Tokens),
    /// Ends one of the requests in flight.
    Settle(usize, Tokens),
    Cancel(usize),
    Limited(usize, u64),
    Unauthorized(usize),
    Remaining(usize, u64),
    SetLimits(usize, Limits),
    Restore(usize),
    Replace,
    Advance(u64),
}

fn tokens() -> impl Strategy<Value = Tokens> {
    (0..80_u64, 0..80_u64).prop_map(|(input, output)| Tokens::new(input, output))
}

fn limits() -> impl Strategy<Value = Limits> {
    (0..8_u64, 0..300_u64, 0..200_u64, 0..200_u64, 0..4_u64).prop_map(
        |(requests, total, input, output, at_once)| {
            Limits::new()
                .requests_per_minute(requests)
                .tokens_per_minute(total)
                .input_tokens_per_minute(input)
                .output_tokens_per_minute(output)
                .max_concurrent(at_once)
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let any = || 0..16_usize;
    prop_oneof![
        8 => tokens().prop_map(Op::Acquire),
        3 => (any(), tokens()).prop_map(|(which, actual)| Op::Settle(which, actual)),
        1 => any().prop_map(Op::Cancel),
        1 => (any(), 0..20_u64).prop_map(|(which, wait)| Op::Limited(which, wait)),
        1 => any().prop_map(Op::Unauthorized),
        1 => (any(), 0..100_u64).prop_map(|(which, left)| Op::Remaining(which, left)),
        1 => (any(), limits()).prop_map(|(which, limits)| Op::SetLimits(which, limits)),
        1 => any().prop_map(Op::Restore),
        1 => Just(Op::Replace),
        3 => (0..20_000_u64).prop_map(Op::Advance),
    ]
}

/// Whether a key can serve, by what it says of itself.
fn can_serve(pool: &KeyPool<(), ManualClock>, id: &str, tokens: Tokens) -> bool {
    let Some(usage) = pool.usage(id) else { return false };
    let is_free = usage.max_in_flight.is_none_or(|most| usage.in_flight < most);
    let has_room = usage.limits.iter().all(|limit| {
        let cost = match limit.kind {
            LimitKind::Tokens(Period::MINUTE) => tokens.total(),
            LimitKind::InputTokens(Period::MINUTE) => tokens.input,
            LimitKind::OutputTokens(Period::MINUTE) => tokens.output,
            _ => 1,
        };
        // A debt is in the way of requests that cost nothing, too.
        limit.used + cost <= limit.limit
    });
    is_free && has_room && usage.paused_for.is_none()
}

fn take<T>(all: &mut Vec<T>, which: usize) -> Option<T> {
    (!all.is_empty()).then(|| all.swap_remove(which % all.len()))
}

proptest! {
    #[test]
    fn refuses_only_what_no_key_can_serve(
        first in prop::collection::vec(limits(), 3),
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let clock = ManualClock::new();
        clock.advance(Duration::from_secs(3_600));
        let pool = KeyPool::builder().clock(clock.clone()).build();
        pool.add("a", (), first[0]).expect("new");
        pool.add("b", (), first[1]).expect("new");
        pool.add_sharing("b", "b2", ()).expect("new");
        pool.add("c", (), first[2]).expect("new");
        let mut out: Vec<String> = Vec::new();
        let mut in_flight: Vec<PoolPermit<'_, (), ManualClock>> = Vec::new();
        for op in ops {
            match op {
                Op::Acquire(tokens) => {
                    let able: Vec<_> = IDS
                        .into_iter()
                        .filter(|id| !out.iter().any(|out| out == id))
                        .filter(|id| can_serve(&pool, id, tokens))
                        .collect();
                    match pool.try_acquire(tokens) {
                        Ok(permit) => {
                            prop_assert!(able.contains(&permit.id()), "{} of {able:?}", permit.id());
                            in_flight.push(permit);
                        }
                        Err(error) => prop_assert!(able.is_empty(), "{error}, but {able:?} can"),
                    }
                }
                Op::Settle(which, actual) => {
                    if let Some(permit) = take(&mut in_flight, which) { permit.settle(actual); }
                }
                Op::Cancel(which) => {
                    if let Some(permit) = take(&mut in_flight, which) { permit.cancel(); }
                }
                Op::Limited(which, wait) => {
                    if let Some(permit) = take(&mut in_flight, which) {
                        permit.limited([("retry-after", wait.to_string())]);
                    }
                }
                Op::Unauthorized(which) => {
                    if let Some(permit) = take(&mut in_flight, which) {
                        // A key that was replaced since is another one.
                        out.push(permit.id().to_owned());
                        permit.unauthorized();
                    }
                }
                Op::Remaining(which, left) => {
                    if let Some(permit) = in_flight.get(which % in_flight.len().max(1)) {
                        permit.observe([("x-ratelimit-remaining-tokens", left.to_string())]);
                    }
                }
                Op::SetLimits(which, limits) => {
                    pool.set_limits(IDS[which % IDS.len()], limits).expect("valid limits");
                }
                Op::Restore(which) => {
                    let id = IDS[which % IDS.len()];
                    out.retain(|out| out != id);
                    pool.restore(id);
                }
                Op::Replace => {
                    // Nothing of it is in flight, so that its place is free again.
                    if in_flight.iter().all(|permit| permit.id() != "a") {
                        pool.remove("a");
                        out.retain(|out| out != "a");
                        pool.add("a", (), first[0]).expect("new");
                    }
                }
                Op::Advance(millis) => {
                    clock.advance(Duration::from_millis(millis));
                    prop_assert!(clock.now().as_nanos() > 0);
                }
            }
        }
    }
}
