//! Limits that do not count over a minute.

use super::scene;
use crate::sim::{
    Counter, Counts, DAY, Dialect, HOUR, MINUTE, Nanos, SECOND, Scene, Server, Traffic,
};

pub(super) fn scenes(length: Nanos) -> Vec<Scene> {
    let (an_hour, a_day) = (length.max(HOUR), length.max(DAY));
    // The burst of a day shall be used up within the day.
    let load = Traffic::Load(4.0);
    let second_in_windows = Counter::windows(Counts::Requests, 10, SECOND);
    vec![
        scene("Together, per second", together(), length),
        scene("per second, windows", Server::new(Dialect::Plain, [second_in_windows]), length),
        scene("Azure, per ten seconds", azure(), length),
        scene("Mistral", mistral(), an_hour),
        Scene { traffic: load, ..scene("Cerebras", cerebras(), a_day) },
        Scene { traffic: load, told: true, ..scene("Cerebras, told", cerebras(), a_day) },
        Scene { traffic: load, ..scene("Groq", groq(), a_day) },
        Scene { traffic: load, told: true, ..scene("Groq, told", groq(), a_day) },
        scene("per day, windows", day_in_windows(), a_day),
    ]
}

/// Ten requests a second. Its `reset` is always one second.
fn together() -> Server {
    let requests = Counter::even(Counts::Requests, 10, SECOND);
    let tokens = Counter::even(Counts::Tokens, 20_000, SECOND);
    Server::new(Dialect::Plain, [requests, tokens])
}

/// The recorded `reset` of Azure is that of a bucket that refills evenly.
fn azure() -> Server {
    let requests = Counter::even(Counts::Requests, 15, 10 * SECOND);
    let tokens = Counter::even(Counts::Tokens, 150_000, MINUTE);
    Server::new(Dialect::Azure, [requests, tokens])
}

/// The free tier: two requests in ten seconds and four a minute, and no `reset`.
fn mistral() -> Server {
    let short = Counter::windows(Counts::Requests, 2, 10 * SECOND);
    let requests = Counter::windows(Counts::Requests, 4, MINUTE);
    let tokens = Counter::windows(Counts::Tokens, 200_000, MINUTE);
    Server::new(Dialect::PeriodInName("req"), [short, requests, tokens])
}

/// The free tier: as much in a day as the hour's limit would let pass in a few hours.
fn cerebras() -> Server {
    let counters = [
        Counter::even(Counts::Requests, 5, MINUTE),
        Counter::even(Counts::Requests, 150, HOUR),
        Counter::even(Counts::Requests, 2_400, DAY),
        Counter::even(Counts::Tokens, 30_000, MINUTE),
        Counter::even(Counts::Tokens, 1_000_000, HOUR),
        Counter::even(Counts::Tokens, 1_000_000, DAY),
    ];
    Server::new(Dialect::PeriodInName("requests"), counters)
}

/// The free tier: requests per day and tokens per minute under names that say neither. Both come
/// back evenly.
fn groq() -> Server {
    let requests = Counter::even(Counts::Requests, 1_000, DAY);
    let tokens = Counter::even(Counts::Tokens, 8_000, MINUTE);
    Server::new(Dialect::OpenAi, [requests, tokens])
}

/// Requests per day that come back at midnight, and requests per minute.
fn day_in_windows() -> Server {
    let day = Counter::windows(Counts::Requests, 500, DAY);
    let minute = Counter::windows(Counts::Requests, 10, MINUTE);
    Server::new(Dialect::PeriodInName("requests"), [day, minute])
}
