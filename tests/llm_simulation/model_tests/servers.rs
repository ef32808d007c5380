//! An account with several limits.

use crate::sim::{
    Answer, Counter, Counting, Counts, Dialect, Job, MINUTE, Nanos, SECOND, Server, Size, Stated,
};

/// Ten requests and 6,000 tokens a minute.
fn server() -> Server {
    let requests = Counter::even(Counts::Requests, 10, MINUTE);
    let tokens = Counter::even(Counts::Tokens, 6_000, MINUTE);
    Server::new(Dialect::OpenAi, [requests, tokens])
}

fn job(input: u64, output: u64) -> Job {
    let actual = Size { input, output };
    Job { number: 0, actual, max_output: 1_000, estimate: actual }
}

/// What is left of a limit.
fn left(server: &mut Server, counts: Counts, now: Nanos) -> u64 {
    let mut counters = server.counters.iter_mut();
    counters.find(|counter| counter.counts == counts).unwrap().remaining(now)
}

fn end(server: &mut Server, now: Nanos, arrived: Nanos, job: &Job) -> Answer {
    let mut answer = server.arrive(arrived, job);
    assert!(answer.is_good(), "{answer:?}");
    server.end(now, arrived, job, &mut answer);
    answer
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    &answer.headers.iter().find(|(own, _)| own == name).unwrap().1
}

#[test]
fn the_longest_answer_is_taken_on_arrival_and_corrected_at_the_end() {
    let mut server = server();
    let job = job(500, 200);
    let mut answer = server.arrive(0, &job);
    assert_eq!(header(&answer, "x-ratelimit-remaining-tokens"), "4500");
    server.end(0, 0, &job, &mut answer);
    assert_eq!(header(&answer, "x-ratelimit-remaining-tokens"), "5300");
    assert_eq!(header(&answer, "x-ratelimit-remaining-requests"), "9");
}

#[test]
fn headers_may_be_those_of_the_arrival() {
    let mut server = server().stated(Stated::OnArrival);
    let answer = end(&mut server, 0, 0, &job(500, 200));
    assert_eq!(header(&answer, "x-ratelimit-remaining-tokens"), "4500");
    assert_eq!(left(&mut server, Counts::Tokens, 0), 5_300);
}

#[test]
fn some_give_nothing_back() {
    let mut server = server().counting(Counting::ReservedForGood);
    end(&mut server, 0, 0, &job(500, 200));
    assert_eq!(left(&mut server, Counts::Tokens, 0), 4_500);
}

#[test]
fn answers_may_count_as_they_are_generated() {
    let input = Counter::even(Counts::InputTokens, 600, MINUTE);
    let output = Counter::even(Counts::OutputTokens, 300, MINUTE);
    let mut server =
        Server::new(Dialect::Anthropic, [input, output]).counting(Counting::AsGenerated);
    let job = job(500, 400);
    assert!(server.arrive(0, &job).is_good());
    assert_eq!(left(&mut server, Counts::InputTokens, 0), 100);
    assert_eq!(left(&mut server, Counts::OutputTokens, 0), 300);
    // The answer may be longer than what is left; the next one pays.
    server.generated(0, 400);
    let refused = server.arrive(0, &job);
    assert_eq!((refused.status, header(&refused, "retry-after")), (429, "40"));
    assert_eq!(left(&mut server, Counts::OutputTokens, 21 * SECOND), 5);
}

#[test]
fn all_limits_must_allow_a_request() {
    let mut server = server();
    (0..3).for_each(|_| assert!(server.arrive(0, &job(900, 100)).is_good()));
    // 300 tokens are left, and 1,100 are needed: that takes eight seconds.
    let refused = server.arrive(0, &job(100, 100));
    assert_eq!((refused.status, header(&refused, "retry-after")), (429, "8"));
    assert_eq!(left(&mut server, Counts::Tokens, 0), 300);
    // It counted as a request nevertheless.
    assert_eq!(left(&mut server, Counts::Requests, 0), 6);
}

#[test]
fn refused_requests_take_no_more_requests_than_there_are() {
    let mut server = server();
    let refused = (0..20).filter(|_| !server.arrive(0, &job(1, 1)).is_good()).count();
    // Five take 1,001 tokens each; five more take requests only.
    assert_eq!(refused, 15);
    assert_eq!(left(&mut server, Counts::Requests, 0), 0);
    assert_eq!(left(&mut server, Counts::Requests, 6 * SECOND), 1);
}

#[test]
fn a_good_answer_may_carry_retry_after() {
    let mut server = server().retry_after_when_good(13);
    let answer = end(&mut server, 0, 0, &job(1, 1));
    assert_eq!((answer.status, header(&answer, "retry-after")), (200, "13"));
}

#[test]
fn others_take_what_is_there_and_are_not_counted_as_ours() {
    let mut server = server();
    server.begin_tally(0);
    server.serve_another(MINUTE, 5_000);
    assert_eq!(left(&mut server, Counts::Tokens, MINUTE), 1_000);
    server.serve_another(MINUTE, 5_000);
    assert_eq!(left(&mut server, Counts::Tokens, MINUTE), 1_000);
    assert_eq!(left(&mut server, Counts::Requests, MINUTE), 9);
}

#[test]
fn the_limit_that_is_reached_first_is_the_rate() {
    let rate = server().requests_per_second().unwrap();
    assert!((rate - 6_000.0 / 60.0 / 905.0).abs() < 1e-9, "{rate}");
    assert_eq!(Server::new(Dialect::Nothing, []).requests_per_second(), None);
}
