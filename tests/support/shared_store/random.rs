//! Random asks, each answer of which is compared with exact models.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Ask, Charge, LimitSpec, Namespace, Part, Rule, Verb};

use super::StoreUnderTest;
use super::dice::Dice;
use super::scene::Scene;
use super::world::{Limit, World};

const SUBJECTS: [&str; 3] = ["alice", "bob", "carol"];

/// Token buckets whose permits take a whole number of microseconds, and others.
fn buckets() -> Limit {
    let odd = Quota::per(7, Duration::from_secs(3)).burst(12);
    let slow = Quota::per(999, Duration::from_secs(61)).burst(5);
    (Rule::TokenBucket, vec![Quota::per_second(10), odd, slow])
}

/// One quota, which is not to change.
fn only(rule: Rule, permits: u64, period: Duration) -> Limit {
    (rule, vec![Quota::per(permits, period)])
}

pub(crate) fn token_buckets_are_exact(store: &dyn StoreUnderTest) {
    compare(store, "token buckets", vec![vec![buckets()]]);
}

pub(crate) fn fixed_windows_are_exact(store: &dyn StoreUnderTest) {
    let window = only(Rule::FixedWindow, 12, Duration::from_millis(900));
    compare(store, "fixed windows", vec![vec![window]]);
}

pub(crate) fn sliding_windows_are_exact(store: &dyn StoreUnderTest) {
    let window = only(Rule::SlidingWindow, 13, Duration::from_micros(999_983));
    compare(store, "sliding windows", vec![vec![window]]);
}

pub(crate) fn strict_windows_are_exact(store: &dyn StoreUnderTest) {
    let window = only(Rule::StrictWindow, 40, Duration::from_millis(640));
    compare(store, "strict windows", vec![vec![window]]);
}

pub(crate) fn several_limits_are_exact(store: &dyn StoreUnderTest) {
    let fixed = only(Rule::FixedWindow, 15, Duration::from_secs(1));
    let sliding = only(Rule::SlidingWindow, 20, Duration::from_secs(1));
    let strict = only(Rule::StrictWindow, 20, Duration::from_secs(1));
    let many = vec![buckets(), fixed, sliding, strict];
    let two = vec![buckets(), only(Rule::TokenBucket, 60, Duration::from_secs(7))];
    compare(store, "several limits", vec![many, two]);
}

/// Compares random asks of namespaces with such limits, as far as the store has their rules.
fn compare(store: &dyn StoreUnderTest, what: &str, mut limits: Vec<Vec<Limit>>) {
    let rules = store.rules();
    for limits in &mut limits {
        limits.retain(|(rule, _)| rules.contains(rule));
    }
    limits.retain(|limits| !limits.is_empty());
    if limits.is_empty() {
        return;
    }
    let scene = Scene::new(store);
    let namespaces: Vec<_> = limits.iter().enumerate().map(namespace).collect();
    let opened = scene.open(&namespaces);
    let spans = opened.buckets.spans_subjects();
    let mut dice = Dice::new(what);
    let mut world = World::new(opened, limits.clone());
    let decisions = store.random_decisions();
    for _ in 0..decisions {
        scene.pass(step(&mut dice));
        let ask = random_ask(&mut dice, &world, &limits, spans);
        world.ask(&ask);
    }
    println!("{what}: {decisions} decisions, {} of them unclear by rounding", world.unclear);
    assert!(world.unclear <= decisions / 100, "the model must settle almost all");
}

fn namespace((number, limits): (usize, &Vec<Limit>)) -> Namespace {
    let limit = |(index, (rule, quotas)): (usize, &Limit)| {
        let mut limit = LimitSpec::new(format!("limit {index}"), *rule, quotas[0]);
        limit.quotas.clone_from(quotas);
        limit
    };
    Namespace::new(number.to_string(), limits.iter().enumerate().map(limit).collect())
}

/// How much time passes: often none, rarely so much that all limits are full.
fn step(dice: &mut Dice) -> Duration {
    Duration::from_micros(match dice.below(20) {
        0..8 => 0,
        8..12 => dice.below(3),
        12..17 => dice.below(100_000),
        17..19 => 50_000 * dice.below(20),
        _ => dice.below(4_000_000),
    })
}

fn random_ask(dice: &mut Dice, world: &World<'_>, limits: &[Vec<Limit>], spans: bool) -> Ask {
    let verb = *dice.one_of(&[
        Verb::Take,
        Verb::Take,
        Verb::Take,
        Verb::Take,
        Verb::Take,
        Verb::TakeUpTo,
        Verb::TakeUpTo,
        Verb::Look,
        Verb::Look,
        Verb::Consume,
        Verb::Raise,
        Verb::Credit,
        Verb::HandBack,
        Verb::HandBack,
        Verb::Cancel,
        Verb::Reset,
    ]);
    if matches!(verb, Verb::HandBack | Verb::Cancel) {
        if world.held().is_empty() {
            return Ask::new(Verb::Look, 0, random_part(dice, limits));
        }
        // Some of what a charge has taken.
        let mut part = dice.one_of(world.held()).part.clone();
        let all = dice.once_in(2);
        for charge in &mut part.charges {
            charge.cost = if all { charge.cost } else { dice.below(charge.cost + 1) };
        }
        part.shadow = false;
        return Ask::new(verb, 1, part);
    }
    let seldom = verb == Verb::Reset && !dice.once_in(8)
        || matches!(verb, Verb::Credit | Verb::Raise) && dice.once_in(2);
    let verb = if seldom { Verb::Take } else { verb };
    let count = if dice.once_in(12) { 0 } else { 1 + dice.below(4) };
    let mut ask = Ask::new(verb, count, random_part(dice, limits));
    while spans && ask.parts.len() < 4 && dice.once_in(4) {
        let mut part = random_part(dice, limits);
        part.shadow = dice.once_in(3);
        ask.parts.push(part);
    }
    if verb != Verb::TakeUpTo && dice.once_in(3) {
        ask.patience = Duration::from_micros(dice.below(1_500_000));
    }
    ask
}

fn random_part(dice: &mut Dice, limits: &[Vec<Limit>]) -> Part {
    let namespace = dice.index(limits.len());
    // A quota is seldom another one than the last, so that charges can be given back.
    let other_quota = dice.once_in(40);
    let charges: Vec<_> = limits[namespace]
        .iter()
        .map(|(_, quotas)| {
            let mut charge = Charge::new(if dice.once_in(6) { 0 } else { 1 + dice.below(4) });
            charge.quota = if other_quota { dice.index(quotas.len()) } else { 0 };
            charge
        })
        .collect();
    Part::new(namespace, *dice.one_of(&SUBJECTS), charges)
}
