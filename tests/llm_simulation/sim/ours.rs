//! This crate: waits in its queue, settles, and learns from headers.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, SystemTime};

use tollgate::llm::{
    Counted, Error, KeyPool, LimitKind, Limiter, LimiterState, Limits, Meaning, Period, Permit,
    PoolPermit, PoolState, Reply, Tokens, Usage,
};
use tollgate::{Sleep, Timer};

use super::{Account, Answer, Client, Counter, Counts, Job, Nanos, Next, Scene, Size, SkewedClock};

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
    retries: bool,
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

/// What the client is told of an account.
fn limits(scene: &Scene, account: &Account) -> Limits {
    let counters = account.server.counters.iter().filter(|_| scene.told);
    let none = Limits::new().keep_back(scene.kept_back);
    counters.fold(none, |limits, counter| limits.with(kind(counter), counter.limit))
}

fn kind(counter: &Counter) -> LimitKind {
    let period = Period::of(Duration::from_nanos(counter.period)).unwrap();
    let what = match counter.counts {
        Counts::Requests => Counted::Requests,
        Counts::Tokens => Counted::Tokens,
        Counts::InputTokens => Counted::InputTokens,
        Counts::OutputTokens => Counted::OutputTokens,
    };
    what.per(period)
}

/// Callers wait for as long as the server says.
const ANY_WAIT: Duration = Duration::MAX;

impl Ours {
    /// One key if there is one, else a pool of them. It goes on from a state, if there is one.
    pub(crate) fn new(
        clock: &SkewedClock,
        scene: &Scene,
        state: Option<State>,
        now: Nanos,
    ) -> Self {
        // Leaked, so that futures and permits can be held beside what they borrow.
        let gate = if scene.accounts_of_keys().len() == 1 {
            let builder =
                Limiter::builder().limits(limits(scene, &scene.accounts[0])).clamp_estimates();
            // As pools do by default: one request goes first if no limits are known.
            let builder = builder.max_server_wait(ANY_WAIT).try_first(true).clock(clock.clone());
            Gate::One(Box::leak(Box::new(builder.build().unwrap())))
        } else {
            let builder = KeyPool::builder().clamp_estimates().max_server_wait(ANY_WAIT);
            let pool: Pool = builder.clock(clock.clone()).build();
            let mut key = 0;
            for account in &scene.accounts {
                let first = key.to_string();
                pool.add(first.as_str(), key, limits(scene, account)).unwrap();
                for other in key + 1..key + account.keys {
                    pool.add_sharing(&first, other.to_string(), other).unwrap();
                }
                key += account.keys;
            }
            Gate::Pool(Box::leak(Box::new(pool)))
        };
        match (gate, state) {
            (Gate::One(one), Some(State::One(state))) => {
                one.restore_state_at(&state, system_time(now)).unwrap();
            }
            (Gate::Pool(pool), Some(State::Pool(state))) => {
                assert!(pool.restore_state_at(&state, system_time(now)).unwrap().is_empty());
            }
            _ => {}
        }
        Self {
            clock: clock.clone(),
            gate,
            line: VecDeque::new(),
            room: scene.room(),
            retries: scene.retries,
            out: HashMap::new(),
        }
    }

    fn queue(&mut self, job: Job) {
        let (gate, tokens) = (self.gate, tokens(job.estimate));
        let future: Future = Box::pin(async move {
            Ok(match gate {
                Gate::One(one) => Leave::One(one.acquire_on(tokens, &NoTimer).await?),
                Gate::Pool(pool) => Leave::Key(pool.acquire_on(tokens, &NoTimer).await?),
            })
        });
        self.line.push_back((job, future, Arc::new(Flag(AtomicBool::new(true)))));
    }
}

fn tokens(size: Size) -> Tokens {
    Tokens::new(size.input, size.output)
}

fn show(usage: &Usage) -> String {
    let limits = usage.limits.iter().map(|limit| {
        let (kind, used, most) = (limit.kind, limit.used, limit.limit);
        format!("{used}/{most} {kind}, {} left, reset {:.1?}", limit.remaining, limit.reset_after)
    });
    let limits = limits.collect::<Vec<_>>().join("; ");
    let (in_flight, waiting) = (usage.in_flight, usage.waiting);
    format!("{in_flight} in flight, {waiting} wait, pause {:.1?}; {limits}", usage.paused_for)
}

/// What outlives the process.
#[derive(Debug)]
pub(crate) enum State {
    One(LimiterState),
    Pool(PoolState),
}

/// The time by the system's clock.
fn system_time(now: Nanos) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(now)
}

impl Client for Ours {
    fn offer(&mut self, job: Job) -> bool {
        let fits = self.line.len() < self.room;
        if fits {
            self.queue(job);
        }
        fits
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

    fn believes(&self) -> String {
        match self.gate {
            Gate::One(one) => show(&one.usage()),
            Gate::Pool(pool) => {
                let ids = pool.ids();
                let usages = ids.iter().filter_map(|id| Some((id, pool.usage(id)?)));
                let usages = usages.map(|(id, usage)| format!("key {id}: {}", show(&usage)));
                usages.collect::<Vec<_>>().join("; ")
            }
        }
    }

    fn state(&self, now: Nanos) -> Option<State> {
        Some(match self.gate {
            Gate::One(one) => State::One(one.state_at(system_time(now))),
            Gate::Pool(pool) => State::Pool(pool.state_at(system_time(now))),
        })
    }

    fn answered(&mut self, job: Job, _: usize, answer: &Answer) -> Next {
        let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut reply = Reply::new(answer.status).headers(headers);
        if answer.is_good() {
            reply = reply.spent(tokens(job.actual));
        }
        if let Some(wait) = answer.told_in_body {
            reply = reply.limited_for(Duration::from_nanos(wait));
        }
        let has_other_keys = match self.out.remove(&job.number).unwrap() {
            Leave::One(permit) => {
                permit.end(&reply);
                false
            }
            Leave::Key(permit) => {
                permit.end(&reply);
                true
            }
        };
        // As `call` does.
        let may_help = has_other_keys || reply.meaning() != Meaning::KeyRefused;
        let again = reply.wants_retry() && may_help && (self.retries || answer.status == 429);
        if again {
            let estimate = reply.estimate_again(tokens(job.estimate));
            let estimate = Size { input: estimate.input, output: estimate.output };
            self.queue(Job { estimate, ..job });
        }
        if again { Next::Again } else { Next::Done }
    }
}
