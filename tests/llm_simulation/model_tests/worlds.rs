//! Keys that fail, others, callers and restarts, with a client that sends everything at once.

use std::collections::VecDeque;

use crate::sim::{
    Account, Answer, Client, Counter, Counts, Dialect, Failure, HOUR, Job, MINUTE, Nanos, Next,
    Others, Outcome, Restart, SECOND, Scene, Server, Traffic, run,
};

/// Sends at once, by each key in turn, and never again.
struct Eager {
    line: VecDeque<Job>,
    keys: usize,
    /// Nothing is sent at all.
    holds: bool,
}

impl Client for Eager {
    fn offer(&mut self, job: Job) -> bool {
        self.line.push_back(job);
        true
    }

    fn release(&mut self) -> Vec<(Job, usize)> {
        if self.holds {
            return Vec::new();
        }
        let keys = self.keys;
        self.line.drain(..).map(|job| (job, job.number % keys)).collect()
    }

    fn next_look(&mut self) -> Option<Nanos> {
        None
    }

    fn answered(&mut self, _: Job, _: usize, _: &Answer) -> Next {
        Next::Done
    }
}

fn play(scene: &Scene) -> Outcome {
    let keys = scene.accounts_of_keys().len();
    run(scene, &|_, _, _| Box::new(Eager { line: VecDeque::new(), keys, holds: false }))
}

/// One key with room for all and answers after a second.
fn scene() -> Scene {
    let server = Server::new(Dialect::OpenAi, []).takes(SECOND);
    Scene {
        name: "",
        accounts: vec![Account { keys: 1, server }],
        told: false,
        kept_back: 0,
        failures: Vec::new(),
        others: Others::Nobody,
        restart: None,
        traffic: Traffic::Callers { callers: 4, calls: 5 },
        retries: false,
        near: true,
        wrong: 1.0,
        drift: 0,
        length: HOUR,
        seed: 1,
    }
}

fn requests(limit: u64) -> Account {
    let requests = Counter::even(Counts::Requests, limit, MINUTE);
    Account { keys: 1, server: Server::new(Dialect::OpenAi, [requests]).takes(SECOND) }
}

#[test]
fn each_caller_makes_its_calls_one_after_the_other() {
    let outcome = play(&scene());
    assert_eq!((outcome.answered, outcome.given_up, outcome.refused), (20, 0, 0));
    // There and back in a ten thousandth of a second each.
    assert_eq!(outcome.longest_wait, SECOND + 200_000);
}

#[test]
fn a_limit_is_enforced_and_known_from_the_first_answer() {
    let accounts = vec![requests(8)];
    // Four pass at once, four a second later; no more have come back until the others come.
    let outcome = play(&Scene { accounts: accounts.clone(), ..scene() });
    assert_eq!((outcome.answered, outcome.refused, outcome.refused_later), (8, 12, 12));
    // All that are sent at once are sent before anything is known.
    let at_once = Traffic::Callers { callers: 20, calls: 1 };
    let outcome = play(&Scene { accounts: accounts.clone(), traffic: at_once, ..scene() });
    assert_eq!((outcome.refused, outcome.refused_later), (12, 0));
    let told = Scene { accounts, traffic: at_once, told: true, ..scene() };
    assert_eq!(play(&told).refused_later, 12);
}

#[test]
fn a_key_fails_while_it_shall_and_only_that_key() {
    let accounts = vec![scene().accounts[0].clone(), scene().accounts[0].clone()];
    let failures = vec![Failure::forever(0..1, 402)];
    let outcome = play(&Scene { accounts: accounts.clone(), failures, ..scene() });
    assert_eq!((outcome.answered, outcome.given_up, outcome.sent_in_vain), (10, 10, 10));
    assert_eq!(outcome.refused, 0);

    let minute = Failure { from: MINUTE, lasts: MINUTE, ..Failure::forever(0..2, 500) };
    let traffic = Traffic::Every(SECOND);
    let failures = vec![minute];
    let outcome = play(&Scene { accounts, failures, traffic, length: 3 * MINUTE, ..scene() });
    // About as many come in the one minute as in each of the two others.
    let third = (outcome.answered + outcome.given_up) / 3;
    assert!(outcome.given_up.abs_diff(third) < 20, "{outcome:?}");
}

#[test]
fn a_failure_says_when_it_is_over_and_comes_again() {
    let failure = Failure {
        says_when: true,
        from: MINUTE,
        lasts: 20 * SECOND,
        every: Some(10 * MINUTE),
        ..Failure::forever(1..2, 429)
    };
    let wait = |key, now| failure.answer(key, now).map(|answer| answer.headers[0].1.clone());
    assert_eq!(wait(1, MINUTE - 1), None);
    assert_eq!(wait(1, MINUTE).as_deref(), Some("20"));
    assert_eq!(wait(1, MINUTE + 1).as_deref(), Some("20"));
    assert_eq!(wait(1, MINUTE + 19 * SECOND).as_deref(), Some("1"));
    assert_eq!(wait(1, MINUTE + 20 * SECOND), None);
    assert_eq!(wait(1, 11 * MINUTE).as_deref(), Some("20"));
    assert_eq!(wait(0, MINUTE), None);
}

#[test]
fn others_use_their_share() {
    for others in [Others::Steady(0.3), Others::Bursts(0.3)] {
        let accounts = vec![requests(600)];
        let traffic = Traffic::Load(0.35);
        let alone = Scene { accounts, traffic, length: HOUR, ..scene() };
        let without = play(&alone);
        let outcome = play(&Scene { others, ..alone });
        // What is left is 30 % less, from the tenth minute on; in bursts, 5 of 18 parts.
        let shrunk = without.used / outcome.used;
        assert!((0.70..0.76).contains(&shrunk), "{others:?}: {shrunk}");
        assert_eq!(outcome.refused, 0, "{others:?}");
    }
}

#[test]
fn a_request_that_is_never_sent_waits_to_the_end() {
    let waits = Scene { traffic: Traffic::Every(SECOND), length: MINUTE, ..scene() };
    let outcome =
        run(&waits, &|_, _, _| Box::new(Eager { line: VecDeque::new(), keys: 1, holds: true }));
    assert_eq!(outcome.answered, 0);
    assert!(outcome.longest_wait > 58 * SECOND, "{outcome:?}");
}

#[test]
fn after_a_restart_unanswered_requests_are_asked_again_and_old_answers_are_lost() {
    let restart = Some(Restart { at: SECOND + SECOND / 2, keeps_state: false });
    let traffic = Traffic::Callers { callers: 4, calls: 1 };
    let outcome = play(&Scene { restart, traffic, ..scene() });
    assert_eq!(outcome.answered, 4);
    // They were sent half a second before the restart, and again then.
    assert_eq!(outcome.longest_wait, SECOND + SECOND / 2 + 200_000);
    let accounts = vec![requests(8)];
    let outcome = play(&Scene { accounts, restart, traffic, ..scene() });
    assert_eq!((outcome.answered, outcome.refused), (4, 0));
}
