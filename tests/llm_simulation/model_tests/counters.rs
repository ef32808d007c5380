//! One limit.

use crate::sim::{BEGAN, Counter, Counts, DAY, HOUR, MINUTE, Nanos, SECOND};

/// Sixty a minute that come back evenly: one a second.
fn even() -> Counter {
    Counter::even(Counts::Requests, 60, MINUTE)
}

fn windows() -> Counter {
    Counter::windows(Counts::Requests, 60, MINUTE)
}

/// When the server's clock begins the next minute after the simulation has begun.
const NEXT_MINUTE: Nanos = MINUTE - BEGAN % MINUTE;

#[test]
fn an_even_limit_comes_back_one_by_one() {
    let mut counter = even();
    counter.take(0, 60);
    assert_eq!(counter.remaining(0), 0);
    assert_eq!(counter.wait(0, 1), SECOND);
    assert_eq!(counter.remaining(SECOND - 1), 0);
    assert_eq!(counter.remaining(SECOND), 1);
    assert_eq!(counter.wait(SECOND, 3), 2 * SECOND);
    assert_eq!(counter.reset(SECOND), 59 * SECOND);
    assert_eq!(counter.remaining(HOUR), 60);
}

#[test]
fn nothing_is_rounded_away_over_a_day() {
    // Seven a day: one takes a time that is no whole number of nanoseconds.
    let mut counter = Counter::even(Counts::Requests, 7, DAY);
    counter.take(0, 7);
    let mut looks = 0;
    // Looks at odd times, which all leave a fraction.
    for now in (0..DAY).step_by(usize::try_from(7_777_777_777_u64).unwrap()) {
        counter.remaining(now);
        looks += 1;
    }
    assert!(looks > 10_000);
    assert_eq!(counter.remaining(DAY - 1), 6);
    assert_eq!(counter.remaining(DAY), 7);
}

#[test]
fn a_window_brings_everything_back_at_once_and_nothing_before() {
    let mut counter = windows();
    counter.take(0, 60);
    assert_eq!(counter.remaining(NEXT_MINUTE - 1), 0);
    assert_eq!(counter.wait(NEXT_MINUTE - 1, 1), 1);
    assert_eq!(counter.reset(NEXT_MINUTE - SECOND), SECOND);
    assert_eq!(counter.remaining(NEXT_MINUTE), 60);
    // The next one lasts a whole minute.
    assert_eq!(counter.reset(NEXT_MINUTE), MINUTE);
}

#[test]
fn windows_of_a_day_begin_at_midnight() {
    let mut counter = Counter::windows(Counts::Requests, 5, DAY);
    counter.take(0, 5);
    assert_eq!(counter.wait(0, 1), DAY - BEGAN);
}

#[test]
fn a_debt_is_paid_first() {
    let mut counter = even();
    counter.take(0, 63);
    assert_eq!(counter.remaining(0), 0);
    assert_eq!(counter.wait(0, 1), 4 * SECOND);
}

#[test]
fn what_is_given_back_cannot_exceed_the_limit() {
    let mut counter = even();
    counter.take(0, 10);
    counter.give_back(5 * SECOND, 0, 10);
    assert_eq!(counter.remaining(5 * SECOND), 60);
    counter.take(5 * SECOND, 60);
    assert_eq!(counter.remaining(5 * SECOND), 0);
}

#[test]
fn a_window_takes_back_only_what_was_taken_from_it() {
    let mut counter = windows();
    counter.take(0, 20);
    counter.give_back(SECOND, 0, 5);
    assert_eq!(counter.remaining(SECOND), 45);
    counter.take(NEXT_MINUTE, 30);
    counter.give_back(NEXT_MINUTE, SECOND, 15);
    assert_eq!(counter.remaining(NEXT_MINUTE), 30);
}

#[test]
fn a_refused_request_takes_what_is_left_of_one() {
    let mut counter = even();
    counter.take(0, 60);
    counter.take_one_at_most(SECOND / 2);
    assert_eq!(counter.wait(SECOND / 2, 1), SECOND);
    counter.take_one_at_most(SECOND / 2);
    assert_eq!(counter.wait(SECOND / 2, 1), SECOND);
}

#[test]
fn the_share_used_is_of_what_came_back() {
    let mut counter = even();
    counter.take(0, 60);
    counter.begin_tally(2 * MINUTE);
    for _ in 0..30 {
        counter.spent(1);
    }
    assert_close(counter.share_used(3 * MINUTE), 0.5);
    // Others take half of it all.
    counter.take_elsewhere(3 * MINUTE, 30);
    assert_close(counter.share_used(3 * MINUTE), 1.0);
}

#[test]
fn a_burst_that_is_still_to_be_had_counts() {
    let mut counter = Counter::even(Counts::Requests, 24, DAY);
    counter.begin_tally(MINUTE);
    (0..30).for_each(|_| counter.spent(1));
    // 24 at the beginning, and another 24 in the day after.
    assert_close(counter.share_used(DAY + MINUTE), 30.0 / 48.0);
}

#[test]
fn only_windows_that_are_over_count() {
    let mut counter = windows();
    counter.take(0, 10);
    counter.begin_tally(0);
    counter.take(0, 20);
    assert_close(counter.share_used(NEXT_MINUTE - 1), 0.0);
    // 50 were left when the tally began.
    assert_close(counter.share_used(NEXT_MINUTE), 20.0 / 50.0);
    // And then came one whose 60 nobody touched.
    assert_close(counter.share_used(NEXT_MINUTE + MINUTE), 20.0 / 110.0);
}

#[test]
fn what_others_took_from_a_window_could_not_be_had() {
    let mut counter = windows();
    counter.begin_tally(0);
    counter.take_elsewhere(0, 20);
    counter.take(0, 30);
    assert_close(counter.share_used(NEXT_MINUTE), 30.0 / 40.0);
}

#[test]
fn periods_have_names() {
    let name = |period| Counter::even(Counts::Requests, 1, period).period_name();
    assert_eq!(name(SECOND), "second");
    assert_eq!(name(10 * SECOND), "10-second");
    assert_eq!(name(5 * MINUTE), "5-minute");
    assert_eq!(name(HOUR), "hour");
    assert_eq!(name(DAY), "day");
}

#[track_caller]
fn assert_close(one: f64, other: f64) {
    assert!((one - other).abs() < 1e-9, "{one} is not {other}");
}
