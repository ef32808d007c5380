//! Whatever is done in whichever order: what counts as used is what permits took and did not give
//! back, less what was refilled since.

mod model;

use std::time::Duration;

use proptest::prelude::*;
use tollgate::ManualClock;
use tollgate::llm::{KeyPool, LimitKind, OnDrop, Period, PoolPermit, Tokens};

use crate::support::Pool;
use model::{Key, Rates, cost, limits};

const IDS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Step {
    Acquire(Tokens),
    Settle(usize, Tokens),
    Cancel(usize),
    Drop(usize),
    Limited(usize, u64),
    Unauthorized(usize),
    Observe(usize, u64, u64),
    Restore(usize),
    SetLimits(usize, Rates),
    Add(usize, Rates),
    Remove(usize),
    Advance(u64),
}

fn tokens() -> impl Strategy<Value = Tokens> {
    (0_u64..200, 0_u64..200).prop_map(|(input, output)| Tokens::new(input, output))
}

fn rates() -> impl Strategy<Value = Rates> {
    prop::array::uniform6(prop_oneof![2 => Just(0), 1 => 1_u64..20])
}

fn step() -> impl Strategy<Value = Step> {
    let (any, id) = (|| 0_usize..50, || 0_usize..3);
    prop_oneof![
        12 => tokens().prop_map(Step::Acquire),
        4 => (any(), tokens()).prop_map(|(at, actual)| Step::Settle(at, actual)),
        1 => any().prop_map(Step::Cancel),
        1 => any().prop_map(Step::Drop),
        1 => (any(), 1_u64..5).prop_map(|(at, wait)| Step::Limited(at, wait)),
        1 => any().prop_map(Step::Unauthorized),
        2 => (any(), 1_u64..20, 0_u64..1_200).prop_map(|(at, rate, r)| Step::Observe(at, rate, r)),
        1 => id().prop_map(Step::Restore),
        1 => (id(), rates()).prop_map(|(id, rates)| Step::SetLimits(id, rates)),
        3 => (id(), rates()).prop_map(|(id, rates)| Step::Add(id, rates)),
        1 => id().prop_map(Step::Remove),
        2 => (0_u64..20).prop_map(Step::Advance),
    ]
}

/// A permit, and the key it is of.
struct Out<'a> {
    id: usize,
    born: usize,
    flight: u64,
    permit: PoolPermit<'a, &'static str, ManualClock>,
}

struct Both<'a> {
    clock: ManualClock,
    pool: &'a Pool,
    on_drop: OnDrop,
    now: u64,
    keys: [Option<Key>; 3],
    out: Vec<Out<'a>>,
}

impl<'a> Both<'a> {
    /// Ends one of the permits; its key in the model is there unless it was removed.
    fn end(&mut self, at: usize) -> Option<(Out<'a>, Option<&mut Key>)> {
        if self.out.is_empty() {
            return None;
        }
        let out = self.out.swap_remove(at % self.out.len());
        let key = self.keys[out.id].as_mut().filter(|key| key.born == out.born);
        Some((out, key))
    }

    fn land(&mut self, at: usize, took: impl Fn(LimitKind, Tokens) -> u64) -> Option<Out<'a>> {
        let (out, key) = self.end(at)?;
        let estimate = out.permit.estimate();
        if let Some(key) = key {
            key.land(out.flight, estimate, |kind| took(kind, estimate));
        }
        Some(out)
    }

    fn acquire(&mut self, tokens: Tokens) {
        let can = |key: &Option<Key>| key.as_ref().is_some_and(|k| k.can_serve(self.now, tokens));
        let can = [can(&self.keys[0]), can(&self.keys[1]), can(&self.keys[2])];
        let Ok(permit) = self.pool.try_acquire(tokens) else {
            assert_eq!(can, [false; 3]);
            return;
        };
        let id = IDS.iter().position(|id| *id == permit.id()).unwrap();
        // A limit that a server has told lowers the estimate, instead of refusing it for ever.
        let tokens = permit.estimate();
        let key = self.keys[id].as_mut().unwrap();
        assert!(key.can_serve(self.now, tokens));
        let flight = key.take(tokens);
        self.out.push(Out { id, born: key.born, flight, permit });
    }

    fn observe(&mut self, at: usize, rate: u64, remaining: u64) {
        if self.out.is_empty() {
            return;
        }
        let out = &self.out[at % self.out.len()];
        let key = self.keys[out.id].as_mut().filter(|key| key.born == out.born);
        // A limit that is only learned is counted strictly at first: another model.
        let kind = LimitKind::Tokens(Period::MINUTE);
        let Some(key) = key.filter(|key| key.has(kind)) else { return };
        let (id, most) = (IDS[out.id], rate * 60);
        let remaining = remaining.min(most);
        let limit = ("x-ratelimit-limit-tokens", most.to_string());
        // A raised limit may count again more than in the model. A response without the remaining
        // number shows how much that is, and the next response what the server counts beyond it.
        if key.has_forgiven(kind) {
            out.permit.observe([limit.clone()]);
            let usage = self.pool.usage(id).unwrap();
            key.learn(kind, most, &usage);
            key.agrees_with(&usage);
        }
        out.permit.observe([limit, ("x-ratelimit-remaining-tokens", remaining.to_string())]);
        let usage = self.pool.usage(id).unwrap();
        key.learn(kind, most, &usage);
        key.learn_remaining(kind, remaining, &usage);
    }

    fn step(&mut self, number: usize, step: &Step) {
        match *step {
            Step::Acquire(tokens) => self.acquire(tokens),
            Step::Settle(at, actual) => {
                if let Some(out) = self.land(at, |kind, _| cost(kind, actual)) {
                    out.permit.settle(actual);
                }
            }
            Step::Cancel(at) => {
                if let Some(out) = self.land(at, |_, _| 0) {
                    out.permit.cancel();
                }
            }
            Step::Drop(at) => {
                let keep = self.on_drop == OnDrop::Keep;
                self.land(at, |kind, estimate| if keep { cost(kind, estimate) } else { 0 });
            }
            Step::Limited(at, wait) => {
                let until = self.now + wait;
                if let Some(out) = self.land(at, |kind, _| cost(kind, Tokens::default())) {
                    if let Some(key) = &mut self.keys[out.id] {
                        if key.born == out.born {
                            key.paused_until = key.paused_until.max(until);
                        }
                    }
                    out.permit.limited([("retry-after", wait.to_string())]);
                }
            }
            Step::Unauthorized(at) => {
                if let Some(out) = self.land(at, |_, _| 0) {
                    if let Some(key) = &mut self.keys[out.id] {
                        if key.born == out.born {
                            key.out = true;
                        }
                    }
                    out.permit.unauthorized();
                }
            }
            Step::Observe(at, rate, remaining) => self.observe(at, rate, remaining),
            Step::Restore(id) => {
                assert_eq!(self.pool.restore(IDS[id]), self.keys[id].is_some());
                if let Some(key) = &mut self.keys[id] {
                    (key.out, key.paused_until) = (false, 0);
                }
            }
            Step::SetLimits(id, rates) => {
                let set = self.pool.set_limits(IDS[id], limits(rates));
                assert_eq!(set.is_ok(), self.keys[id].is_some());
                if let Some(key) = &mut self.keys[id] {
                    key.set_limits(rates);
                    key.paused_until = 0;
                }
            }
            Step::Add(id, rates) => {
                let added = self.pool.add(IDS[id], "", limits(rates));
                assert_eq!(added.is_ok(), self.keys[id].is_none());
                self.keys[id].get_or_insert_with(|| Key::new(number, rates));
            }
            Step::Remove(id) => {
                assert_eq!(self.pool.remove(IDS[id]), self.keys[id].take().is_some());
            }
            Step::Advance(secs) => {
                self.now += secs;
                self.clock.advance(Duration::from_secs(secs));
                self.keys.iter_mut().flatten().for_each(|key| key.tick(secs));
            }
        }
        for (id, key) in IDS.into_iter().zip(&mut self.keys) {
            match (key, self.pool.usage(id)) {
                (Some(key), Some(usage)) => key.agrees_with(&usage),
                (None, None) => {}
                (key, usage) => panic!("{id}: {key:?}, {usage:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn tokens_are_conserved_whatever_is_done(
        refund in any::<bool>(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let on_drop = if refund { OnDrop::Refund } else { OnDrop::Keep };
        conserved(on_drop, &steps);
    }
}

/// Does these steps to a pool of one key with 900 tokens per minute, and to the model.
fn conserved(on_drop: OnDrop, steps: &[Step]) {
    let clock = ManualClock::new();
    let builder = KeyPool::builder().on_drop(on_drop).try_first(false).clock(clock.clone());
    // The model knows no limits that nobody has stated.
    let pool: Pool = builder.provisional_limit(false).build();
    let keys = [const { None }; 3];
    let mut both = Both { clock, pool: &pool, on_drop, now: 0, keys, out: Vec::new() };
    both.step(0, &Step::Add(0, [0, 15, 0, 0, 0, 0]));
    for (number, step) in (1..).zip(steps) {
        both.step(number, step);
    }
}

/// Tokens that were all estimated to be generated.
fn output(tokens: u64) -> Tokens {
    Tokens::new(0, tokens)
}

#[test]
fn what_was_not_given_back_is_refilled() {
    // A limit of 60 leaves 60 of the first 241 tokens to be given back; the server counts 30 more.
    let steps = [
        Step::Acquire(output(182)),
        Step::Acquire(output(59)),
        Step::Observe(0, 1, 0),
        Step::SetLimits(0, [0, 17, 0, 0, 0, 0]),
        Step::Acquire(output(93)),
        Step::Advance(6),
        // 102 of the 364 tokens have been refilled, and only 60 of the 182 are given back.
        Step::Cancel(0),
        // Without the 182 and these 93, the refill would have left nothing in use. But of the 122
        // tokens that were not given back, it has refilled no more than 13.
        Step::Cancel(0),
    ];
    conserved(OnDrop::Keep, &steps);
}

#[test]
fn an_absurd_usage_is_charged_up_to_the_refill_of_ten_minutes() {
    let steps =
        [Step::Acquire(output(60)), Step::Observe(0, 1, 0), Step::Settle(0, output(100_000))];
    conserved(OnDrop::Keep, &steps);
}

#[test]
fn more_than_four_groups_of_requests_give_back_a_little_less() {
    let mut steps = vec![Step::SetLimits(0, [0, 0, 0, 0, 0, 1])];
    for _ in 0..6 {
        steps.extend([Step::Acquire(output(100)), Step::Advance(1)]);
    }
    steps.extend([1, 0, 0, 0, 0, 0].map(Step::Cancel));
    conserved(OnDrop::Keep, &steps);
}
