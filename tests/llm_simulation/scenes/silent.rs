//! Servers that say little about their limits.

use super::scene;
use crate::sim::{Counter, Counts, DAY, Dialect, HOUR, MINUTE, Nanos, Scene, Server};

pub(super) fn scenes(length: Nanos) -> Vec<Scene> {
    let an_hour = length.max(HOUR);
    let (even, windows) = (Counter::even, Counter::windows);
    vec![
        scene("xAI, no reset", x_ai(), length),
        scene("retry-after alone", minute(Dialect::RetryAfterAlone, even), an_hour),
        scene("retry-after alone, windows", minute(Dialect::RetryAfterAlone, windows), an_hour),
        scene("nothing but 429", minute(Dialect::Nothing, even), an_hour),
        scene("nothing but 429, windows", minute(Dialect::Nothing, windows), an_hour),
        scene("Gemini, wait in the body", gemini(), length.max(DAY)),
    ]
}

/// Limit and remaining, and no word of when there will be more.
fn x_ai() -> Server {
    let requests = Counter::even(Counts::Requests, 60, MINUTE);
    let tokens = Counter::even(Counts::Tokens, 60_000, MINUTE);
    Server::new(Dialect::WithoutReset, [requests, tokens])
}

/// 30 requests a minute, of which nobody is told.
fn minute(dialect: Dialect, counter: fn(Counts, u64, Nanos) -> Counter) -> Server {
    Server::new(dialect, [counter(Counts::Requests, 30, MINUTE)])
}

/// The free tier: 10 requests a minute and 250 a day.
fn gemini() -> Server {
    let minute = Counter::windows(Counts::Requests, 10, MINUTE);
    let day = Counter::windows(Counts::Requests, 250, DAY);
    Server::new(Dialect::BodyAlone, [minute, day])
}
