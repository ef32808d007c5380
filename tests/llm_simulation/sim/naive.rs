//! The token buckets that people write by hand, one for each limit: a request and its estimate are
//! taken one after the other; nothing is settled, and headers are not read.

use std::collections::VecDeque;
use std::time::Duration;

use tollgate::{Quota, RateLimiter, Rejection, TokenBucket};

use super::{Account, Answer, Client, Counter, Counts, Job, Nanos, Next, Scene, SkewedClock};

/// A bucket for all tokens, or for requests.
struct Bucket {
    permits: TokenBucket<SkewedClock>,
    counts_tokens: bool,
    most: u64,
}

struct Key {
    buckets: Vec<Bucket>,
    line: VecDeque<Job>,
    /// Of so many buckets, the first in line has taken what it needs.
    taken: usize,
    look: Option<Nanos>,
}

/// Some buckets for each key, used in turn.
pub(crate) struct Naive {
    clock: SkewedClock,
    keys: Vec<Key>,
    next: usize,
    /// For each key.
    room: usize,
    retries: bool,
}

impl Naive {
    pub(crate) fn new(clock: &SkewedClock, scene: &Scene) -> Self {
        let mut keys = Vec::new();
        for account in &scene.accounts {
            keys.extend((0..account.keys).map(|_| Key::new(clock, account)));
        }
        let room = scene.room().div_ceil(keys.len());
        Self { clock: clock.clone(), keys, next: 0, room, retries: scene.retries }
    }
}

impl Key {
    /// Keys of one account divide its limits among themselves.
    fn new(clock: &SkewedClock, account: &Account) -> Self {
        let mut buckets: Vec<Bucket> = Vec::new();
        let counters = account.server.counters.iter();
        for counter in counters.filter(|counter| counter.counts != Counts::OutputTokens) {
            let limit = counter.limit + limit_of_answers(counter, account);
            let most = (limit / u64::try_from(account.keys).unwrap()).max(1);
            let quota = Quota::per(most, Duration::from_nanos(counter.period));
            let permits = TokenBucket::builder(quota).clock(clock.clone()).build().unwrap();
            let counts_tokens = counter.counts != Counts::Requests;
            buckets.push(Bucket { permits, counts_tokens, most });
        }
        Self { buckets, line: VecDeque::new(), taken: 0, look: None }
    }

    fn try_head(&mut self) -> Result<Option<Job>, Rejection> {
        let Some(job) = self.line.front().copied() else { return Ok(None) };
        while let Some(next) = self.buckets.get(self.taken) {
            let needed = if next.counts_tokens { job.estimate.total() } else { 1 };
            next.permits.try_acquire(needed.min(next.most))?;
            self.taken += 1;
        }
        self.taken = 0;
        self.line.pop_front();
        Ok(Some(job))
    }
}

/// There is one bucket for all tokens: the limit of the answers is added to that of the prompts.
fn limit_of_answers(counter: &Counter, account: &Account) -> u64 {
    let counters = account.server.counters.iter();
    let output = counters.filter(|other| other.counts == Counts::OutputTokens);
    if counter.counts == Counts::InputTokens { output.map(|other| other.limit).sum() } else { 0 }
}

impl Client for Naive {
    fn offer(&mut self, job: Job) -> bool {
        self.next = (self.next + 1) % self.keys.len();
        let key = &mut self.keys[self.next];
        let fits = key.line.len() < self.room;
        if fits {
            key.line.push_back(job);
        }
        fits
    }

    fn release(&mut self) -> Vec<(Job, usize)> {
        let mut sent = Vec::new();
        for (number, key) in self.keys.iter_mut().enumerate() {
            key.look = loop {
                match key.try_head() {
                    Ok(Some(job)) => sent.push((job, number)),
                    Ok(None) => break None,
                    Err(Rejection::Denied { retry_after, .. }) => {
                        let wait = u64::try_from(retry_after.as_nanos()).unwrap();
                        break Some(self.clock.shown() + wait);
                    }
                    Err(other) => panic!("{other}"),
                }
            };
        }
        sent
    }

    fn next_look(&mut self) -> Option<Nanos> {
        self.keys.iter().filter_map(|key| key.look).min()
    }

    fn answered(&mut self, job: Job, key: usize, answer: &Answer) -> Next {
        if answer.is_good() || (answer.status != 429 && !self.retries) {
            return Next::Done;
        }
        // After a failure, another key may do better.
        let next = if answer.status == 429 { key } else { (key + 1) % self.keys.len() };
        self.keys[next].line.push_back(job);
        Next::Again
    }
}
