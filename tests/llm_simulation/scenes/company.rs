//! Accounts that are not used by us alone, or by many of us at once.

use super::{open_ai, scene};
use crate::sim::{
    Account, Counter, Counts, Dialect, MINUTE, Nanos, Others, Scene, Server, Traffic,
};

pub(super) fn scenes(length: Nanos) -> Vec<Scene> {
    let steady = Others::Steady(0.3);
    let with_others = Scene { told: true, ..scene("others use 30 %", open_ai(), length) };
    let windows = Counter::windows(Counts::Requests, 60, MINUTE);
    let windows = scene("others in windows", Server::new(Dialect::Draft6, [windows]), length);
    let bursts =
        Scene { name: "others in bursts", others: Others::Bursts(0.3), ..with_others.clone() };
    let in_windows = Scene { others: steady, ..windows };
    vec![
        Scene { others: steady, ..with_others },
        bursts.clone(),
        // Bursts use 30 % of a minute's limit more than their share.
        Scene { name: "bursts, 20 % kept back", kept_back: 20, ..bursts },
        in_windows.clone(),
        Scene { name: "windows, 6 % kept back", kept_back: 6, ..in_windows },
        all_at_once(),
    ]
}

/// 150 requests in one instant to three keys of which nothing is known.
fn all_at_once() -> Scene {
    let account = |(requests, tokens)| {
        let requests = Counter::even(Counts::Requests, requests, MINUTE);
        let tokens = Counter::even(Counts::Tokens, tokens, MINUTE);
        Account { keys: 1, server: Server::new(Dialect::OpenAi, [requests, tokens]) }
    };
    let accounts = [(60, 30_000), (60, 20_000), (20, 10_000)].map(account).into();
    let traffic = Traffic::Callers { callers: 150, calls: 1 };
    Scene { accounts, traffic, ..scene("150 at once, learned", open_ai(), 30 * MINUTE) }
}
