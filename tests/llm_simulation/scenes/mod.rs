//! The scenes, and who plays in them.

mod company;
mod even;
mod failing;
mod periods;
mod restarts;
mod silent;
mod windows;

use crate::sim::{
    Account, Backoff, Dialect, MINUTE, Naive, Nanos, Others, Ours, Outcome, Scene, Server, Traffic,
    run,
};

/// All scenes, of about this length; those whose limits count over hours and days last longer.
pub(crate) fn all(length: Nanos) -> Vec<Scene> {
    let groups = [
        even::scenes(length),
        windows::scenes(length),
        periods::scenes(length),
        silent::scenes(length),
        failing::scenes(length),
        company::scenes(length),
        restarts::scenes(length),
    ];
    groups.concat()
}

/// One key whose limits are told or learned, and all that they let pass asked for one and a half
/// times.
fn scene(name: &'static str, server: Server, length: Nanos) -> Scene {
    Scene {
        name,
        accounts: vec![Account { keys: 1, server }],
        told: false,
        kept_back: 0,
        failures: Vec::new(),
        others: Others::Nobody,
        restart: None,
        traffic: Traffic::Load(1.5),
        retries: true,
        near: false,
        wrong: 2.0,
        drift: 100,
        length,
        seed: 1,
    }
}

/// One account of 200 requests and 120,000 tokens a minute, as `OpenAI` counts them.
fn open_ai() -> Server {
    use crate::sim::{Counter, Counts};
    let requests = Counter::even(Counts::Requests, 200, MINUTE);
    let tokens = Counter::even(Counts::Tokens, 120_000, MINUTE);
    Server::new(Dialect::OpenAi, [requests, tokens])
}

pub(crate) fn ours(scene: &Scene) -> Outcome {
    run(scene, &|clock, state, now| Box::new(Ours::new(clock, scene, state, now)))
}

pub(crate) fn naive(scene: &Scene) -> Outcome {
    run(scene, &|clock, _, _| Box::new(Naive::new(clock, scene)))
}

pub(crate) fn backoff(scene: &Scene) -> Outcome {
    const WORKERS: usize = 48;
    run(scene, &|clock, _, _| Box::new(Backoff::new(clock, scene, WORKERS)))
}
