//! Random scripts of decisions over several limits, with tiers, against a model bucket for each
//! key.
//!
//! The fuzz target uses this file too.

use std::hash::{BuildHasherDefault, DefaultHasher};

use tollgate::algorithm::GreedyRefill;
use tollgate::keyed::{KeyCharge, Terms, Tier};
use tollgate::{
    Answer, CarryOver, Charge, Clock, Keyed, KeyedLimiter, LimiterCharge, ManualClock, Quota,
    RateLimiter, Rejection, Timestamp, TokenBucket, Usage, WhichLimit, take_all,
};

use super::model::{Left, Model};
use super::sizes::{LAST, permits_of, span_of, usual_quota_of};

/// What to do, to which key, and two sizes.
pub(crate) type Step = (u8, u8, u64, u64);

type Hasher = BuildHasherDefault<DefaultHasher>;
type Limiter = Keyed<u64, GreedyRefill, ManualClock, Hasher>;

const KEYS: usize = 4;
/// The limiters by key: one with a bound, one whose keys have terms, one with a limit for
/// everybody.
const BOUNDED: usize = 0;
const WITH_TERMS: usize = 1;
const WITH_GLOBAL: usize = 2;
/// The one without keys.
const ALL: usize = 3;

/// One key's bucket.
#[derive(Clone)]
struct Bucket {
    model: Model,
    tier: Option<Quota>,
    own: Option<Quota>,
    cost: u64,
    blocked: bool,
    exempt: bool,
}

impl Bucket {
    /// A full bucket is none: it is in no tier.
    fn forget_if_full(&mut self, limiters: Quota, now: u64) {
        if self.own.is_none() && self.tier.is_some() && self.model.usage(now).used == 0 {
            self.tier = None;
            self.model.set_quota(now, limiters, CarryOver::Full);
        }
    }

    /// Goes by the quota of a tier, or by the limiter's; whether the bucket counts at all then.
    fn go_under(&mut self, tier: Option<Quota>, limiters: Quota, now: u64) -> bool {
        if self.own.is_some() || self.tier == tier {
            return true;
        }
        let quota = tier.unwrap_or(limiters);
        if quota.is_unlimited() {
            return false;
        }
        let full = self.model.usage(now).used == 0;
        let how = if full { CarryOver::Full } else { CarryOver::Proportional };
        self.model.set_quota(now, quota, how);
        self.tier = tier;
        true
    }
}

/// A limiter by key, and what it must answer.
struct Side<'a> {
    limiter: &'a Limiter,
    quota: Quota,
    tiers: &'a [Tier<GreedyRefill>],
    buckets: Vec<Bucket>,
    max_keys: usize,
    global: Option<Model>,
    allowed: u64,
    denied: u64,
}

impl Side<'_> {
    fn is_active(&mut self, key: usize, now: u64) -> bool {
        self.buckets[key].model.usage(now).used > 0
    }

    fn taken(&mut self, now: u64) -> usize {
        (0..KEYS).filter(|key| self.is_active(*key, now)).count()
    }

    fn tier(&self, tier: usize) -> Option<(&Tier<GreedyRefill>, Quota)> {
        self.tiers.get(tier).map(|tier| (tier, tier.quota()))
    }
}

/// One charge of a decision.
#[derive(Clone, Copy, Debug)]
struct Asked {
    side: usize,
    key: usize,
    requests: u64,
    /// Beyond the last: none.
    tier: usize,
}

/// What a limit must say.
#[derive(Debug)]
enum Expected {
    Passes,
    ByKey(Rejection),
    ByEverybody(Rejection),
}

struct Run<'a> {
    clock: &'a ManualClock,
    sides: Vec<Side<'a>>,
    all: &'a TokenBucket<ManualClock>,
    model_of_all: Model,
    latest: u64,
}

/// The quotas, and what is done.
pub(crate) fn run(first: (u8, u64, u64), max_keys: u8, steps: &[Step]) {
    let (kind, a, b) = first;
    let quota = |i: u8| {
        let i = i.wrapping_mul(31);
        usual_quota_of(kind.wrapping_add(i), a.rotate_left(i.into()), b.rotate_right(i.into()))
    };
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(1_000));
    let builder = |quota| {
        let builder = KeyedLimiter::<u64>::builder(quota).clock(clock.clone());
        builder.hasher(Hasher::default())
    };
    let max = usize::from(max_keys % 6) + 1;
    let limiters = [
        builder(quota(0)).shards(1).max_keys(max).build().unwrap(),
        builder(quota(1)).shards(2).build().unwrap(),
        builder(quota(2)).shards(4).global(quota(3)).build().unwrap(),
    ];
    let all = TokenBucket::builder(quota(4)).clock(clock.clone()).build().unwrap();
    let tiers: Vec<Vec<Tier<GreedyRefill>>> = limiters
        .iter()
        .map(|limiter| {
            let quotas = [quota(5), quota(6), Quota::unlimited()];
            quotas.into_iter().map(|quota| limiter.tier(quota).unwrap()).collect()
        })
        .collect();
    let sides = limiters.iter().zip(&tiers).zip([max, usize::MAX, usize::MAX]).enumerate();
    let sides = sides
        .map(|(side, ((limiter, tiers), max_keys))| {
            let quota = limiter.quota();
            let bucket = || Bucket {
                model: Model::new(quota, 1_000, usize::MAX),
                tier: None,
                own: None,
                cost: 1,
                blocked: false,
                exempt: false,
            };
            let buckets = std::iter::repeat_with(bucket).take(KEYS).collect();
            let new = |limit: &dyn RateLimiter| Model::new(limit.quota(), 1_000, usize::MAX);
            let global = limiter.global().filter(|_| side == WITH_GLOBAL).map(new);
            Side { limiter, quota, tiers, buckets, max_keys, global, allowed: 0, denied: 0 }
        })
        .collect();
    let model_of_all = Model::new(all.quota(), 1_000, usize::MAX);
    let mut run = Run { clock: &clock, sides, all: &all, model_of_all, latest: 1_000 };
    for step in steps {
        run.step(*step);
        let lost = |side: &Side<'_>| side.buckets.iter().any(|bucket| bucket.model.is_lost());
        if run.sides.iter().any(lost) || run.model_of_all.is_lost() {
            break;
        }
        run.look();
    }
}

/// Permits of a size that hits the borders of a quota.
fn size_of(quota: Quota, size: u64) -> u64 {
    permits_of(quota.burst_size(), size)
}

impl Run<'_> {
    fn now(&self) -> u64 {
        self.latest.max(self.clock.now().as_nanos())
    }

    fn forget_full(&mut self) {
        let now = self.now();
        for side in &mut self.sides {
            let quota = side.quota;
            side.buckets.iter_mut().for_each(|bucket| bucket.forget_if_full(quota, now));
        }
    }

    fn step(&mut self, (what, key, a, b): Step) {
        if std::env::var_os("SHOW").is_some() {
            eprintln!("step {} side {} key {} {a} {b}", what % 20, key % 3, key / 3 % 4);
        }
        self.forget_full();
        let (side, key) = (usize::from(key) % 3, usize::from(key / 3) % KEYS);
        let (name, now) = (key as u64, self.now());
        match what % 20 {
            0..=3 => {
                let quota = self.sides[side].buckets[key].model.quota();
                let next = self.sides[side].buckets[key].model.next_event(now);
                let span = span_of(quota, next.saturating_sub(now), a);
                let to = self.clock.now().as_nanos().saturating_add(span).min(LAST);
                self.clock.set(Timestamp::from_nanos(to));
            }
            4 => {
                // All shards see the time before the clock steps back.
                self.latest = now;
                self.all.usage();
                for side in &self.sides {
                    assert!(side.limiter.usages().count() <= side.limiter.len());
                    if let Some(all) = side.limiter.global() {
                        all.usage();
                    }
                }
                self.clock.set(Timestamp::from_nanos(now - a % now));
            }
            5 | 6 => self.alone(side, key, a, b),
            7 => {
                let side = &mut self.sides[side];
                let n = size_of(side.buckets[key].model.quota(), a);
                if side.global.is_none() && (side.max_keys > KEYS || side.is_active(key, now)) {
                    let real = side.limiter.consume(&name, n);
                    let model = side.buckets[key].model.consume(now, n);
                    side.allowed = side.allowed.wrapping_add(if model.is_ok() { n } else { 0 });
                    assert_eq!(real, model, "consume");
                }
            }
            8 => {
                let side = &mut self.sides[side];
                let n = size_of(side.buckets[key].model.quota(), a);
                if side.global.is_none() {
                    side.limiter.credit(&name, n);
                    side.buckets[key].model.credit(now, n);
                }
            }
            9 => self.set_terms(key, a, b),
            10 if a % 4 == 0 => {
                let side = &mut self.sides[side];
                let quota = usual_quota_of(key as u8 + (b % 11) as u8, a, b);
                side.limiter.set_quota(quota).unwrap();
                side.quota = quota;
                for bucket in &mut side.buckets {
                    if bucket.own.is_none() && bucket.tier.is_none() {
                        let full = bucket.model.usage(now).used == 0;
                        let how = if full { CarryOver::Full } else { CarryOver::Proportional };
                        bucket.model.set_quota(now, quota, how);
                    }
                }
            }
            11 => drop(self.sides[side].limiter.sweep()),
            12 if a % 4 == 0 => {
                let side = &mut self.sides[side];
                side.limiter.reset(&name);
                side.buckets[key].model.reset(now);
            }
            _ => self.together(side, key, a, b),
        }
    }

    /// Terms set by hand.
    fn set_terms(&mut self, key: usize, a: u64, b: u64) {
        let now = self.now();
        let side = &mut self.sides[WITH_TERMS];
        let (bucket, limiters) = (&mut side.buckets[key], side.quota);
        let quota = usual_quota_of(key as u8 + (b % 11) as u8, b, a);
        let terms = match a % 5 {
            0 => Terms::blocked(),
            1 => Terms::from(quota),
            2 => Terms::default().cost(b % 3),
            3 => Terms::exempt(),
            _ => Terms::default(),
        };
        let own = match a % 5 {
            1 => Some(quota),
            3 => Some(Quota::unlimited()),
            _ => None,
        };
        let tier = if own.is_some() { None } else { bucket.tier };
        let new = own.or(tier).unwrap_or(limiters);
        bucket.model.set_quota(now, new, CarryOver::Proportional);
        (bucket.own, bucket.tier) = (own, tier);
        (bucket.blocked, bucket.exempt) = (a % 5 == 0, a % 5 == 3);
        bucket.cost = if a % 5 == 2 { b % 3 } else { 1 };
        if a % 5 == 4 {
            side.limiter.clear_terms_for(&(key as u64));
        } else {
            side.limiter.set_terms_for(&(key as u64), terms).unwrap();
        }
    }

    /// One request, under a tier or under none.
    fn alone(&mut self, side: usize, key: usize, a: u64, b: u64) {
        let asked = self.asked(side, key, a, b);
        let expected = self.expect(&[asked], None);
        let real = {
            let (side, name) = (&self.sides[side], key as u64);
            let charge = side.limiter.charge(&name).cost(asked.requests);
            match side.tier(asked.tier) {
                Some((tier, _)) => charge.under(tier).try_acquire(),
                None if b % 2 == 0 => side.limiter.try_acquire(&name, asked.requests),
                None => charge.try_acquire(),
            }
        };
        let answer = real.map_or_else(Answer::Refused, Answer::Taken);
        if let [Expected::ByEverybody(_)] = expected[..] {
            // The key is asked first, and goes by the request's quota from then on.
            let (tier, now) = (self.tier_of(&[asked], 0), self.now());
            let side = &mut self.sides[asked.side];
            side.buckets[asked.key].go_under(tier, side.quota, now);
        }
        self.conclude(&[asked], &expected, &[answer]);
    }

    /// Several charges at once.
    fn together(&mut self, side: usize, key: usize, a: u64, b: u64) {
        let mut asked = Vec::new();
        for i in 0..=(a % 5) {
            let (a, b) = (a.rotate_left(7 * i as u32 + 3), b.rotate_left(11 * i as u32));
            let side = if i == 0 { side } else { (a % 4) as usize };
            let key = if i == 0 { key } else { (b % KEYS as u64) as usize };
            asked.push(self.asked(side, key, a >> 2, b >> 2));
        }
        let answers = self.decide(&asked);
        // Which of several new keys finds the last place depends on which of them is still held
        // though it is full, and only on that.
        let without_room =
            |at: usize| matches!(answers[at], Answer::Refused(Rejection::TooManyKeys { .. }));
        let keys = |by: &dyn Fn(usize) -> bool| {
            let mut keys: Vec<usize> =
                (0..asked.len()).filter(|at| by(*at)).map(|at| asked[at].key).collect();
            keys.sort_unstable();
            keys.dedup();
            keys
        };
        let expected = self.expect(&asked, None);
        let too_many =
            |at: usize| matches!(expected[at], Expected::ByKey(Rejection::TooManyKeys { .. }));
        let refused = keys(&without_room);
        assert_eq!(refused.len(), keys(&too_many).len(), "{asked:?} {answers:?}");
        let expected = self.expect(&asked, Some(&refused));
        self.conclude(&asked, &expected, &answers);
    }

    fn asked(&self, side: usize, key: usize, a: u64, b: u64) -> Asked {
        let tier = (b % 5) as usize;
        let quota = match self.sides.get(side) {
            Some(side) => side.tier(tier).map_or(side.buckets[key].model.quota(), |tier| tier.1),
            None => self.model_of_all.quota(),
        };
        Asked { side, key, requests: size_of(quota, a), tier }
    }

    /// Runs the decision on the limiters.
    fn decide(&self, asked: &[Asked]) -> Vec<Answer> {
        #[allow(clippy::large_enum_variant, reason = "there are few")]
        enum Real<'a> {
            Key(KeyCharge<'a, u64, u64, GreedyRefill, ManualClock, Hasher>),
            All(LimiterCharge<'a, GreedyRefill, ManualClock>),
        }
        let names: Vec<u64> = (0..KEYS as u64).collect();
        let mut charges: Vec<Real<'_>> = asked
            .iter()
            .map(|asked| {
                let Some(side) = self.sides.get(asked.side) else {
                    return Real::All(self.all.charge(asked.requests));
                };
                let charge = side.limiter.charge(&names[asked.key]).cost(asked.requests);
                Real::Key(match side.tier(asked.tier) {
                    Some((tier, _)) => charge.under(tier),
                    None => charge,
                })
            })
            .collect();
        let mut list: Vec<&mut dyn Charge> = charges
            .iter_mut()
            .map(|charge| match charge {
                Real::Key(charge) => charge as &mut dyn Charge,
                Real::All(charge) => charge as &mut dyn Charge,
            })
            .collect();
        let taken = take_all(&mut list);
        let answers: Vec<Answer> = list.iter().map(Charge::answer).collect();
        let all = answers.iter().all(|answer| matches!(answer, Answer::Taken(_)));
        assert_eq!(taken, all, "{answers:?}");
        answers
    }

    /// What each limit must say, by a model in which nothing changes yet.
    fn expect(&mut self, asked: &[Asked], no_room: Option<&[usize]>) -> Vec<Expected> {
        let now = self.now();
        let mut expected = Vec::new();
        for (i, it) in asked.iter().enumerate() {
            let before = &asked[..i];
            if it.side == ALL {
                let earlier = before.iter().filter(|other| other.side == ALL);
                let total =
                    earlier.fold(it.requests, |sum, other| sum.saturating_add(other.requests));
                let answer = self.model_of_all.clone().try_acquire(now, total);
                expected.push(answer.map_or_else(Expected::ByKey, |_| Expected::Passes));
                continue;
            }
            let tier = self.tier_of(asked, i);
            let side = &mut self.sides[it.side];
            let same = |other: &&Asked| (other.side, other.key) == (it.side, it.key);
            let permits =
                |side: &Side<'_>, it: &Asked| it.requests.saturating_mul(side.buckets[it.key].cost);
            let total = before
                .iter()
                .filter(same)
                .fold(permits(side, it), |sum, other| sum.saturating_add(permits(side, other)));
            let fits = match no_room {
                Some(no_room) => it.side != BOUNDED || !no_room.contains(&it.key),
                None => fits(side, asked, i, tier, now),
            };
            if !fits {
                let max_keys = side.max_keys;
                expected.push(Expected::ByKey(Rejection::TooManyKeys { max_keys }));
                continue;
            }
            let mut bucket = side.buckets[it.key].clone();
            if bucket.blocked {
                expected.push(Expected::ByKey(Rejection::Blocked));
                continue;
            }
            if bucket.go_under(tier, side.quota, now) {
                if let Err(rejection) = bucket.model.try_acquire(now, total) {
                    expected.push(Expected::ByKey(rejection));
                    continue;
                }
            }
            let all_of_side = before.iter().filter(|other| other.side == it.side);
            let total =
                all_of_side.fold(it.requests, |sum, other| sum.saturating_add(other.requests));
            let by_all = side.global.clone().map(|mut all| all.try_acquire(now, total));
            expected.push(match by_all {
                Some(Err(rejection)) => Expected::ByEverybody(of_everybody(rejection)),
                _ => Expected::Passes,
            });
        }
        expected
    }

    /// The tier of the first charge of the same key.
    fn tier_of(&self, asked: &[Asked], i: usize) -> Option<Quota> {
        let it = asked[i];
        let first = asked.iter().find(|other| (other.side, other.key) == (it.side, it.key));
        self.sides[it.side].tier(first.unwrap_or(&it).tier).map(|tier| tier.1)
    }

    /// Compares the answers, and has the model follow.
    fn conclude(&mut self, asked: &[Asked], expected: &[Expected], answers: &[Answer]) {
        let now = self.now();
        if std::env::var_os("SHOW").is_some() {
            eprintln!("{now} {asked:?} {expected:?} {answers:?}");
        }
        let refused = expected.iter().any(|expected| !matches!(expected, Expected::Passes));
        for (i, it) in asked.iter().enumerate() {
            let (expected, answer) = (&expected[i], answers[i]);
            if it.side == ALL {
                let left = match expected {
                    Expected::Passes if refused => {
                        assert_untouched(answer, &mut self.model_of_all.clone(), now);
                        continue;
                    }
                    Expected::Passes => self.model_of_all.try_acquire(now, it.requests).unwrap(),
                    Expected::ByKey(why) | Expected::ByEverybody(why) => {
                        assert_eq!(answer, Answer::Refused(*why), "{it:?}");
                        continue;
                    }
                };
                assert_taken(answer, it.requests, left, "all");
                continue;
            }
            let tier = self.tier_of(asked, i);
            let side = &mut self.sides[it.side];
            let (quota, bucket) = (side.quota, &mut side.buckets[it.key]);
            let permits = it.requests.saturating_mul(bucket.cost);
            match expected {
                Expected::Passes if refused => {
                    let mut bucket = bucket.clone();
                    if bucket.go_under(tier, quota, now) && !bucket.exempt {
                        assert_untouched(answer, &mut bucket.model, now);
                    } else {
                        assert!(matches!(answer, Answer::Untouched(_)), "{answer:?}");
                    }
                }
                Expected::Passes => {
                    side.allowed = side.allowed.wrapping_add(permits);
                    let counts = bucket.go_under(tier, quota, now);
                    let exempt = bucket.exempt;
                    let own = counts.then(|| bucket.model.try_acquire(now, permits).unwrap());
                    let by_all = side.global.as_mut().filter(|_| !exempt);
                    let by_all = by_all.map(|all| all.try_acquire(now, permits).unwrap());
                    let free = Left { remaining: u64::MAX, reset_after: std::time::Duration::ZERO };
                    let (own, by_all) = (own.unwrap_or(free), by_all.unwrap_or(free));
                    let left = Left {
                        remaining: own.remaining.min(by_all.remaining),
                        reset_after: own.reset_after.max(by_all.reset_after),
                    };
                    assert_taken(answer, permits, left, "key");
                }
                Expected::ByKey(why) => {
                    side.denied = side.denied.saturating_add(permits);
                    if !matches!(why, Rejection::TooManyKeys { .. }) {
                        bucket.go_under(tier, quota, now);
                    }
                    assert_eq!(answer, Answer::Refused(*why), "{it:?}");
                }
                Expected::ByEverybody(why) => {
                    side.denied = side.denied.saturating_add(permits);
                    assert_eq!(answer, Answer::Refused(*why), "{it:?}");
                }
            }
        }
    }

    /// Each key is as the model says, and so are the counts.
    fn look(&mut self) {
        self.forget_full();
        let now = self.now();
        for side in &mut self.sides {
            let listed: Vec<(u64, Usage)> = side.limiter.usages().collect();
            for (key, bucket) in side.buckets.iter_mut().enumerate() {
                let (model, name) = (bucket.model.usage(now), key as u64);
                let at = listed.iter().find(|(listed, _)| *listed == name);
                let found = listed.iter().filter(|(listed, _)| *listed == name).count();
                assert!(found <= 1, "{key} is held {found} times");
                let Some((_, usage)) = at.filter(|_| model.used > 0) else {
                    assert_eq!(model.used, 0, "{key} is missing");
                    continue;
                };
                let seen = (usage.limit, usage.used, usage.remaining, usage.reset_after);
                let expected = (model.limit, model.used, model.remaining, model.reset_after);
                assert_eq!(seen, expected, "key {key}");
            }
            let totals = side.limiter.totals();
            assert_eq!((totals.allowed, totals.denied), (side.allowed, side.denied));
            if let (Some(all), Some(model)) = (side.limiter.global(), &mut side.global) {
                let (usage, model) = (all.usage(), model.usage(now));
                assert_eq!((usage.used, usage.remaining), (model.used, model.remaining));
            }
        }
        let (usage, model) = (self.all.usage(), self.model_of_all.usage(now));
        assert_eq!((usage.used, usage.remaining), (model.used, model.remaining), "all");
    }
}

/// Whether there is room for the key of the charge at `i`: a key that is active has it, and of
/// others each takes a place.
fn fits(side: &mut Side<'_>, asked: &[Asked], i: usize, tier: Option<Quota>, now: u64) -> bool {
    let it = asked[i];
    if side.max_keys > KEYS || side.is_active(it.key, now) {
        return true;
    }
    if tier.unwrap_or(side.quota).is_unlimited() {
        return true;
    }
    let mut free = side.max_keys.saturating_sub(side.taken(now));
    let mut seen: Vec<usize> = Vec::new();
    for (j, other) in asked.iter().enumerate().take(i + 1) {
        if other.side != it.side || seen.contains(&other.key) || side.is_active(other.key, now) {
            continue;
        }
        seen.push(other.key);
        let tier = side.tier(asked[j].tier).map(|tier| tier.1);
        if tier.unwrap_or(side.quota).is_unlimited() {
            continue;
        }
        if free == 0 {
            if other.key == it.key {
                return false;
            }
            continue;
        }
        if other.key == it.key {
            return true;
        }
        free -= 1;
    }
    free > 0
}

fn of_everybody(rejection: Rejection) -> Rejection {
    match rejection {
        Rejection::Denied { retry_after, available, reset_after, burst, .. } => {
            let limit = WhichLimit::Global;
            Rejection::Denied { retry_after, available, reset_after, burst, limit }
        }
        Rejection::ExceedsBurst { requested, burst, .. } => {
            Rejection::ExceedsBurst { requested, burst, limit: WhichLimit::Global }
        }
        other => other,
    }
}

fn assert_taken(answer: Answer, permits: u64, left: Left, what: &str) {
    let Answer::Taken(grant) = answer else { panic!("{what}: {answer:?}, but there are {left:?}") };
    let seen = (grant.permits, grant.remaining, grant.reset_after);
    assert_eq!(seen, (permits, left.remaining, left.reset_after), "{what}");
}

fn assert_untouched(answer: Answer, model: &mut Model, now: u64) {
    let Answer::Untouched(usage) = answer else { panic!("{answer:?}, but it would pass") };
    let model = model.usage(now);
    let seen = (usage.limit, usage.used, usage.remaining, usage.reset_after);
    assert_eq!(seen, (model.limit, model.used, model.remaining, model.reset_after));
}
