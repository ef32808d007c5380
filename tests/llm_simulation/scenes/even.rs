//! Limits per minute that refill evenly, as OpenAI's and Anthropic's do.

use super::{open_ai, scene};
use crate::sim::{
    Account, Counter, Counting, Counts, Dialect, MINUTE, Nanos, Scene, Server, Stated, Traffic,
};

pub(super) fn scenes(length: Nanos) -> Vec<Scene> {
    let learned = scene("limits learned", open_ai(), length);
    let one = Scene { name: "one key", told: true, ..learned.clone() };
    let as_of_arrival = scene("headers as of arrival", open_ai().stated(Stated::OnArrival), length);
    vec![
        one.clone(),
        learned,
        Scene { name: "client's clock slow", drift: -100, ..one.clone() },
        Scene { told: true, ..as_of_arrival },
        Scene { name: "exact estimates", wrong: 1.0, ..one.clone() },
        few_requests(length),
        Scene { name: "5 unequal keys", accounts: unequal(), ..one.clone() },
        Scene { name: "5 keys, learned", accounts: unequal(), told: false, ..one },
        Scene { told: true, ..scene("Anthropic", anthropic(), length) },
    ]
}

/// Requests are the limit that is reached, and tokens never are.
fn few_requests(length: Nanos) -> Scene {
    let requests = Counter::even(Counts::Requests, 60, MINUTE);
    let tokens = Counter::even(Counts::Tokens, 120_000, MINUTE);
    let server = Server::new(Dialect::OpenAi, [requests, tokens]);
    // More than twice as many would do in tokens, and even that is exceeded.
    let traffic = Traffic::Load(3.25);
    Scene { told: true, traffic, ..scene("few requests allowed", server, length) }
}

/// From the smallest to the largest tier of a provider.
fn unequal() -> Vec<Account> {
    let account = |size: u64| {
        let requests = Counter::even(Counts::Requests, size * 2, MINUTE);
        let tokens = Counter::even(Counts::Tokens, size * 1_000, MINUTE);
        Account { keys: 1, server: Server::new(Dialect::OpenAi, [requests, tokens]) }
    };
    [20, 40, 80, 120, 240].map(account).into()
}

/// Prompts and answers have limits of their own, and answers count as they are generated.
fn anthropic() -> Server {
    let counters = [
        Counter::even(Counts::Requests, 200, MINUTE),
        Counter::even(Counts::InputTokens, 90_000, MINUTE),
        Counter::even(Counts::OutputTokens, 30_000, MINUTE),
    ];
    Server::new(Dialect::Anthropic, counters).counting(Counting::AsGenerated)
}
