//! Ten thousand waiters in four processes: one line, in the order of the server.

use std::time::Duration;

use super::bound::worst_excess;
use super::crew::{Crew, Job, PROCESSES};
use super::log::Grant;
use super::support::server::{Server, kinds};
use super::waiters_worker::{WAITERS, Waiter, quota};

/// They arrive within this time, and are served in twice this time.
const ARRIVAL: Duration = Duration::from_secs(1);

#[test]
fn ten_thousand_waiters_are_one_line() {
    for kind in kinds() {
        let server = Server::start(kind);
        let crew = Crew::start(Job::Waiters, &server, ARRIVAL, [0; 4]);
        let logs = crew.logs();
        let errors: Vec<_> = logs.iter().flat_map(|log| &log.errors).collect();
        assert!(errors.is_empty(), "{kind}: {errors:?}");
        let mut waiters: Vec<_> = logs.iter().flat_map(Waiter::all_of).collect();
        assert_eq!(waiters.len(), WAITERS * PROCESSES, "{kind}: all are served");
        assert_order(kind, &mut waiters);
        // Each place in the line has a permit of its own.
        let places: Vec<_> = waiters
            .iter()
            .map(|it| Grant { limiter: 0, key: 0, sent: earliest(it), received: it.due })
            .collect();
        let excess = worst_excess(&places, quota(), &[]);
        assert!(excess <= 0.0, "{kind}: {excess} above the quota");
        // Nobody goes before the time, and nobody is woken for nothing.
        let late = waiters.iter().map(|it| it.served.saturating_sub(it.due)).max().unwrap();
        for waiter in &waiters {
            assert!(waiter.served >= earliest(waiter), "{kind}: {waiter:?}");
        }
        let woken: u64 = waiters.iter().map(|waiter| waiter.woken).sum();
        // A wake-up of tokio's that was under way when the wait began is a rare exception.
        let most = waiters.len() as u64 * 101 / 100;
        assert!(woken <= most, "{kind}: {woken} wake-ups");
        let calls = calls(&server);
        let each = calls as f64 / waiters.len() as f64;
        eprintln!(
            "{kind}: {} waiters, woken {woken} times, {calls} calls ({each:.3} each), the latest \
             {:.1} ms after its time",
            waiters.len(),
            late as f64 / 1e6
        );
        assert!(each <= 1.1, "{kind}: {each} calls for each waiter");
    }
}

/// The earliest time at which a waiter's permit can have been there: the time was told as a span
/// from the moment of the decision on, which was at some time between question and answer.
fn earliest(waiter: &Waiter) -> u64 {
    waiter.due - (waiter.answered - waiter.sent)
}

/// Whoever had an answer before another one asked is served before it, whatever process both are
/// in.
fn assert_order(kind: &str, waiters: &mut [Waiter]) {
    let mut answered = waiters.to_vec();
    answered.sort_unstable_by_key(|waiter| waiter.answered);
    waiters.sort_unstable_by_key(|waiter| waiter.sent);
    let (mut before, mut last_before, mut pairs) = (answered.iter().peekable(), 0, 0);
    for waiter in &*waiters {
        while let Some(earlier) = before.next_if(|earlier| earlier.answered < waiter.sent) {
            last_before = last_before.max(earliest(earlier));
            pairs += 1;
        }
        assert!(last_before <= waiter.due, "{kind}: {waiter:?} overtakes one at {last_before}");
    }
    // On a busy machine, most are under way at the same time.
    assert!(pairs > 100, "{kind}: {pairs} had an answer before another one asked");
}

/// How many calls of scripts the server has seen.
fn calls(server: &Server) -> u64 {
    let stats = server.command(&["INFO", "commandstats"]);
    let of = |line: &str| {
        let counts = line.strip_prefix("cmdstat_evalsha:").or(line.strip_prefix("cmdstat_eval:"));
        let calls = counts.and_then(|it| it.strip_prefix("calls="));
        calls.and_then(|it| it.split(',').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    stats.lines().map(of).sum()
}
