//! What the store in memory promises beyond what every store does.

use std::time::Duration;

use tollgate::shared::store::{
    Ask, Charge, Level, Memory, MemoryBuckets, Outcome, Rule, Store, StoreError, SubjectAsk, Verb,
};
use tollgate::{ManualClock, Quota, Timestamp};

use crate::shared_store::scene::{ask, ask_all, is_done, namespace, part, patient};

const SECOND: Duration = Duration::from_secs(1);

/// A store for so many subjects, and the buckets of users with one permit a second.
fn small(max_subjects: usize) -> (ManualClock, Memory<ManualClock>, MemoryBuckets<ManualClock>) {
    let clock = ManualClock::new();
    let store = Memory::builder().max_subjects(max_subjects).clock(clock.clone()).build();
    let limit = (Rule::TokenBucket, Quota::per_second(1));
    let users = store.buckets(&[namespace("users", &[limit])]).unwrap();
    (clock, store, users)
}

fn take(users: &MemoryBuckets<ManualClock>, subject: &str) -> Result<bool, StoreError> {
    users.ask_now(&ask(Verb::Take, 1, subject, &[1])).map(|answer| is_done(&answer))
}

#[test]
fn the_number_of_subjects_is_bounded() {
    for max_subjects in [0, 1, 2, 100, 1_000] {
        let (clock, store, users) = small(max_subjects);
        for round in 0..3 {
            let mut stored = 0;
            for subject in 0..2 * max_subjects + 10 {
                let name = format!("{round} {subject}");
                match take(&users, &name) {
                    Ok(done) => {
                        assert!(done);
                        assert_eq!(take(&users, &name), Ok(false), "a known subject is asked");
                        stored += 1;
                    }
                    Err(StoreError::Full(why)) => assert!(why.contains("max_subjects")),
                    Err(error) => panic!("{error}"),
                }
                assert!(store.subjects() <= max_subjects);
            }
            // In the first round, all places are free.
            assert!(round > 0 || stored == max_subjects, "{stored} of {max_subjects}");
            assert!(stored >= max_subjects.min(60), "{stored} of {max_subjects}");
            clock.advance(2 * SECOND);
        }
    }
}

#[test]
fn a_subject_in_use_is_never_evicted() {
    let (clock, store, users) = small(500);
    for subject in 0..400 {
        // Their limit is full again after so many seconds.
        let in_use = ask(Verb::Consume, 1 + subject % 4, &format!("{subject}"), &[1]);
        users.ask_now(&in_use).unwrap();
    }
    clock.advance(2 * SECOND + SECOND / 2);
    for subject in 0..5_000 {
        let _ = take(&users, &format!("new {subject}"));
        assert!(store.subjects() <= 500);
    }
    for subject in 0..400 {
        let look = ask(Verb::Look, 0, &format!("{subject}"), &[1]);
        let used = users.ask_now(&look).unwrap().levels[0].used;
        assert_eq!(used, (1 + subject % 4_u64).saturating_sub(2), "{subject}");
    }
}

#[test]
fn what_takes_nothing_stores_nothing() {
    let (_, store, users) = small(1);
    for verb in [Verb::Look, Verb::Credit, Verb::HandBack, Verb::Cancel, Verb::Reset] {
        for subject in ["alice", "bob"] {
            assert!(users.ask_now(&ask(verb, 1, subject, &[1])).is_ok());
            let both = [part(subject, &[1]), part("carol", &[1])];
            assert!(users.ask_now(&ask_all(verb, 1, both)).is_ok());
        }
    }
    for count in [0, 2] {
        assert!(users.ask_now(&ask(Verb::Take, count, "alice", &[1])).is_ok());
    }
    assert_eq!(store.subjects(), 0);
    assert_eq!(take(&users, "alice"), Ok(true));
    assert!(take(&users, "bob").is_err());
    users.ask_now(&ask(Verb::Reset, 1, "alice", &[1])).unwrap();
    assert_eq!(take(&users, "bob"), Ok(true));
}

#[test]
fn an_ask_without_room_for_all_takes_nothing() {
    let (_, store, users) = small(2);
    assert_eq!(take(&users, "alice"), Ok(true));
    let parts = [part("bob", &[1]), part("alice", &[0]), part("carol", &[1])];
    let answer = users.ask_now(&ask_all(Verb::Take, 1, parts));
    assert!(matches!(answer, Err(StoreError::Full(_))), "{answer:?}");
    assert_eq!(store.subjects(), 1);
    let parts = [part("bob", &[1]), part("alice", &[0])];
    assert!(is_done(&users.ask_now(&ask_all(Verb::Take, 1, parts)).unwrap()));
}

/// A subject is known but full, and new subjects of the same ask evict full ones.
#[test]
fn a_full_subject_is_charged_together_with_new_ones() {
    let (clock, _, users) = small(1_000);
    for round in 0..50 {
        assert_eq!(take(&users, "alice"), Ok(true));
        clock.advance(SECOND);
        let names: Vec<_> = (0..20).map(|n| format!("{round} {n}")).collect();
        let new = names.iter().map(|name| part(name, &[1]));
        let parts = new.chain([part("alice", &[1])]);
        assert!(is_done(&users.ask_now(&ask_all(Verb::Take, 1, parts)).unwrap()));
        assert_eq!(take(&users, "alice"), Ok(false), "round {round}");
        clock.advance(SECOND);
    }
}

#[test]
fn clones_share_their_subjects() {
    let (_, store, users) = small(10);
    let limit = (Rule::TokenBucket, Quota::per_second(1));
    let others = store.clone().buckets(&[namespace("users", &[limit])]).unwrap();
    assert_eq!((take(&users, "alice"), take(&others, "alice")), (Ok(true), Ok(false)));
    drop(store);
    assert_eq!(take(&others, "bob"), Ok(true));
}

#[test]
fn a_borrowed_ask_answers_as_an_ask() {
    let (_, _, users) = small(10);
    let (_, _, others) = small(10);
    for (verb, count, cost) in [
        (Verb::Take, 1, 1),
        (Verb::Take, 1, 1),
        (Verb::Look, 0, 1),
        (Verb::Consume, 5, 2),
        (Verb::TakeUpTo, 3, 1),
        (Verb::Credit, 10, 1),
        (Verb::Take, 1, 2),
        (Verb::Take, 0, 1),
    ] {
        let charges = [Charge::new(cost)];
        let borrowed = users.ask_one(SubjectAsk::new(verb, count, "alice", &charges));
        assert_eq!(borrowed, others.ask_now(&ask(verb, count, "alice", &[cost])));
    }
}

#[test]
fn subjects_do_not_appear_in_debug_output() {
    let (_, store, users) = small(10);
    assert_eq!(take(&users, "secret"), Ok(true));
    assert!(!format!("{store:?} {users:?}").contains("secret"));
}

/// What a batch says is done when it is sent, whether or not anybody waits for the answers.
#[test]
fn a_batch_is_done_at_once() {
    let (_, store, users) = small(10);
    let limit = (Rule::TokenBucket, Quota::per_second(1));
    let opened = store.open(&[namespace("users", &[limit])]).unwrap();
    drop(opened.ask(vec![ask(Verb::Take, 1, "alice", &[1])]));
    assert_eq!(take(&users, "alice"), Ok(false));
    // So no ask is ever too late.
    let mut at_once: Ask = ask(Verb::Take, 1, "bob", &[1]);
    at_once.lifetime = Duration::ZERO;
    assert!(is_done(&users.ask_now(&at_once).unwrap()));
}

#[test]
fn the_end_of_time_is_no_overflow() {
    let rules = [Rule::TokenBucket, Rule::FixedWindow, Rule::SlidingWindow, Rule::StrictWindow];
    for rule in rules {
        for quota in [Quota::per_second(10), Quota::per(1, Duration::from_nanos(u64::MAX))] {
            let clock = ManualClock::new();
            let store = Memory::builder().clock(clock.clone()).build();
            let users = store.buckets(&[namespace("users", &[(rule, quota)])]).unwrap();
            for now in [Timestamp::ZERO, Timestamp::from_nanos(u64::MAX - 2), Timestamp::MAX] {
                clock.set(now);
                for verb in [Verb::Take, Verb::Consume, Verb::Credit, Verb::Look, Verb::Cancel] {
                    for n in [1, 10, u64::MAX] {
                        let patient = patient(ask(verb, n, "alice", &[1]), Duration::MAX);
                        let answer = users.ask_now(&patient);
                        let is_debt = matches!(answer, Err(StoreError::Misfit(_)));
                        assert!(answer.is_ok() || is_debt && verb == Verb::Consume, "{rule:?}");
                    }
                }
                users.ask_now(&ask(Verb::Reset, 1, "alice", &[1])).unwrap();
            }
            let level: Level = users.ask_now(&ask(Verb::Look, 0, "alice", &[1])).unwrap().levels[0];
            assert_eq!(level.used, 0, "{rule:?}");
        }
    }
}

/// Many threads at one subject and at pairs of subjects: no permit is lost, and no lock order is
/// wrong.
#[test]
fn threads_take_all_there_is_and_no_more() {
    const EACH: u64 = 2_000;
    let store = Memory::builder().clock(ManualClock::new()).build();
    let limit = (Rule::TokenBucket, Quota::per_second(4 * EACH));
    let users = store.buckets(&[namespace("users", &[limit])]).unwrap();
    let taken: u64 = std::thread::scope(|scope| {
        let count = |thread: u64| {
            let users = &users;
            move || {
                let names = [format!("{}", thread % 3), format!("{}", (thread + 1) % 3)];
                let parts = || names.iter().map(|name| part(name, &[1]));
                let asks = (0..EACH).map(|_| ask_all(Verb::Take, 1, parts()));
                let answers = asks.map(|ask| users.ask_now(&ask).unwrap());
                answers.filter(|answer| answer.outcome != Outcome::Refused).count() as u64
            }
        };
        let threads: Vec<_> = (0..6).map(|thread| scope.spawn(count(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    // Each pair is asked by two threads, and each subject is in two pairs.
    assert_eq!(taken, 6 * EACH);
    for subject in ["0", "1", "2"] {
        assert!(!is_done(&users.ask_now(&ask(Verb::Take, 1, subject, &[1])).unwrap()));
    }
}
