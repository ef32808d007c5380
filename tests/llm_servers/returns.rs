//! What comes back of a limit between answers shows how it is refilled, and which period it cannot
//! count over, although no answer says when it will be there again.

use std::time::Duration;

use proptest::prelude::*;
use tollgate::llm::{Counted, LimitKind, Limiter, Period, Permit, Reply, ServerLimits, Tokens};
use tollgate::{Clock, ManualClock};

use crate::greedy::read;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// How a server counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counting {
    Even,
    Windows,
}

/// A server that limits requests, exactly, in whole nanoseconds.
#[derive(Clone, Debug)]
struct Server {
    counting: Counting,
    limit: u64,
    period: Duration,
    /// In parts, of which one request has as many as the period has nanoseconds.
    left: u128,
    at: Duration,
}

impl Server {
    fn new(counting: Counting, limit: u64, period: Duration) -> Self {
        let left = u128::from(limit) * period.as_nanos();
        Self { counting, limit, period, left, at: Duration::ZERO }
    }

    fn advance(&mut self, now: Duration) {
        let full = u128::from(self.limit) * self.period.as_nanos();
        match self.counting {
            Counting::Even => {
                let came = (now.saturating_sub(self.at)).as_nanos() * u128::from(self.limit);
                self.left = (self.left + came).min(full);
            }
            Counting::Windows => {
                let window = |at: Duration| at.as_nanos() / self.period.as_nanos();
                if window(now) > window(self.at) {
                    self.left = full;
                }
            }
        }
        self.at = now;
    }

    /// Takes a request, if there is room.
    fn takes(&mut self, now: Duration) -> bool {
        self.advance(now);
        let fits = self.left >= self.period.as_nanos();
        if fits {
            self.left -= self.period.as_nanos();
        }
        fits
    }

    fn remaining(&mut self, now: Duration) -> u64 {
        self.advance(now);
        u64::try_from(self.left / self.period.as_nanos()).unwrap()
    }
}

/// What a server says of its requests, under a name that may state the period.
fn said(period: &str, limit: u64, remaining: u64) -> ServerLimits {
    read(&[
        (format!("x-ratelimit-limit-requests{period}"), limit.to_string()),
        (format!("x-ratelimit-remaining-requests{period}"), remaining.to_string()),
    ])
}

fn limiter() -> Limiter<ManualClock> {
    Limiter::builder().try_first(true).clock(ManualClock::new()).build().unwrap()
}

fn learned(limiter: &Limiter<ManualClock>) -> Option<LimitKind> {
    limiter.usage().limits.first().map(|limit| limit.kind)
}

/// One step of a client, and when it is made.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Requests that are sent at once, and whether the server's answers are written on arrival.
    Ask(u8, bool),
    /// One of the open requests is answered.
    Answer(usize),
    Others(u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_u8..12, any::<bool>()).prop_map(|(count, early)| Step::Ask(count, early)),
        6 => any::<usize>().prop_map(Step::Answer),
        1 => (0_u8..3).prop_map(Step::Others),
        4 => (0_u64..3_000).prop_map(Step::Wait),
        1 => (0_u64..100_000).prop_map(Step::Wait),
    ]
}

/// Plays the steps. Returns whether the server has refused a request, and the shortest period that
/// the client has taken the limit for.
fn play(server: &mut Server, name: &str, steps: &[Step], others: bool) -> (bool, Option<Period>) {
    let limiter = limiter();
    let clock = limiter.clock();
    let now = || Duration::from_nanos(clock.now().as_nanos());
    let mut open: Vec<(Permit<'_, _>, Option<u64>)> = Vec::new();
    let mut shortest = None;
    // The limit is known from the first answer on.
    let steps = [Step::Ask(1, true), Step::Answer(0)].iter().chain(steps);
    for step in steps {
        match step {
            Step::Wait(millis) => clock.advance(Duration::from_millis(*millis)),
            Step::Others(count) if others => {
                for _ in 0..*count {
                    let _taken = server.takes(now());
                }
            }
            Step::Others(_) => {}
            Step::Ask(count, early) => {
                for _ in 0..*count {
                    let Ok(permit) = limiter.try_acquire(0) else { break };
                    if !server.takes(now()) {
                        return (true, shortest);
                    }
                    open.push((permit, early.then(|| server.remaining(now()))));
                }
            }
            Step::Answer(_) if open.is_empty() => {}
            Step::Answer(which) => {
                let (permit, early) = open.swap_remove(which % open.len());
                let left = early.unwrap_or_else(|| server.remaining(now()));
                permit.end(&Reply::new(200).limits(said(name, server.limit, left)));
                let period = learned(&limiter).and_then(LimitKind::period);
                shortest = shortest.into_iter().chain(period).min();
            }
        }
    }
    (false, shortest)
}

fn counting() -> impl Strategy<Value = Counting> {
    prop_oneof![Just(Counting::Even), Just(Counting::Windows)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever order requests and answers come in, and whatever others take.
    #[test]
    fn no_period_is_learned_that_is_shorter_than_the_server_s(
        counting in counting(), limit in 1_u64..40, secs in 1_u64..200, others in any::<bool>(),
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut server = Server::new(counting, limit, Duration::from_secs(secs));
        let (_, shortest) = play(&mut server, "", &steps, others);
        let least = Duration::from_secs(secs).min(MINUTE);
        if let Some(shortest) = shortest {
            prop_assert!(shortest.as_duration() >= least, "{:?}", shortest);
        }
    }

    /// If it was wrong about an even refill, it would send more than fits into a window.
    #[test]
    fn a_server_that_counts_in_windows_refuses_nothing(
        limit in 1_u64..40, steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut server = Server::new(Counting::Windows, limit, MINUTE);
        let (refused, _) = play(&mut server, "-minute", &steps, false);
        prop_assert!(!refused);
    }

    #[test]
    fn a_server_that_refills_evenly_refuses_nothing(
        limit in 1_u64..40, steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut server = Server::new(Counting::Even, limit, MINUTE);
        let (refused, _) = play(&mut server, "-minute", &steps, false);
        prop_assert!(!refused);
    }
}

/// Sends one request after another for `span`, each as soon as it may be, and returns how many.
fn greedy(limiter: &Limiter<ManualClock>, server: &mut Server, name: &str, span: Duration) -> u64 {
    let clock = limiter.clock();
    let now = || Duration::from_nanos(clock.now().as_nanos());
    let (end, mut sent) = (now() + span, 0);
    while now() < end {
        match limiter.try_acquire(0) {
            Ok(permit) => {
                assert!(server.takes(now()), "refused after {sent}");
                clock.advance(SECOND / 4);
                let remaining = server.remaining(now());
                permit.end(&Reply::new(200).limits(said(name, server.limit, remaining)));
                sent += 1;
            }
            Err(error) => clock.advance(error.retry_after().unwrap()),
        }
    }
    sent
}

/// Cerebras states limit and remaining of each hour and day, and no reset.
#[test]
fn an_even_refill_shows_without_a_reset() {
    let hour = Duration::from_secs(3_600);
    let (limiter, mut server) = (limiter(), Server::new(Counting::Even, 600, hour));
    let sent = greedy(&limiter, &mut server, "-hour", 2 * hour);
    // A full bucket, and two hours of refill; it was 1,200 with strict windows.
    assert!((1_700..=1_800).contains(&sent), "{sent}");
}

#[test]
fn windows_stay_windows_without_a_reset() {
    let hour = Duration::from_secs(3_600);
    let (limiter, mut server) = (limiter(), Server::new(Counting::Windows, 600, hour));
    limiter.clock().advance(hour / 2);
    let sent = greedy(&limiter, &mut server, "-hour", 4 * hour);
    assert!((2_300..=3_000).contains(&sent), "{sent}");
}

/// A server whose windows last a second, which no header says: each reset is a second at most.
fn salvo(limiter: &Limiter<ManualClock>, count: usize) {
    let open: Vec<_> = (0..count).filter_map(|_| limiter.try_acquire(0).ok()).collect();
    for permit in open {
        limiter.clock().advance(3 * SECOND);
        permit.end(&Reply::new(200).headers([
            ("x-ratelimit-limit", "10"),
            ("x-ratelimit-remaining", "9"),
            ("x-ratelimit-reset", "1"),
        ]));
    }
}

#[test]
fn a_second_shows_by_what_is_there_again_after_a_second() {
    let limiter = limiter();
    salvo(&limiter, 1);
    assert_eq!(learned(&limiter), Some(Counted::Requests.per(Period::MINUTE)));
    salvo(&limiter, 9);
    let second = Counted::Requests.per(Period::SECOND);
    assert_eq!(learned(&limiter), Some(second));
    // A 429 shows that requests were not counted, or that the server counts in windows.
    let refused = limiter.try_acquire(0).unwrap();
    refused.end(&Reply::new(429).limited_for(SECOND));
    limiter.clock().advance(2 * SECOND);
    salvo(&limiter, 1);
    let usage = limiter.usage();
    let slower = usage.limits.iter().all(|it| it.kind != second || it.limit < 3);
    assert!(slower, "{usage:?}");
}

/// A `remaining` that never moves, with a request every two seconds, is what a limit of 60 a minute
/// shows too.
#[test]
fn little_use_shows_no_shorter_period() {
    let limiter = limiter();
    for _ in 0..200 {
        let permit = limiter.try_acquire(Tokens::new(0, 0)).unwrap();
        permit.end(&Reply::new(200).limits(said("", 60, 59)));
        limiter.clock().advance(2 * SECOND);
        assert_eq!(learned(&limiter), Some(Counted::Requests.per(Period::MINUTE)));
    }
}
