//! Keys that fail, whatever their limits are.

use super::{open_ai, scene};
use crate::sim::{
    Account, Counter, Counts, DAY, Dialect, Failure, MINUTE, Nanos, SECOND, Scene, Server, Traffic,
};

pub(super) fn scenes(length: Nanos) -> Vec<Scene> {
    let mut scenes = vec![
        callers("402 at once, callers", 402, false),
        callers("401 at once, callers", 401, false),
        callers("500 at once, callers", 500, false),
        callers("529 at once, callers", 529, false),
        callers("500 at once, retried", 500, true),
        callers("529 at once, retried", 529, true),
    ];
    scenes.extend([
        all_day("402 all day", 402, length.max(DAY)),
        all_day("401 all day", 401, length.max(DAY)),
        all_day("500 all day", 500, length.max(DAY)),
        needed("402 all day, needed", 402, length.max(DAY)),
        needed("500 all day, needed", 500, length.max(DAY)),
        ten_minutes(length.max(45 * MINUTE)),
        one_account(length.max(45 * MINUTE)),
        scene("retry-after with 200", open_ai().retry_after_when_good(13), length),
    ]);
    scenes
}

/// Two keys of two accounts that have room for all, and an answer after half a second. The first
/// key fails.
fn two_keys() -> Vec<Account> {
    let requests = Counter::even(Counts::Requests, 6_000, MINUTE);
    let tokens = Counter::even(Counts::Tokens, 10_000_000, MINUTE);
    let server = Server::new(Dialect::OpenAi, [requests, tokens]).takes(SECOND / 2);
    let account = Account { keys: 1, server };
    vec![account.clone(), account]
}

/// Ten callers with 30 calls each. The key that fails is always free, since it answers at once.
fn callers(name: &'static str, status: u16, retries: bool) -> Scene {
    let traffic = Traffic::Callers { callers: 10, calls: 30 };
    let failures = vec![Failure::forever(0..1, status)];
    let one = scene(name, open_ai(), 10 * MINUTE);
    Scene { accounts: two_keys(), traffic, failures, retries, near: true, ..one }
}

/// A request a minute: it shows how often a key is tried that never comes back.
fn all_day(name: &'static str, status: u16, length: Nanos) -> Scene {
    let traffic = Traffic::Every(MINUTE);
    Scene { traffic, length, ..callers(name, status, true) }
}

/// Two requests a minute for each of two keys, of which the first never works. Requests wait for
/// the other one, so they would be glad of it.
fn needed(name: &'static str, status: u16, length: Nanos) -> Scene {
    let requests = Counter::even(Counts::Requests, 2, MINUTE);
    let one = scene(name, Server::new(Dialect::OpenAi, [requests]), length);
    let accounts = vec![one.accounts[0].clone(); 2];
    let failures = vec![Failure::forever(0..1, status)];
    Scene { accounts, failures, traffic: Traffic::Load(0.75), ..one }
}

/// 60 requests a minute for each of two keys, of which the first fails for ten minutes. What is
/// asked for is more than one key can do, and less than two can.
fn ten_minutes(length: Nanos) -> Scene {
    let requests = Counter::even(Counts::Requests, 60, MINUTE);
    let server = Server::new(Dialect::OpenAi, [requests]);
    let failure = Failure { from: 15 * MINUTE, lasts: 10 * MINUTE, ..Failure::forever(0..1, 500) };
    let one = scene("500 for ten minutes", server, length);
    let accounts = vec![one.accounts[0].clone(); 2];
    Scene { accounts, failures: vec![failure], traffic: Traffic::Load(0.75), ..one }
}

/// Three keys of one account, which is told to wait for 20 seconds every ten minutes. The wait has
/// nothing to do with its limits, of which there are enough.
fn one_account(length: Nanos) -> Scene {
    let one = scene("3 keys of one account", open_ai(), length);
    let accounts = vec![Account { keys: 3, server: open_ai() }];
    let failure = Failure {
        says_when: true,
        from: 8 * MINUTE,
        lasts: 20 * SECOND,
        every: Some(10 * MINUTE),
        ..Failure::forever(0..3, 429)
    };
    Scene { accounts, failures: vec![failure], traffic: Traffic::Load(0.5), ..one }
}
