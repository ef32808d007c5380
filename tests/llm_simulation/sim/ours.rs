//! This crate: waits in its queue, settles, and learns from headers.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tollgate::llm::{Error, KeyPool, Limiter, Limits, Permit, PoolPermit, Tokens};
use tollgate::{Sleep, Timer};

use super::{Answer, Client, Job, Nanos, SkewedClock};

type One = Limiter<SkewedClock>;
type Pool = KeyPool<usize, SkewedClock>;
type Future = Pin<Box<dyn std::future::Future<Output = Result<Leave, Error>>>>;

#[derive(Clone, Copy)]
enum Gate {
    One(&'static One),
    Pool(&'static Pool),
}

enum Leave {
    One(Permit<'static, SkewedClock>),
    Key(PoolPermit<'static, usize, SkewedClock>),
}

pub(crate) struct Ours {
    clock: SkewedClock,
    gate: Gate,
    line: VecDeque<(Job, Future, Arc<Flag>)>,
    room: usize,
    out: HashMap<usize, Leave>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The clock wakes; there is nothing else to wait for.
struct NoTimer;

impl Timer for NoTimer {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        None
    }
}

impl Ours {
    /// One key if there is one, else a pool of them.
    pub(crate) fn new(clock: &SkewedClock, limits: &[Limits], room: usize) -> Self {
        // Leaked, so that futures and permits can be held beside what they borrow.
        let gate = if let [limits] = limits {
            let builder = Limiter::builder().limits(*limits).clamp_estimates();
            Gate::One(Box::leak(Box::new(builder.clock(clock.clone()).build().unwrap())))
        } else {
            let builder = KeyPool::builder().clamp_estimates();
            let pool: Pool = builder.clock(clock.clone()).build();
            for (key, limits) in limits.iter().enumerate() {
                pool.add(key.to_string(), key, *limits).unwrap();
            }
            Gate::Pool(Box::leak(Box::new(pool)))
        };
        let (line, out) = (VecDeque::new(), HashMap::new());
        Self { clock: clock.clone(), gate, line, room, out }
    }

    fn queue(&mut self, job: Job) {
        let (gate, tokens): (_, Tokens) = (self.gate, job.estimate);
        let future: Future = Box::pin(async move {
            Ok(match gate {
                Gate::One(one) => Leave::One(one.acquire_on(tokens, &NoTimer).await?),
                Gate::Pool(pool) => Leave::Key(pool.acquire_on(tokens, &NoTimer).await?),
            })
        });
        self.line.push_back((job, future, Arc::new(Flag(AtomicBool::new(true)))));
    }
}

impl Client for Ours {
    fn offer(&mut self, job: Job) {
        if self.line.len() < self.room {
            self.queue(job);
        }
    }

    fn release(&mut self) -> Vec<(Job, usize)> {
        let mut sent = Vec::new();
        let mut still = VecDeque::with_capacity(self.line.len());
        for (job, mut future, flag) in self.line.drain(..) {
            if flag.0.swap(false, Ordering::Relaxed) {
                let waker = Waker::from(Arc::clone(&flag));
                if let Poll::Ready(leave) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    let leave = leave.unwrap();
                    let key = match &leave {
                        Leave::One(_) => 0,
                        Leave::Key(permit) => *permit.secret(),
                    };
                    self.out.insert(job.number, leave);
                    sent.push((job, key));
                    continue;
                }
            }
            still.push_back((job, future, flag));
        }
        self.line = still;
        sent
    }

    fn next_look(&mut self) -> Option<Nanos> {
        let woken = self.line.iter().any(|(_, _, flag)| flag.0.load(Ordering::Relaxed));
        if woken { Some(self.clock.shown()) } else { self.clock.next_alarm() }
    }

    fn answered(&mut self, job: Job, _: usize, answer: &Answer) {
        let headers = answer.headers.iter().map(|(name, value)| (*name, value.as_str()));
        match self.out.remove(&job.number).unwrap() {
            Leave::One(permit) if answer.accepted => {
                permit.observe(headers);
                permit.settle(job.actual);
            }
            Leave::Key(permit) if answer.accepted => {
                permit.observe(headers);
                permit.settle(job.actual);
            }
            refused => {
                match refused {
                    Leave::One(permit) => permit.limited(headers),
                    Leave::Key(permit) => permit.limited(headers),
                }
                self.queue(job);
            }
        }
    }
}
