//! What is used never exceeds what a quota promises, in any window.

use std::time::Duration;

use tollgate::shared::store::{
    Ask, Charge, LimitSpec, Namespace, Outcome, Part, Receipt, Rule, Verb,
};
use tollgate::{Clock, Quota};

use super::StoreUnderTest;
use super::dice::Dice;
use super::scene::{Opened, Scene};

/// Asks for each check.
const ASKS: usize = 3_000;

/// What was granted.
#[derive(Clone, Debug)]
struct Use {
    /// When it can be used, in microseconds.
    at: u64,
    /// What of it is used.
    permits: u64,
    /// The quota under which it was granted.
    quota: usize,
    receipt: Receipt,
}

/// Users with one limit and these quotas.
fn users<'a>(scene: &'a Scene<'_>, rule: Rule, quotas: &[Quota]) -> Opened<'a> {
    let mut limit = LimitSpec::new("requests", rule, quotas[0]);
    limit.quotas = quotas.to_vec();
    scene.open(&[Namespace::new(format!("{rule:?}"), vec![limit])])
}

fn ask(verb: Verb, n: u64, quota: usize, receipt: Receipt) -> Ask {
    let mut charge = Charge::new(1);
    (charge.quota, charge.receipt) = (quota, receipt);
    Ask::new(verb, n, Part::new(0, "alice", [charge]))
}

/// Asks at random under a random quota; with `gives_back`, some of what was granted is not used.
fn use_at_random(
    scene: &Scene<'_>,
    rule: Rule,
    quotas: &[Quota],
    gives_back: bool,
    dice: &mut Dice,
) -> Vec<Use> {
    use_with_debts(scene, rule, quotas, gives_back, false, dice)
}

/// The same; with `owes`, others consume and report permits, which are not counted here.
fn use_with_debts(
    scene: &Scene<'_>,
    rule: Rule,
    quotas: &[Quota],
    gives_back: bool,
    owes: bool,
    dice: &mut Dice,
) -> Vec<Use> {
    let opened = users(scene, rule, quotas);
    let (mut uses, mut last): (Vec<Use>, usize) = (Vec::with_capacity(ASKS), 0);
    for _ in 0..ASKS {
        scene.pass(Duration::from_micros(match dice.below(4) {
            0 => 0,
            1 => dice.below(10),
            _ => dice.below(120_000),
        }));
        let now = scene.clock.now().as_nanos() / 1_000;
        let quota = if dice.once_in(3) { dice.index(quotas.len()) } else { last };
        let n = 1 + dice.below(4);
        if gives_back && quota == last && dice.once_in(3) {
            // One of the last few, whatever has become of it.
            let behind = dice.index(6);
            let Some(number) = uses.len().checked_sub(behind + 1) else { continue };
            let one = &mut uses[number];
            if one.quota != quota {
                continue;
            }
            let n = n.min(one.permits);
            let verb = if one.at > now { Verb::Cancel } else { Verb::HandBack };
            one.permits -= n;
            one.receipt = opened.ask(ask(verb, n, quota, one.receipt)).levels[0].receipt;
            continue;
        }
        last = quota;
        if owes && dice.once_in(12) {
            let (verb, n) = *dice.one_of(&[(Verb::Raise, 4 + n), (Verb::Consume, n)]);
            opened.ask(ask(verb, n, quota, Receipt::default()));
            continue;
        }
        let verb = if dice.once_in(4) { Verb::TakeUpTo } else { Verb::Take };
        let mut take = ask(verb, n, quota, Receipt::default());
        take.patience = Duration::from_micros(dice.below(400_000) * dice.below(2));
        let answer = opened.ask(take);
        if let Outcome::Done { after } = answer.outcome {
            let after = u64::try_from(after.as_nanos().div_ceil(1_000)).expect("a short wait");
            let receipt = answer.levels[0].receipt;
            uses.push(Use { at: now + after, permits: answer.count, quota, receipt });
        }
    }
    uses.sort_by_key(|one| one.at);
    assert!(uses.len() > ASKS / 10, "only {} were granted", uses.len());
    uses
}

/// All windows that begin and end with a use: what is used in each, and its length in microseconds.
fn windows(uses: &[Use], weight: impl Fn(&Use) -> u64 + Copy, check: impl Fn(u64, u64)) {
    for (number, first) in uses.iter().enumerate() {
        let mut sum = 0;
        for one in &uses[number..] {
            sum += weight(one);
            check(sum, one.at - first.at);
        }
    }
}

/// Ten a second, and at most five at once.
const QUOTA: Quota = Quota::per_second(10).burst(5);

/// Checks that no window has more than `burst + rate * length`.
fn check_bucket(uses: &[Use]) {
    windows(
        uses,
        |one| one.permits,
        |used, micros| {
            let most = QUOTA.burst_size() * 1_000_000 + QUOTA.permits() * micros;
            assert!(used * 1_000_000 <= most, "{used} permits in {micros} microseconds");
        },
    );
}

pub(crate) fn never_more_than_burst_and_rate(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let mut dice = Dice::new("bound");
    check_bucket(&use_at_random(&scene, Rule::TokenBucket, &[QUOTA], false, &mut dice));
}

pub(crate) fn never_more_with_hand_back_and_cancel(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let mut dice = Dice::new("bound with hand back and cancel");
    check_bucket(&use_at_random(&scene, Rule::TokenBucket, &[QUOTA], true, &mut dice));
}

pub(crate) fn never_more_with_debts(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let mut dice = Dice::new("bound with debts");
    check_bucket(&use_with_debts(&scene, Rule::TokenBucket, &[QUOTA], true, true, &mut dice));
}

/// Tiers with the same rate by their bursts: a burst, and the time in which it refills, is a share.
pub(crate) fn never_more_with_tiers_to_and_fro(store: &dyn StoreUnderTest) {
    for gives_back in [false, true] {
        let scene = Scene::new(store);
        let mut dice = Dice::new("bound with tiers");
        // Each refills in half a second.
        let bursts = [5, 7, 40];
        let quotas = bursts.map(|burst| Quota::per_second(2 * burst).burst(burst));
        let uses = use_at_random(&scene, Rule::TokenBucket, &quotas, gives_back, &mut dice);
        // 280 is a multiple of all bursts.
        let share = |one: &Use| one.permits * 280 / bursts[one.quota];
        windows(&uses, share, |used, micros| {
            let most = 280 * 1_000_000 + 280 * 2 * micros;
            assert!(used * 1_000_000 <= most, "{used} of 280 in {micros} microseconds");
        });
    }
}

pub(crate) fn never_more_than_a_window_promises(store: &dyn StoreUnderTest) {
    let quota = Quota::per_second(10);
    for rule in store.rules() {
        let bursts = match rule {
            Rule::StrictWindow => 1,
            Rule::FixedWindow | Rule::SlidingWindow => 2,
            _ => continue,
        };
        for gives_back in [false, true] {
            let scene = Scene::new(store);
            let mut dice = Dice::new(&format!("bound of {rule:?}"));
            let uses = use_at_random(&scene, rule, &[quota], gives_back, &mut dice);
            windows(
                &uses,
                |one| one.permits,
                |used, micros| {
                    let most = bursts * quota.permits();
                    assert!(micros >= 1_000_000 || used <= most, "{rule:?}: {used} in {micros}");
                },
            );
        }
    }
}
