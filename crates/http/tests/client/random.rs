//! Random arrivals, answers and cancellations: what must hold whatever happens.

use std::time::Duration;

use proptest::prelude::*;
use tokio::task::JoinHandle;

use super::support::{Answer, Client, Outcome, around, at, builder, spawn};

/// Times are multiples of this many milliseconds, so that many things happen at the same instant.
const STEP: u64 = 10;

const PAUSES: [Answer; 4] = [
    (429, &[("retry-after", "0")]),
    (429, &[("retry-after", "0.05")]),
    (503, &[("retry-after", "0.5")]),
    (200, &[("ratelimit", "\"default\";r=0;t=1")]),
];
const PAUSED_FOR: [u64; 4] = [0, 50, 500, 1_000];

/// A request: how long after the one before it comes, when its answer comes, which pause the
/// answer asks for, and after how long the request is dropped.
type Step = (u64, u64, Option<usize>, Option<u64>);

fn step() -> impl Strategy<Value = Step> {
    let pause = prop::option::weighted(0.2, 0..PAUSES.len());
    (0..8_u64, 0..30_u64, pause, prop::option::weighted(0.2, 0..60_u64))
}

async fn run(interval: u64, burst: u64, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let script = steps.iter().map(|(_, answer_after, pause, _)| {
        (answer_after * STEP, pause.map_or((200, &[] as &[_]), |pause| PAUSES[pause]))
    });
    let client = Client::new().script(script);
    let quota = format!("1/{interval}ms burst {burst}");
    let service = around(&client, builder(&quota));

    let mut tasks: Vec<(u64, Option<u64>, JoinHandle<Outcome>)> = Vec::new();
    let mut now = 0;
    for (n, (later, _, _, dropped_after)) in steps.iter().enumerate() {
        now += later * STEP;
        // Drops that are due by now, in order.
        for (_, dropped_at, task) in &mut tasks {
            if dropped_at.is_some_and(|time| time <= now) {
                at(dropped_at.take().unwrap_or(now), &client).await;
                task.abort();
            }
        }
        at(now, &client).await;
        let task = spawn(&service, &format!("http://a.test/{n:04}")).await;
        tasks.push((now, dropped_after.map(|after| now + after * STEP), task));
    }
    // A wake-up that is lost would let a request wait for ever.
    let day = Duration::from_secs(24 * 3_600);
    for (_, dropped_at, task) in tasks {
        match tokio::time::timeout(day, task).await {
            Err(_) => return Err(TestCaseError::fail("a request waits for ever")),
            Ok(outcome) => prop_assert!(outcome.is_ok() || dropped_at.is_none()),
        }
    }

    let sent = client.sent();
    prop_assert!(sent.windows(2).all(|pair| pair[0].uri < pair[1].uri), "order: {:?}", sent);
    let times = client.times();
    for (n, from) in times.iter().enumerate() {
        for (count, to) in (1..).zip(&times[n..]) {
            prop_assert!(count <= burst + (to - from) / interval, "pace: {:?}", times);
        }
    }
    // The pauses that were asked for: a request whose task was dropped heard of none. So only what
    // was heard for certain is looked at.
    let pauses = times.iter().zip(&sent).zip(&steps).filter_map(|((time, sent), step)| {
        let number: usize = sent.uri.rsplit('/').next()?.parse().ok()?;
        let (_, answer_after, pause, _) = step;
        steps[number].3.is_none().then_some(())?;
        let answered = time + answer_after * STEP;
        Some((answered, answered + PAUSED_FOR[(*pause)?]))
    });
    for (answered, end) in pauses {
        for time in &times {
            let is_held_back = *time > answered && *time < end;
            prop_assert!(!is_held_back, "{} in {}..{}: {:?}", time, answered, end, times);
        }
        let after: Vec<u64> = times.iter().copied().filter(|time| *time >= end).collect();
        for (count, time) in (1..).zip(&after) {
            let at_the_pace = 1 + (time - end) / interval;
            prop_assert!(count <= at_the_pace || end == answered, "after {}: {:?}", end, times);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn order_pace_and_pauses_hold(
        interval in 1..30_u64,
        burst in 1..6_u64,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(run(interval * STEP, burst, steps))?;
    }
}
