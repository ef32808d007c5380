//! Whatever is asked of a pool of models with few places: what it answers is what a pool answers in
//! which each model has a place for ever.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::shared::Shared;
use super::{ModelPermit, ModelPool, ModelReservation};
use crate::llm::{Error, KeyPool, Limits, Reply};
use crate::{Clock, ManualClock, Timestamp};

type Pool = ModelPool<(), ManualClock>;
type Permit = ModelPermit<(), ManualClock>;

const PLACES: usize = 3;
/// The first rest of an account that is spent.
const REST: Duration = Duration::from_secs(120);
const MODELS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
const KEYS: [&str; 2] = ["main", "shares"];

#[derive(Clone, Debug)]
enum Step {
    Acquire(usize, u64),
    Reserve(usize, u64),
    LeaveReservation(usize),
    Settle(usize, u64),
    Cancel(usize),
    Answer(usize, u16),
    Pause(usize, u64),
    SetLimits(usize, usize, u64),
    Restore(usize),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (any, model, tokens) = (|| 0_usize..50, || 0..MODELS.len(), || 0_u64..100);
    prop_oneof![
        12 => (model(), tokens()).prop_map(|(model, tokens)| Step::Acquire(model, tokens)),
        2 => (model(), tokens()).prop_map(|(model, tokens)| Step::Reserve(model, tokens)),
        2 => any().prop_map(Step::LeaveReservation),
        4 => (any(), tokens()).prop_map(|(at, tokens)| Step::Settle(at, tokens)),
        2 => any().prop_map(Step::Cancel),
        1 => (any(), prop::sample::select(vec![401, 402])).prop_map(|(at, s)| Step::Answer(at, s)),
        1 => (any(), 1_u64..60).prop_map(|(at, wait)| Step::Pause(at, wait)),
        1 => (0..KEYS.len(), model(), 1_u64..200)
            .prop_map(|(key, model, tokens)| Step::SetLimits(key, model, tokens)),
        1 => (0..KEYS.len()).prop_map(Step::Restore),
        4 => (1_u64..40).prop_map(Step::Advance),
    ]
}

fn pool(clock: &ManualClock, places: usize) -> Pool {
    let options = KeyPool::builder().clock(clock.clone());
    let pool = ModelPool { shared: Arc::new(Shared::with_places(options, places)) };
    pool.add("main", (), Limits::new().tokens_per_minute(100)).expect("a new key");
    pool.add_sharing("main", "shares", ()).expect("a new key");
    pool
}

/// Why a request was refused.
fn said<T>(answer: &Result<T, Error>) -> Option<&Error> {
    answer.as_ref().err()
}

/// What is open of the same request in both pools.
type Open<T> = Vec<(T, T)>;

/// One of what is open.
fn any_of<T>(open: &mut Open<T>, at: usize) -> Option<(T, T)> {
    (!open.is_empty()).then(|| open.swap_remove(at % open.len()))
}

fn has_place(pool: &Pool, model: &str) -> bool {
    pool.models().iter().any(|known| **known == *model)
}

/// Runs the steps on a pool with few places and on one with many.
fn run(steps: Vec<Step>) {
    let clock = ManualClock::new();
    let (few, many) = (pool(&clock, PLACES), pool(&clock, 1_000));
    let (mut permits, mut reserved): (Open<Permit>, Open<ModelReservation<(), ManualClock>>) =
        Default::default();
    let mut rest: Option<Timestamp> = None;
    for step in steps {
        match step {
            Step::Acquire(model, tokens) => {
                let ask = |pool: &Pool| pool.try_acquire(MODELS[model], tokens);
                let one = ask(&few);
                if !has_place(&few, MODELS[model]) {
                    // It shares limits with others, and is not compared.
                    one.map(Permit::cancel).ok();
                    continue;
                }
                let other = ask(&many);
                assert_eq!(said(&one), said(&other), "{}", MODELS[model]);
                permits.extend(one.ok().zip(other.ok()));
            }
            Step::Reserve(model, tokens) => {
                let ask = |pool: &Pool| pool.reserve(MODELS[model], tokens);
                let one = ask(&few);
                if has_place(&few, MODELS[model]) {
                    let other = ask(&many);
                    assert_eq!(said(&one), said(&other), "{}", MODELS[model]);
                    reserved.extend(one.ok().zip(other.ok()));
                }
            }
            Step::LeaveReservation(at) => drop(any_of(&mut reserved, at)),
            // They end the rest or the trial of a spent account in that model alone, until it makes
            // room. A second rest is longer only where the first one is remembered.
            Step::SetLimits(..) | Step::Settle(..) | Step::Answer(_, 402) if rest.is_some() => {}
            Step::Settle(at, tokens) => {
                for permit in any_of(&mut permits, at).map(<[_; 2]>::from).into_iter().flatten() {
                    permit.settle(tokens);
                }
            }
            Step::Cancel(at) => {
                for permit in any_of(&mut permits, at).map(<[_; 2]>::from).into_iter().flatten() {
                    permit.cancel();
                }
            }
            Step::Answer(at, status) => {
                let Some((one, other)) = any_of(&mut permits, at) else { continue };
                // Which of two keys that share an account is taken begins anew with a model.
                if one.id() == other.id() {
                    rest = rest.or((status == 402).then(|| clock.now() + REST));
                    one.end(&Reply::new(status));
                    other.end(&Reply::new(status));
                }
            }
            Step::Pause(at, wait) => {
                for permit in any_of(&mut permits, at).map(<[_; 2]>::from).into_iter().flatten() {
                    permit.limited_for(Duration::from_secs(wait));
                }
            }
            Step::SetLimits(key, model, tokens) => {
                let limits = Limits::new().tokens_per_minute(tokens);
                let set = |pool: &Pool| pool.set_limits(KEYS[key], MODELS[model], limits);
                assert_eq!(set(&few), set(&many));
            }
            Step::Restore(key) => assert_eq!(few.restore(KEYS[key]), many.restore(KEYS[key])),
            Step::Advance(seconds) => clock.advance(Duration::from_secs(seconds)),
        }
        // That an account was spent before its rest, and sends one request first, is lost with a place.
        if rest.is_some_and(|rest| rest <= clock.now()) {
            return;
        }
        // Nobody who is served loses its place.
        assert!(few.models().len() <= PLACES + 1);
        for (permit, _) in &permits {
            assert!(has_place(&few, permit.model()), "{permit:?}");
        }
        for (one, other) in &reserved {
            assert!(has_place(&few, one.model()), "{one:?}");
            assert_eq!(one.delay(), other.delay());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_model_that_has_made_room_has_lost_nothing(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run(steps);
    }
}
