//! What is used never exceeds what a quota promises, in any window.

use std::time::Duration;

use tollgate::shared::store::{
    Ask, Charge, LimitSpec, Namespace, Outcome, Part, Receipt, Rule, Verb,
};
use tollgate::{Clock, Quota};

use super::StoreUnderTest;
use super::dice::Dice;
use super::scene::{self, Opened, Scene, patient};

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
            let receipt = answer.levels[0].receipt;
            uses.push(Use { at: now + micros(after), permits: answer.count, quota, receipt });
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
    check_quota(uses, QUOTA, 0);
}

/// Checks that no window has more than `burst + rate * (length + slack)`.
fn check_quota(uses: &[Use], quota: Quota, slack: u64) {
    windows(
        uses,
        |one| one.permits,
        |used, length| {
            let most = quota.burst_size() * 1_000_000 + quota.permits() * (length + slack);
            assert!(used * 1_000_000 <= most, "{used} permits in {length} + {slack} microseconds");
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

/// Limits that wait together: each keeps its bound as of the time at which its own permits were
/// there. They are used when those of all limits are there, so a limit that was ready earlier may
/// have refilled by then: by as much as it refills in the longest of such waits, more can be used.
pub(crate) fn never_more_when_limits_wait_together(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let mut dice = Dice::new("bound of limits that wait together");
    // The second is slower, and has the larger burst.
    let quotas = [QUOTA, Quota::per_second(8).burst(12)];
    let limits = quotas.map(|quota| (Rule::TokenBucket, quota));
    let opened = scene.users(&limits);
    let mut uses: Vec<[Together; 2]> = Vec::with_capacity(ASKS);
    for _ in 0..ASKS {
        scene.pass(Duration::from_micros(dice.below(2) * dice.below(250_000)));
        let now = scene.clock.now().as_nanos() / 1_000;
        if dice.once_in(4) {
            let Some(number) = uses.len().checked_sub(1 + dice.index(5)) else { continue };
            give_back_together(&opened, &mut uses[number], now, &mut dice);
            continue;
        }
        // Some asks are about one limit only.
        let costs = [(); 2].map(|()| if dice.once_in(4) { 0 } else { 1 + dice.below(4) });
        let patience = Duration::from_micros(dice.below(900_000) * dice.below(2));
        let answer = opened.ask(patient(scene::ask(Verb::Take, 1, "alice", &costs), patience));
        let Outcome::Done { after } = answer.outcome else { continue };
        let at = now + micros(after);
        uses.push([0, 1].map(|limit| {
            let (level, permits) = (answer.levels[limit], costs[limit]);
            // The wait of a limit that grants at once is that until its next permit.
            let is_behind = permits > 0 && level.used > quotas[limit].burst_size();
            let ready = now + if is_behind { micros(level.wait) } else { 0 };
            Together { at, ready, permits, receipt: level.receipt }
        }));
    }
    let later = uses.iter().flatten().map(|one| one.at - one.ready).max().unwrap_or(0);
    assert!(uses.len() > ASKS / 10 && later > 100_000, "{} uses, {later}", uses.len());
    for (limit, quota) in quotas.into_iter().enumerate() {
        for (slack, of) in [(0, Together::when_ready as Moment), (later, Together::when_used)] {
            let mut uses: Vec<Use> = uses.iter().map(|each| of(&each[limit])).collect();
            uses.sort_by_key(|one| one.at);
            check_quota(&uses, quota, slack);
        }
    }
}

/// What was granted of one of several limits, in microseconds.
struct Together {
    /// When all limits have their permits.
    at: u64,
    /// When this one has.
    ready: u64,
    permits: u64,
    receipt: Receipt,
}

type Moment = fn(&Together) -> Use;

impl Together {
    fn when_ready(&self) -> Use {
        Use { at: self.ready, permits: self.permits, quota: 0, receipt: self.receipt }
    }

    fn when_used(&self) -> Use {
        Use { at: self.at, ..self.when_ready() }
    }
}

/// Gives back some of what was granted.
fn give_back_together(opened: &Opened<'_>, one: &mut [Together; 2], now: u64, dice: &mut Dice) {
    let costs = [0, 1].map(|limit: usize| dice.below(one[limit].permits + 1));
    let verb = if one[0].at > now { Verb::Cancel } else { Verb::HandBack };
    let mut back = scene::ask(verb, 1, "alice", &costs);
    for (charge, one) in back.parts[0].charges.iter_mut().zip(&*one) {
        charge.receipt = one.receipt;
    }
    let answer = opened.ask(back);
    for ((one, cost), level) in one.iter_mut().zip(costs).zip(&answer.levels) {
        one.permits -= cost;
        one.receipt = level.receipt;
    }
}

/// Whole microseconds, rounded up.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000)).expect("a short wait")
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
