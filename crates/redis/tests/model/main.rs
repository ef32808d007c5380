//! The script against exact models, on real servers: random asks, through the caller's clock.

#![allow(
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "tests share modules, and their numbers are small"
)]

mod asks;
mod limits;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use asks::{Make, Model, Receipts};
use limits::{Bucket, Fixed, fixed_of_core, greedy, sliding, strict};
use support::Micros;
use support::random::Random;
use support::server::{Server, kinds};
use tollgate::Quota;
use tollgate::shared::store::{
    Answer, Ask, Charge, LimitSpec, Namespace, Outcome, Part, Receipt, Rule, Store, Verb,
};
use tollgate_redis::Redis;

const MICRO: u64 = 1_000;
const SECOND: u64 = 1_000_000_000;

/// The asks of one run against one server.
const ASKS: usize = 100_000;

/// The asks of a run about what other runs show too.
const FEWER_ASKS: usize = 30_000;

/// What a run may do.
#[derive(Clone, Copy)]
struct May {
    asks: usize,
    change_quotas: bool,
    take_back: bool,
}

const ALL: May = May { asks: ASKS, change_quotas: true, take_back: true };

/// What the core's rules have in the same form.
const FEWER: May = May { asks: FEWER_ASKS, change_quotas: false, take_back: false };

fn per(permits: u64, nanos: u64) -> Quota {
    Quota::per(permits, Duration::from_nanos(nanos))
}

fn limit(name: &str, rule: Rule, quotas: &[Quota]) -> LimitSpec {
    let mut limit = LimitSpec::new(name, rule, quotas[0]);
    limit.quotas = quotas.to_vec();
    limit
}

fn bucket_quotas() -> Vec<Vec<Quota>> {
    vec![
        vec![per(10, SECOND), per(20, SECOND).burst(5), per(600, 60 * SECOND).burst(100)],
        vec![per(7, 3 * SECOND), per(1, 86_400 * SECOND), per(3, 1_000_000_007).burst(11)],
        vec![
            per(999_983, 77_777_777).burst(12_345),
            per(5, 7 * MICRO),
            per(1_000_003, 999_999_937),
        ],
        vec![per(1, MICRO), per(123, 1), per(10_000_019, 1_000_000_007).burst(3)],
        // Of quotas that are changed often, the sum of what is carried over stays below 8.9 years.
        vec![per(1, 40 * 86_400 * SECOND).burst(2)],
        vec![per(1, 86_400 * SECOND).burst(2), per(1_000_000_000, SECOND)],
    ]
}

fn window_quotas() -> Vec<Vec<Quota>> {
    vec![
        vec![per(10, SECOND), per(15, SECOND), per(4, 60 * SECOND)],
        vec![per(100, 60 * SECOND), per(7, 13 * MICRO), per(1, MICRO)],
        vec![per(3, 999_983 * MICRO), per(1_000, 86_400 * SECOND), per(999, 86_399 * SECOND)],
        vec![per(1_000_000_007, 86_400 * SECOND), per(5, 3_600 * SECOND)],
        vec![per(1 << 40, 99_999_999_999 * MICRO), per(12_345_678_901, 7_777_777 * MICRO)],
    ]
}

/// Namespaces of one limit each.
fn alone(rule: Rule, quotas: &[Vec<Quota>]) -> Vec<Namespace> {
    let each = quotas.iter().enumerate();
    each.map(|(at, quotas)| Namespace::new(format!("n{at}"), vec![limit("a", rule, quotas)]))
        .collect()
}

/// The same model for each of the namespaces with one limit.
fn each(make: Make) -> Vec<Vec<Make>> {
    // There are at most six.
    vec![vec![make]; 6]
}

async fn all_servers(test: &str, namespaces: &[Namespace], make: &[Vec<Make>], may: May) {
    for kind in kinds() {
        let server = Server::start(kind);
        let mut random = Random::new(&format!("{test} on {kind}"));
        run(&server, namespaces, make, may, &mut random).await;
    }
}

/// A charge that was granted, to be taken back later.
struct Taken {
    part: Part,
    model: Receipts,
    count: u64,
}

async fn run(
    server: &Server,
    namespaces: &[Namespace],
    make: &[Vec<Make>],
    may: May,
    random: &mut Random,
) {
    let clock = Micros::default();
    clock.set(1_700_000_000_000_000);
    let store = Redis::builder(&server.url()).callers_clock(clock.clock());
    let store = store.deadline(Duration::from_secs(20)).connect().await.expect("connects");
    let buckets = store.open(namespaces).expect("exact quotas");
    let mut model = Model::new(namespaces, make);
    let (mut taken, mut done, mut outcomes) = (Vec::<Taken>::new(), 0, [0_u32; 2]);
    while done < may.asks {
        step(&clock, namespaces, random);
        let mut batch = Vec::new();
        let mut receipts = Vec::new();
        // Token buckets have a script of their own for batches of usual asks.
        let is_plain = random.below(2) == 0;
        for _ in 0..=random.below(40) {
            let (ask, of_ask) = if is_plain {
                (plain_ask(namespaces, may, random), Vec::new())
            } else {
                random_ask(namespaces, may, &mut taken, random)
            };
            batch.push(ask);
            receipts.push(of_ask);
        }
        let answers = buckets.ask(batch.clone()).await;
        assert_eq!(answers.len(), batch.len());
        for ((ask, receipts), answer) in batch.iter().zip(&receipts).zip(answers) {
            let answer = answer.unwrap_or_else(|error| panic!("{ask:?}: {error}"));
            let (expected, granted) = model.ask(ask, clock.get(), receipts);
            assert_eq!(comparable(&answer), comparable(&expected), "{ask:?} at {}", clock.get());
            done += 1;
            outcomes[usize::from(answer.outcome == Outcome::Refused)] += 1;
            remember(ask, &answer, granted, &mut taken);
        }
    }
    eprintln!("{done} asks, of which {} were refused", outcomes[1]);
    assert!(outcomes.iter().all(|n| *n > 1_000), "{outcomes:?}");
    // Also with a caller's clock, every key goes by itself.
    assert_eq!(server.keys_without_expiry(), 0);
}

/// Everything but the receipts, whose form is the store's, with times in whole µs, rounded up.
fn comparable(answer: &Answer) -> Answer {
    let micros = |time: Duration| Duration::from_micros(time.as_nanos().div_ceil(1000) as u64);
    let mut answer = answer.clone();
    if let Outcome::Done { after } = &mut answer.outcome {
        *after = micros(*after);
    }
    for level in &mut answer.levels {
        level.receipt = Receipt::default();
        level.full_after = micros(level.full_after);
        level.wait = micros(level.wait);
    }
    answer
}

/// Moves the clock, mostly forward.
fn step(clock: &Micros, namespaces: &[Namespace], random: &mut Random) {
    let namespace = random.pick(namespaces);
    let limit = random.pick(&namespace.limits);
    let quota = random.pick(&limit.quotas);
    let period = u64::try_from(quota.period().as_micros()).unwrap_or(1).max(1);
    let interval = u64::try_from(quota.interval().as_micros()).unwrap_or(1).max(1);
    let now = clock.get();
    clock.set(match random.below(12) {
        0..=2 => now,
        3 => now + 1,
        4..=6 => now + random.below(3 * interval),
        7 => now + interval,
        8 => now + random.below(period / 64 + 2),
        9 => now + period,
        10 => now + random.below(2 * period),
        _ => now - random.below(period.min(1_000_000)),
    });
}

fn random_ask(
    namespaces: &[Namespace],
    may: May,
    taken: &mut Vec<Taken>,
    random: &mut Random,
) -> (Ask, Vec<Receipts>) {
    if may.take_back && !taken.is_empty() && random.below(6) == 0 {
        let at = random.below(taken.len() as u64) as usize;
        let Taken { part, model, count } = taken.swap_remove(at);
        let verb = *random.pick(&[Verb::HandBack, Verb::Cancel]);
        let count = if random.below(2) == 0 { count } else { random.below(count + 1) };
        return (Ask::new(verb, count, part), vec![model]);
    }
    let verbs = [
        Verb::Take,
        Verb::Take,
        Verb::Take,
        Verb::Take,
        Verb::TakeUpTo,
        Verb::TakeUpTo,
        Verb::Look,
        Verb::Consume,
        Verb::Raise,
        Verb::Credit,
        Verb::Reset,
    ];
    let verb = *random.pick(&verbs);
    if verb == Verb::Reset && random.below(4) > 0 {
        return random_ask(namespaces, may, taken, random);
    }
    let mut parts: Vec<Part> = Vec::new();
    for _ in 0..=random.below(8).saturating_sub(5) {
        let at = random.below(namespaces.len() as u64) as usize;
        let subject = format!("s{}", random.below(3));
        let charges = namespaces[at].limits.iter().map(|limit| {
            let quota = if may.change_quotas && random.below(4) == 0 {
                random.below(limit.quotas.len() as u64) as usize
            } else {
                0
            };
            let burst = limit.quotas[quota].burst_size();
            let mut charge = Charge::new(match random.below(8) {
                0 => 0,
                1 => random.below(burst + 2),
                2 => burst,
                3 => burst / 3 + 1,
                _ => 1,
            });
            charge.quota = quota;
            charge
        });
        let charges: Vec<_> = charges.collect();
        parts.push(Part::new(at, subject, charges));
    }
    let first = parts.remove(0);
    let least = namespaces[first.namespace].limits.iter().map(|it| it.quotas[0].burst_size()).min();
    let count = match random.below(6) {
        0 => 0,
        1 => random.below(least.unwrap_or(1) + 2),
        2 => 2,
        3 if verb == Verb::TakeUpTo => u64::MAX,
        _ => 1,
    };
    // A debt that does not fit into the form that is kept has a test of its own.
    let count = if matches!(verb, Verb::Consume | Verb::Raise) { count.min(1) } else { count };
    let mut ask = Ask::new(verb, count, first);
    ask.parts.extend(parts);
    for part in ask.parts.iter_mut().skip(1) {
        part.shadow = random.below(3) == 0;
    }
    if random.below(3) == 0 {
        ask.patience = Duration::from_micros(random.below(3_000_000));
    }
    (ask, Vec::new())
}

/// One subject that takes or is charged.
fn plain_ask(namespaces: &[Namespace], may: May, random: &mut Random) -> Ask {
    let at = random.below(namespaces.len() as u64) as usize;
    let charges = namespaces[at].limits.iter().map(|limit| {
        let mut charge = Charge::new(1 + random.below(limit.quotas[0].burst_size().min(20)));
        if may.change_quotas && random.below(40) == 0 {
            charge.quota = random.below(limit.quotas.len() as u64) as usize;
        }
        charge
    });
    let charges: Vec<_> = charges.collect();
    let verb = *random.pick(&[Verb::Take, Verb::Take, Verb::Take, Verb::Consume]);
    let mut ask = Ask::new(verb, 1, Part::new(at, format!("s{}", random.below(3)), charges));
    ask.patience = Duration::from_micros(random.below(4) * random.below(1_000_000));
    ask
}

/// Notes what was granted.
fn remember(ask: &Ask, answer: &Answer, granted: Vec<Receipts>, taken: &mut Vec<Taken>) {
    if !matches!(ask.verb, Verb::Take | Verb::TakeUpTo | Verb::Consume) {
        return;
    }
    let mut levels = answer.levels.iter();
    for (part, model) in ask.parts.iter().zip(granted) {
        let mut part = part.clone();
        let mut is_taken = answer.count > 0;
        for charge in &mut part.charges {
            let level = levels.next().expect("a level for each charge");
            charge.receipt = level.receipt;
            is_taken &= level.receipt != Receipt::default();
        }
        part.shadow = false;
        if is_taken && answer.count < 1 << 50 && taken.len() < 50 {
            taken.push(Taken { part, model, count: answer.count });
        }
    }
}

#[tokio::test]
async fn token_buckets() {
    let namespaces = alone(Rule::TokenBucket, &bucket_quotas());
    all_servers("token buckets", &namespaces, &each(Bucket::boxed_new), ALL).await;
}

#[tokio::test]
async fn token_buckets_as_the_core_decides() {
    let namespaces = alone(Rule::TokenBucket, &bucket_quotas());
    all_servers("token buckets of the core", &namespaces, &each(greedy), FEWER).await;
}

#[tokio::test]
async fn fixed_windows() {
    let namespaces = alone(Rule::FixedWindow, &window_quotas());
    all_servers("fixed windows", &namespaces, &each(Fixed::boxed_new), ALL).await;
}

#[tokio::test]
async fn fixed_windows_as_the_core_decides() {
    let namespaces = alone(Rule::FixedWindow, &window_quotas());
    all_servers("fixed windows of the core", &namespaces, &each(fixed_of_core), FEWER).await;
}

#[tokio::test]
async fn sliding_windows() {
    let namespaces = alone(Rule::SlidingWindow, &window_quotas());
    all_servers("sliding windows", &namespaces, &each(sliding), ALL).await;
}

#[tokio::test]
async fn strict_windows() {
    let namespaces = alone(Rule::StrictWindow, &window_quotas());
    all_servers("strict windows", &namespaces, &each(strict), ALL).await;
}

#[tokio::test]
async fn several_limits_of_a_subject() {
    let (buckets, windows) = (bucket_quotas(), window_quotas());
    let two = vec![
        limit("a", Rule::TokenBucket, &buckets[0]),
        limit("b", Rule::TokenBucket, &buckets[1]),
    ];
    let all = vec![
        limit("a", Rule::StrictWindow, &windows[0]),
        limit("b", Rule::SlidingWindow, &windows[1]),
        limit("c", Rule::FixedWindow, &windows[2]),
        limit("d", Rule::TokenBucket, &buckets[0]),
    ];
    let namespaces = vec![Namespace::new("two", two), Namespace::new("all", all)];
    let make: [&[Make]; 2] = [
        &[Bucket::boxed_new, Bucket::boxed_new],
        &[strict, sliding, Fixed::boxed_new, Bucket::boxed_new],
    ];
    let make = make.map(<[_]>::to_vec).to_vec();
    all_servers("several limits", &namespaces, &make, May { asks: FEWER_ASKS, ..ALL }).await;
}
