//! No limiter at all: workers that send, and after a bad answer wait a random time of up to 1 s,
//! 2 s, 4 s and so on, up to a minute.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::VecDeque;

use super::traffic::Random;
use super::{Answer, Client, Job, Nanos, Next, Scene, SkewedClock};

pub(crate) struct Backoff {
    clock: SkewedClock,
    random: Random,
    line: VecDeque<Job>,
    room: usize,
    idle: usize,
    keys: usize,
    retries: bool,
    refused: HashMap<usize, i32>,
    asleep: BTreeMap<(Nanos, usize), Job>,
}

impl Backoff {
    pub(crate) fn new(clock: &SkewedClock, scene: &Scene, workers: usize) -> Self {
        Self {
            clock: clock.clone(),
            random: Random::new(7),
            line: VecDeque::new(),
            room: scene.room(),
            idle: workers,
            keys: scene.accounts_of_keys().len(),
            retries: scene.retries,
            refused: HashMap::new(),
            asleep: BTreeMap::new(),
        }
    }
}

impl Client for Backoff {
    fn offer(&mut self, job: Job) -> bool {
        let fits = self.line.len() < self.room;
        if fits {
            self.line.push_back(job);
        }
        fits
    }

    fn release(&mut self) -> Vec<(Job, usize)> {
        let mut jobs = Vec::new();
        while let Some(first) = self.asleep.first_entry() {
            if first.key().0 > self.clock.shown() {
                break;
            }
            jobs.push(first.remove());
        }
        while self.idle > 0 {
            let Some(job) = self.line.pop_front() else { break };
            self.idle -= 1;
            jobs.push(job);
        }
        // Another try may be with another key.
        let turn = |job: &Job| {
            let tries = self.refused.get(&job.number).copied().unwrap_or(0);
            (job.number + usize::try_from(tries).unwrap()) % self.keys
        };
        jobs.into_iter().map(|job| (job, turn(&job))).collect()
    }

    fn next_look(&mut self) -> Option<Nanos> {
        self.asleep.first_key_value().map(|((at, _), _)| *at)
    }

    fn answered(&mut self, job: Job, _: usize, answer: &Answer) -> Next {
        if answer.is_good() || (answer.status != 429 && !self.retries) {
            self.idle += 1;
            self.refused.remove(&job.number);
            return Next::Done;
        }
        let tries = self.refused.entry(job.number).or_default();
        let most = 2.0_f64.powi(*tries).min(60.0);
        *tries += 1;
        let wait = super::traffic::nanos(most * self.random.share());
        self.asleep.insert((self.clock.shown() + wait, job.number), job);
        Next::Again
    }
}
