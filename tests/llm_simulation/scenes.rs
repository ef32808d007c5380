//! The scenes, and who plays in them.

use tollgate::llm::Limits;

use crate::sim::{
    Backoff, Dialect, MINUTE, Naive, Nanos, Ours, Outcome, Scene, SkewedClock, Stated, run,
};

/// How many wait at most; who comes then goes away.
const ROOM: usize = 16;
const WORKERS: usize = 48;

/// One account of 200 requests and 120,000 tokens a minute, as `OpenAI` counts them.
pub(crate) fn one_key(length: Nanos) -> Scene {
    Scene {
        name: "one key",
        dialect: Dialect::OpenAi,
        stated: Stated::AtTheEnd,
        keys: vec![(200, 120_000, 1)],
        told: true,
        others: 0.0,
        wrong: 2.0,
        load: 1.5,
        drift: 100,
        length,
        seed: 1,
    }
}

pub(crate) fn all(length: Nanos) -> Vec<Scene> {
    let one = one_key(length);
    let anthropic = vec![(200, 90_000, 30_000)];
    vec![
        Scene { name: "one key", ..one.clone() },
        Scene { name: "limits learned", told: false, ..one.clone() },
        Scene { name: "client's clock slow", drift: -100, ..one.clone() },
        Scene { name: "headers as of arrival", stated: Stated::OnArrival, ..one.clone() },
        Scene { name: "exact estimates", wrong: 1.0, ..one.clone() },
        Scene { name: "few requests allowed", keys: vec![(60, 120_000, 1)], ..one.clone() },
        Scene { name: "others use 30 %", others: 0.3, ..one.clone() },
        Scene {
            name: "5 unequal keys",
            keys: [20, 40, 80, 120, 240].map(|n| (n * 2, n * 1_000, 1)).into(),
            ..one.clone()
        },
        Scene {
            name: "5 keys, learned",
            keys: [20, 40, 80, 120, 240].map(|n| (n * 2, n * 1_000, 1)).into(),
            told: false,
            ..one.clone()
        },
        Scene { name: "Anthropic", dialect: Dialect::Anthropic, keys: anthropic, ..one },
    ]
}

fn limits(scene: &Scene) -> Vec<Limits> {
    let each = scene.keys.iter().map(|(requests, tokens, output)| {
        let limits = Limits::new().requests_per_minute(*requests);
        match scene.dialect {
            Dialect::OpenAi => limits.tokens_per_minute(*tokens),
            Dialect::Anthropic => {
                limits.input_tokens_per_minute(*tokens).output_tokens_per_minute(*output)
            }
        }
    });
    each.collect()
}

fn clock(scene: &Scene) -> SkewedClock {
    SkewedClock::new(977 * MINUTE + 12_345, scene.drift)
}

pub(crate) fn ours(scene: &Scene) -> Outcome {
    let clock = clock(scene);
    let limits = if scene.told { limits(scene) } else { vec![Limits::new(); scene.keys.len()] };
    run(scene, &clock, &mut Ours::new(&clock, &limits, ROOM))
}

pub(crate) fn naive(scene: &Scene) -> Outcome {
    let clock = clock(scene);
    let limits: Vec<_> = match scene.dialect {
        Dialect::OpenAi => limits(scene),
        // A pair has one bucket for all tokens.
        Dialect::Anthropic => {
            let pair = |(requests, input, output): &(u64, u64, u64)| {
                Limits::new().requests_per_minute(*requests).tokens_per_minute(input + output)
            };
            scene.keys.iter().map(pair).collect()
        }
    };
    run(scene, &clock, &mut Naive::new(&clock, &limits, ROOM))
}

pub(crate) fn backoff(scene: &Scene) -> Outcome {
    let clock = clock(scene);
    run(scene, &clock, &mut Backoff::new(&clock, scene.keys.len(), WORKERS, ROOM))
}
