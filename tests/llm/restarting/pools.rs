//! The keys and accounts of a pool over a restart.

use tollgate::ManualClock;
use tollgate::llm::{KeyPool, Limits, Reply};

use super::{REQUESTS, groq, start};
use crate::support::{Pool, SECOND, ids, pool, rpm};

/// A pool that sends one request first with each key about which nothing is known.
fn careful_pool(clock: &ManualClock) -> Pool {
    let pool = KeyPool::builder().clock(clock.clone()).build();
    pool.add("a", "sk-a", Limits::new()).unwrap();
    pool
}

#[test]
fn a_restored_key_is_not_on_trial() {
    let before = careful_pool(&ManualClock::new());
    before.try_acquire(0).unwrap().end(&groq("999", "1m26.4s"));
    let after = careful_pool(&ManualClock::new());
    assert!(after.restore_state_at(&before.state_at(start()), start()).unwrap().is_empty());
    let one = after.try_acquire(0).unwrap();
    assert!(after.try_acquire(0).is_ok());
    drop(one);

    // A key that was never answered still is.
    let after = careful_pool(&ManualClock::new());
    let unused = careful_pool(&ManualClock::new()).state_at(start());
    after.restore_state_at(&unused, start()).unwrap();
    let _one = after.try_acquire(0).unwrap();
    assert!(after.try_acquire(0).is_err());
}

#[test]
fn a_pool_finds_its_keys_by_their_ids() {
    let clock = ManualClock::new();
    let before = pool(&clock);
    before.add("a", "sk-a", rpm(10)).unwrap();
    before.add_sharing("a", "shares", "sk-s").unwrap();
    before.add("gone", "sk-g", rpm(10)).unwrap();
    before.add("refused", "sk-r", rpm(10)).unwrap();
    for _ in 0..30 {
        before.try_acquire(0).unwrap().settle(0);
    }
    before.observe_reply("refused", &Reply::new(401));
    let state = before.state_at(start());
    assert_eq!(state.ids().collect::<Vec<_>>(), ["a", "shares", "gone", "refused"]);

    let clock = ManualClock::new();
    let after = pool(&clock);
    after.add("refused", "sk-r", rpm(10)).unwrap();
    after.add("new", "sk-n", rpm(10)).unwrap();
    after.add("a", "sk-a", rpm(10)).unwrap();
    after.add_sharing("a", "shares", "sk-s").unwrap();
    assert_eq!(after.restore_state_at(&state, start() + SECOND * 30).unwrap(), ["gone"]);
    let requests = |id: &str| after.usage(id).unwrap().of(REQUESTS).unwrap().used;
    // Two keys share one account, and nothing is counted twice.
    assert_eq!((requests("a"), requests("shares"), requests("new")), (5, 5, 0));
    let ids = ids(&after, 0, 15);
    assert!(!ids.iter().any(|id| id == "refused"), "{ids:?}");
    assert!(after.try_acquire(0).is_err());
}

#[test]
fn keys_that_share_an_account_only_now_have_used_what_one_of_them_had() {
    let before = pool(&ManualClock::new());
    before.add("a", "sk-a", rpm(10)).unwrap();
    before.add("b", "sk-b", rpm(10)).unwrap();
    ids(&before, 0, 11);
    let after = pool(&ManualClock::new());
    after.add("a", "sk-a", rpm(10)).unwrap();
    after.add_sharing("a", "b", "sk-b").unwrap();
    after.restore_state_at(&before.state_at(start()), start()).unwrap();
    assert_eq!(after.usage("a").unwrap().of(REQUESTS).unwrap().used, 6);
}
