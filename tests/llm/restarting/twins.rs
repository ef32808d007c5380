//! A limiter that is restarted never lets more pass than one that is not.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tollgate::ManualClock;
use tollgate::llm::{Burst, LimitUsage, Limiter, Limits, OnDrop, Period, Permit, Reply};

use super::stored;
use crate::support::OnManual;

/// What both limiters are told.
#[derive(Clone, Debug)]
enum Step {
    /// A request that is answered at once, or after the restart: (estimate, used tokens, at once).
    Request(u64, u64, bool),
    /// A response without a permit: (status, limit, percent remaining, seconds until the reset,
    /// whether the headers state a period of an hour).
    Response(u16, u64, u64, u64, bool),
    /// A response without a permit whose headers say nothing.
    Status(u16),
    Advance(Duration),
}

fn request() -> impl Strategy<Value = Step> {
    (0_u64..40, 0_u64..120, any::<bool>())
        .prop_map(|(estimate, actual, at_once)| Step::Request(estimate, actual, at_once))
}

fn status() -> impl Strategy<Value = Step> {
    prop::sample::select(vec![200, 402, 429, 500, 529]).prop_map(Step::Status)
}

/// Nanoseconds and days.
fn advance() -> impl Strategy<Value = Step> {
    let nanos = prop_oneof![
        0_u64..5_000_000,
        0_u64..90_000_000_000,
        0_u64..7_200_000_000_000,
        Just(86_400_000_000_000),
    ];
    nanos.prop_map(|nanos| Step::Advance(Duration::from_nanos(nanos)))
}

fn step() -> impl Strategy<Value = Step> {
    let statuses = prop_oneof![6 => Just(200), 1 => Just(429), 1 => Just(402), 1 => Just(500)];
    let response = (statuses, 1_u64..60, 0_u64..=100, 0_u64..4_000, any::<bool>()).prop_map(
        |(status, limit, left, reset, stated)| Step::Response(status, limit, left, reset, stated),
    );
    prop_oneof![6 => request(), 2 => response, 1 => status(), 3 => advance()]
}

fn limits() -> impl Strategy<Value = Limits> {
    let bursts = prop_oneof![
        3 => Just(Burst::Full),
        3 => Just(Burst::Strict),
        1 => (0_u8..=100).prop_map(Burst::Percent),
    ];
    let count = || prop_oneof![1 => Just(0), 2 => 1_u64..60];
    (bursts, count(), count(), count()).prop_map(|(burst, minute, tokens, day)| {
        let limits = Limits::new().requests_per_minute(minute).tokens_per_minute(tokens * 20);
        limits.requests_per_day(day).burst(burst)
    })
}

fn build(clock: &ManualClock, limits: Limits) -> OnManual {
    let builder = Limiter::builder().limits(limits).on_drop(OnDrop::Keep).try_first(true);
    builder.clock(clock.clone()).build().unwrap()
}

fn response(status: u16, limit: u64, left: u64, reset: u64, stated: bool) -> Reply {
    let name = if stated { "-hour" } else { "" };
    let headers = [
        (format!("x-ratelimit-limit-requests{name}"), limit.to_string()),
        (format!("x-ratelimit-remaining-requests{name}"), (limit * left / 100).to_string()),
        (format!("x-ratelimit-reset-requests{name}"), reset.to_string()),
        ("retry-after".to_owned(), reset.to_string()),
    ];
    Reply::new(status).headers(headers)
}

/// A response whose pause is not random.
fn bare(status: u16) -> Reply {
    let reply = Reply::new(status);
    if status == 429 { reply.limited_for(Duration::from_secs(7)) } else { reply }
}

/// Before the restart, there is one limiter.
fn before<'a>(
    model: &'a OnManual,
    clock: &ManualClock,
    steps: &[Step],
) -> Vec<Permit<'a, ManualClock>> {
    let mut open = Vec::new();
    for step in steps {
        match step {
            Step::Request(estimate, actual, at_once) => match model.try_acquire(*estimate) {
                Ok(permit) if *at_once => permit.settle(*actual),
                Ok(permit) => open.push(permit),
                Err(_) => {}
            },
            Step::Response(status, limit, left, reset, stated) => {
                model.observe_reply(&response(*status, *limit, *left, *reset, *stated));
            }
            Step::Status(status) => model.observe_reply(&bare(*status)),
            Step::Advance(time) => clock.advance(*time),
        }
    }
    open
}

/// The limits in force, in order of their kinds.
fn in_force(model: &OnManual) -> Vec<LimitUsage> {
    let mut limits = model.usage().limits;
    limits.sort_by_key(|limit| limit.kind);
    limits
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_restarted_limiter_lets_no_more_pass(
        limits in limits(),
        first in prop::collection::vec(step(), 0..40),
        // Later than that, failures in a row are forgotten.
        down in prop_oneof![Just(0), 0_u64..100_000_000_000, 0_u64..=86_400_000_000_000],
        wrong_by in prop_oneof![Just(0), 0_u64..1_000_000],
        then in prop::collection::vec(prop_oneof![8 => request(), 4 => advance(), 1 => status()], 0..60),
    ) {
        let clocks = [ManualClock::new(), ManualClock::new()];
        let running = build(&clocks[0], limits);
        let open = before(&running, &clocks[0], &first);
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let state = stored(&running.state_at(start));
        // Nobody answers these requests: what they took stays used.
        drop(open);

        clocks[0].advance(Duration::from_nanos(down));
        let restarted = build(&clocks[1], limits);
        // The system's clock may be behind.
        let now = start + Duration::from_nanos(down) - Duration::from_millis(wrong_by);
        restarted.restore_state_at(&state, now).unwrap();
        let once = restarted.usage();
        restarted.restore_state_at(&state, now).unwrap();
        prop_assert_eq!(once, restarted.usage());

        let has_learned = first.iter().any(|step| matches!(step, Step::Response(..)));
        let nothing_is_known = limits.iter().next().is_none() && !has_learned;
        for step in then {
            for (after, before) in in_force(&restarted).iter().zip(&in_force(&running)) {
                prop_assert_eq!(after.kind, before.kind);
                prop_assert!(after.remaining <= before.remaining, "{after:?} {before:?}");
            }
            match step {
                Step::Advance(time) => clocks.iter().for_each(|clock| clock.advance(time)),
                // A request that only the limiter without a restart lets pass is not sent.
                Step::Request(estimate, actual, _) => {
                    if let Ok(permit) = restarted.try_acquire(estimate) {
                        let same = running.try_acquire(estimate);
                        prop_assert!(same.is_ok(), "{same:?}");
                        permit.settle(actual);
                        same.unwrap().settle(actual);
                    }
                }
                // A refusal is then a limit: what was admitted in the last minute. Each process
                // counts that for itself, in slots of four seconds.
                Step::Status(429) if nothing_is_known => {}
                Step::Status(status) => {
                    running.observe_reply(&bare(status));
                    restarted.observe_reply(&bare(status));
                }
                Step::Response(..) => {}
            }
        }
    }

    /// And not much less, if the clocks agree: a limiter that is asked for what its usage says is
    /// left has it.
    #[test]
    fn a_restart_costs_at_most_one_request_of_each_limit(
        limits in limits(),
        first in prop::collection::vec(step(), 0..40),
        down in prop_oneof![Just(0), 0_u64..100_000],
    ) {
        let clocks = [ManualClock::new(), ManualClock::new()];
        let running = build(&clocks[0], limits);
        drop(before(&running, &clocks[0], &first));
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let state = stored(&running.state_at(start));
        clocks[0].advance(Duration::from_millis(down));
        let restarted = build(&clocks[1], limits);
        restarted.restore_state_at(&state, start + Duration::from_millis(down)).unwrap();
        let (before, after) = (in_force(&running), in_force(&restarted));
        prop_assert_eq!(before.len(), after.len());
        for (before, after) in before.iter().zip(&after) {
            prop_assert_eq!((before.kind, before.limit), (after.kind, after.limit));
            // A token comes back each millisecond or less often.
            let rounded = 1 + before.limit / u64::from(Period::MINUTE.as_secs()) / 1_000;
            prop_assert!(before.remaining - after.remaining <= rounded, "{before:?} {after:?}");
        }
    }
}
