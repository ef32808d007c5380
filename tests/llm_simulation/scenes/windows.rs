//! Servers that count in windows, which begin when their clock begins a minute: all comes back at
//! once, and nothing before.

use super::scene;
use crate::sim::{Counter, Counting, Counts, Dialect, HOUR, MINUTE, Nanos, SECOND, Scene, Server};

pub(super) fn scenes(length: Nanos) -> Vec<Scene> {
    let an_hour = length.max(HOUR);
    vec![
        scene("OpenRouter, windows", open_router(), an_hour),
        scene("IETF draft 6, windows", drafted(Dialect::Draft6, 40, MINUTE), an_hour),
        scene("IETF draft 8, windows", drafted(Dialect::Draft8, 100, 5 * MINUTE), an_hour),
        scene("Azure, windows", azure(), length),
        Scene { wrong: 1.0, ..scene("Azure, exact estimates", azure(), length) },
        scene("Azure, nothing given back", azure().counting(Counting::ReservedForGood), length),
    ]
}

/// Free models: 20 requests a minute, and no limit of tokens.
fn open_router() -> Server {
    Server::new(Dialect::Plain, [Counter::windows(Counts::Requests, 20, MINUTE)])
}

/// 40 a minute, and the 1,000 in five minutes of Hugging Face, one tenth of them.
fn drafted(dialect: Dialect, limit: u64, period: Nanos) -> Server {
    Server::new(dialect, [Counter::windows(Counts::Requests, limit, period)])
}

/// Requests per ten seconds, six requests a minute for each 1,000 tokens, and a `reset` that is
/// often zero.
fn azure() -> Server {
    let requests = Counter::windows(Counts::Requests, 240, 10 * SECOND);
    let tokens = Counter::windows(Counts::Tokens, 240_000, MINUTE);
    Server::new(Dialect::Azure, [requests, tokens])
}
