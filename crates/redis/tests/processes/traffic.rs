//! Four processes that ask for more than there is: never above the quota, and nearly all of it
//! is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::bound::{Loss, worst_excess};
use super::clock;
use super::crew::{Crew, Job, has_faketime, length};
use super::log::{Grant, Log};
use super::support::server::{Server, command, kinds};
use super::traffic_worker::LIMITS;

const USUAL: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_secs(2);

/// If nobody is refused for longer, the machine is too busy to ask for more than there is. It is
/// less than a bucket takes to become full.
const UNREFUSED: Duration = Duration::from_secs(1);

/// Nobody's clock is wrong.
const TRUE: [i64; 4] = [0; 4];

#[test]
fn four_processes_use_the_whole_quota_and_not_more() {
    for kind in kinds() {
        let server = Server::start(kind);
        use_all(&server, USUAL, TRUE);
        assert_eq!(server.keys_without_expiry(), 0, "{kind}");
    }
}

#[test]
fn clocks_that_are_an_hour_wrong_change_nothing() {
    if !has_faketime() {
        return;
    }
    for kind in kinds() {
        let shifts = [3_600, -3_600, 0, 3_600];
        let logs = use_all(&Server::start(kind), SHORT, shifts);
        // The clocks are wrong indeed.
        let clocks: Vec<_> = logs.iter().map(|log| log.wall_clock as i64).collect();
        for (clock, shift) in clocks.iter().zip(shifts) {
            let difference = clock - clocks[2] - shift;
            assert!(difference.abs() < 600, "{kind}: {clocks:?}");
        }
    }
}

#[test]
fn a_script_that_is_flushed_again_and_again_reaches_no_caller() {
    for kind in kinds() {
        let server = Server::start(kind);
        let (stop, port) = (Arc::new(AtomicBool::new(false)), server.port);
        let stopped = Arc::clone(&stop);
        let flushing = std::thread::spawn(move || {
            let mut flushes = 0_u32;
            while !stopped.load(Ordering::SeqCst) {
                assert_eq!(command(port, &["SCRIPT", "FLUSH"]).as_deref(), Some("+OK\r\n"));
                flushes += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
            flushes
        });
        use_all(&server, SHORT, TRUE);
        stop.store(true, Ordering::SeqCst);
        let flushes = flushing.join().unwrap();
        eprintln!("{kind}: the script was flushed {flushes} times");
        assert!(flushes > 20);
    }
}

#[test]
fn a_server_that_forgets_everything_gives_one_burst_more() {
    for kind in kinds() {
        let mut server = Server::start(kind);
        let length = length(USUAL);
        let crew = Crew::start(Job::Traffic, &server, length, TRUE);
        let sleep_until = |time: u64| {
            std::thread::sleep(Duration::from_nanos(time.saturating_sub(clock::now())));
        };
        let third = length.as_nanos() as u64 / 3;
        sleep_until(crew.from + third);
        let sent = clock::now();
        server.command(&["FLUSHALL"]);
        let flushed = (sent, clock::now());
        sleep_until(crew.from + 2 * third);
        let killed = clock::now();
        server.restart();
        let restarted = (killed, clock::now());
        let logs = crew.logs();
        // Callers hear of the restart, and of nothing else.
        for error in logs.iter().flat_map(|log| &log.errors) {
            assert!(error.contains("Unavailable"), "{kind}: {error}");
        }
        let grants_after = |time: u64| all(&logs).filter(|grant| grant.sent > time).count();
        assert!(grants_after(restarted.1) > 0, "{kind}: limits are shared again");
        check(kind, &logs, &[flushed, restarted]);
        // The check would notice: without the second loss, too much was granted.
        let excess = (0..LIMITS.len()).map(|number| excess_of(&logs, number, &[flushed]));
        let excess = excess.fold(f64::MIN, f64::max);
        assert!(excess > 0.0, "{kind}: a burst is used again: {excess}");
    }
}

/// Lets four processes ask for more than there is, and checks what they were granted. Returns their
/// logs.
fn use_all(server: &Server, usual: Duration, shifts: [i64; 4]) -> Vec<Log> {
    // On a machine that is too busy, permits that were drawn ahead expire unused. Then it is tried
    // again, and in the end said.
    for attempt in 1..=3 {
        server.command(&["FLUSHALL"]);
        let logs = Crew::start(Job::Traffic, server, length(usual), shifts).logs();
        let errors: Vec<_> = logs.iter().flat_map(|log| &log.errors).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", server.kind);
        check(server.kind, &logs, &[]);
        let wasting = wasting(server.kind, &logs);
        if wasting.is_empty() {
            return logs;
        }
        let stall = logs.iter().map(|log| log.stall).max().map(Duration::from_nanos).unwrap();
        for number in wasting {
            let limit = &LIMITS[number];
            // Nobody asks for enough while nobody is refused.
            let pause = logs.iter().map(|log| log.counts[number]).min();
            let pause = pause.map(Duration::from_nanos).unwrap();
            let is_judged = stall <= limit.bears && pause <= UNREFUSED;
            assert!(!is_judged, "{} {}: too little is used", server.kind, limit.name);
            eprintln!(
                "{} {}: attempt {attempt}: processes stood still for {stall:?}, and were not \
                 refused for {pause:?}",
                server.kind, limit.name
            );
        }
        if attempt == 3 {
            eprintln!("THIS MACHINE IS TOO BUSY TO SAY WHETHER THE WHOLE QUOTA IS USED");
            return logs;
        }
    }
    unreachable!("the last attempt returns")
}

fn all(logs: &[Log]) -> impl Iterator<Item = Grant> {
    logs.iter().flat_map(|log| log.grants.iter().copied())
}

/// The grants of each key of a limiter.
fn by_key(logs: &[Log], number: usize) -> Vec<Vec<Grant>> {
    let mut keys = vec![Vec::new(); LIMITS[number].keys];
    for grant in all(logs).filter(|grant| grant.limiter == number) {
        keys[grant.key].push(grant);
    }
    keys
}

/// The excess of the key that exceeds its quota most.
fn excess_of(logs: &[Log], number: usize, losses: &[Loss]) -> f64 {
    let quota = (LIMITS[number].quota)();
    let keys = by_key(logs, number);
    let used = keys.iter().filter(|grants| !grants.is_empty());
    used.map(|grants| worst_excess(grants, quota, losses)).fold(f64::MIN, f64::max)
}

/// Checks that no window of any key has too much.
fn check(kind: &str, logs: &[Log], losses: &[Loss]) {
    let local: u64 = logs.iter().map(|log| log.without_call).sum();
    eprintln!("{kind}: {local} decisions without a call");
    for (number, limit) in LIMITS.iter().enumerate() {
        let excess = excess_of(logs, number, losses);
        eprintln!("{kind}: {}: the worst window has {excess:.2} above its bound", limit.name);
        assert!(excess <= 0.0, "{kind} {}: {excess} above the quota", limit.name);
    }
}

/// The numbers of the limits of which too little was used, of what there was until the last refusal
/// of each key, when nothing should be left.
fn wasting(kind: &str, logs: &[Log]) -> Vec<usize> {
    let mut wasting = Vec::new();
    for (number, limit) in LIMITS.iter().enumerate() {
        let (mut used, mut there, mut keys) = (0, 0, 0);
        for (key, grants) in by_key(logs, number).iter().enumerate() {
            let refused = logs.iter().filter_map(|log| log.refused.get(&(number, key))).max();
            let first = grants.iter().map(|grant| grant.received).min();
            let (Some(first), Some(refused)) = (first, refused) else { continue };
            keys += 1;
            used += grants.iter().filter(|grant| grant.sent < *refused).count() as u64;
            // The bucket is full until its first grant.
            let quota = (limit.quota)();
            let time = u128::from(refused.saturating_sub(first));
            let refilled = u128::from(quota.permits()) * time / quota.period().as_nanos();
            there += quota.burst_size() + refilled as u64;
        }
        let (name, share) = (limit.name, used as f64 / there as f64);
        eprintln!("{kind}: {name}: {used} of {there} used: {:.2} %", share * 100.0);
        if keys < limit.keys || share < limit.least_used {
            eprintln!("{kind}: {name}: {keys} keys were used up, {share} used");
            wasting.push(number);
        }
    }
    wasting
}
