//! The store of shared limits in memory, which is the local share while a shared store is out,
//! against a keyed limiter that answers the same.
//!
//! Known keys, one thread, measured as [charges](crate::keyed_charges) are.

use std::hint::black_box;

use tollgate::shared::store::{
    Ask, Charge, LimitSpec, Memory, MemoryBuckets, Namespace, Outcome, Part, Rule, SubjectAsk, Verb,
};
use tollgate::{KeyedLimiter, Quota};

use crate::Size;
use crate::keyed_charges::{AMPLE, IN_USE, KEYS, compare};
use crate::table::{Table, Target};

pub(crate) fn print(size: Size) {
    let heads = ["one decision", "keyed ns", "memory ns", "ratio"];
    let mut table = Table::new("the store in memory, against a keyed limiter", heads);
    rows(size, &mut table).expect("valid quotas");
    size.show(&table);
}

/// The buckets of users with limits of such rules, of which each key has used `used`.
fn buckets(rules: &[(Rule, Quota)], keys: &[String], used: u64) -> MemoryBuckets {
    let limit = |(index, (rule, quota)): (usize, &(Rule, Quota))| {
        LimitSpec::new(format!("limit {index}"), *rule, *quota)
    };
    let users = Namespace::new("users", rules.iter().enumerate().map(limit).collect());
    let buckets = Memory::new().buckets(&[users]).expect("valid quotas");
    let charges = vec![Charge::new(1); rules.len()];
    for key in keys {
        let answer = buckets.ask_one(SubjectAsk::new(Verb::Take, used, key, &charges));
        assert!(answer.is_ok_and(|answer| answer.outcome != Outcome::Refused));
    }
    buckets
}

fn rows(size: Size, table: &mut Table) -> Result<(), tollgate::QuotaError> {
    let keys: Vec<String> = (0..KEYS).map(|key| format!("{key:016x}")).collect();
    let name = |key: u64| keys[usize::try_from(key).unwrap_or(0)].as_str();
    let per_user = KeyedLimiter::<String>::new(AMPLE)?;
    let scarce_quota = Quota::per_hour(1);
    let scarce = KeyedLimiter::<String>::new(scarce_quota)?;
    for key in &keys {
        assert!(per_user.allow_n(key, IN_USE) && scarce.allow(key));
    }
    let bucket = (Rule::TokenBucket, AMPLE);
    let one = buckets(&[bucket], &keys, IN_USE);
    let two = buckets(&[bucket, bucket], &keys, IN_USE);
    let empty = buckets(&[(Rule::TokenBucket, scarce_quota)], &keys, 1);
    let window = Quota::per_day(1_000_000_000);
    let sliding = buckets(&[(Rule::SlidingWindow, window)], &keys, 1);
    let charges = [Charge::new(1); 2];
    let ask = |buckets: &MemoryBuckets, verb, key, charges: &[Charge]| {
        black_box(&buckets.ask_one(SubjectAsk::new(verb, 1, name(key), charges))).is_ok()
    };
    let mut row = |what: &str, target, keyed: &KeyedLimiter<String>, other: &mut dyn FnMut(u64)| {
        let mut try_acquire = |key| {
            black_box(keyed.try_acquire(name(key), 1)).ok();
        };
        let (one, other) = compare(size, &mut try_acquire, other);
        table.row(what, format!("{one:.1}"), format!("{other:.1}"), other / one, target);
    };
    row("take, one token bucket", Target::AtMost(1.25), &per_user, &mut |key| {
        assert!(ask(&one, Verb::Take, key, &charges[..1]));
    });
    row("take, refused", Target::AtMost(1.25), &scarce, &mut |key| {
        assert!(ask(&empty, Verb::Take, key, &charges[..1]));
    });
    row("take, two token buckets", Target::None, &per_user, &mut |key| {
        assert!(ask(&two, Verb::Take, key, &charges));
    });
    row("take, one sliding window", Target::None, &per_user, &mut |key| {
        assert!(ask(&sliding, Verb::Take, key, &charges[..1]));
    });
    row("look", Target::None, &per_user, &mut |key| {
        assert!(ask(&one, Verb::Look, key, &charges[..1]));
    });
    let asks = |subjects: &[&str]| {
        let part = |subject: &&str| Part::new(0, *subject, [Charge::new(1)]);
        let mut ask = Ask::new(Verb::Take, 1, part(&subjects[0]));
        ask.parts.extend(subjects[1..].iter().map(part));
        ask
    };
    let alone: Vec<Ask> = (0..KEYS).map(|key| asks(&[name(key)])).collect();
    let of = |key: u64| usize::try_from(key).unwrap_or(0);
    row("take, as an Ask", Target::None, &per_user, &mut |key| {
        assert!(black_box(&one.ask_now(&alone[of(key)])).is_ok());
    });
    let both: Vec<Ask> = (0..KEYS).map(|key| asks(&[name(key), name((key + 1) % KEYS)])).collect();
    row("take, two subjects in one Ask", Target::None, &per_user, &mut |key| {
        assert!(black_box(&one.ask_now(&both[of(key)])).is_ok());
    });
    Ok(())
}
