//! The pair of token buckets that people write by hand: a request and its estimate are taken one
//! after the other; nothing is settled, and headers are not read.

use std::collections::VecDeque;

use tollgate::llm::{LimitKind, Limits, Period};
use tollgate::{Quota, RateLimiter, Rejection, TokenBucket};

use super::{Answer, Client, Job, Nanos, SkewedClock};

struct Key {
    requests: TokenBucket<SkewedClock>,
    tokens: TokenBucket<SkewedClock>,
    most: u64,
    line: VecDeque<Job>,
    /// The first in line has its request already.
    half_way: bool,
    look: Option<Nanos>,
}

/// One pair for each key, used in turn.
pub(crate) struct Naive {
    clock: SkewedClock,
    keys: Vec<Key>,
    next: usize,
    room: usize,
}

impl Naive {
    pub(crate) fn new(clock: &SkewedClock, limits: &[Limits], room: usize) -> Self {
        let key = |limits: &Limits| {
            let bucket = |kind| {
                let quota = Quota::per_minute(limits.get(kind).unwrap());
                TokenBucket::builder(quota).clock(clock.clone()).build().unwrap()
            };
            let most = limits.get(LimitKind::Tokens(Period::MINUTE)).unwrap();
            let (requests, tokens) = (
                bucket(LimitKind::Requests(Period::MINUTE)),
                bucket(LimitKind::Tokens(Period::MINUTE)),
            );
            Key { requests, tokens, most, line: VecDeque::new(), half_way: false, look: None }
        };
        let room = room / limits.len();
        Self { clock: clock.clone(), keys: limits.iter().map(key).collect(), next: 0, room }
    }
}

impl Key {
    fn try_head(&mut self) -> Result<Option<Job>, Rejection> {
        let Some(job) = self.line.front().copied() else { return Ok(None) };
        if !self.half_way {
            self.requests.try_acquire(1)?;
            self.half_way = true;
        }
        self.tokens.try_acquire(job.estimate.total().min(self.most))?;
        self.half_way = false;
        self.line.pop_front();
        Ok(Some(job))
    }
}

impl Client for Naive {
    fn offer(&mut self, job: Job) {
        self.next = (self.next + 1) % self.keys.len();
        let key = &mut self.keys[self.next];
        if key.line.len() < self.room {
            key.line.push_back(job);
        }
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

    fn answered(&mut self, job: Job, key: usize, answer: &Answer) {
        if !answer.accepted {
            self.keys[key].line.push_back(job);
        }
    }
}
