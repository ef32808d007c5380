//! A server that answers with whatever it likes, and what must hold nevertheless. Used by a
//! property test and by a fuzz target.

use std::time::{Duration, SystemTime};

use tollgate::llm::{
    Burst, Counted, Error, KeyPool, Limiter, Limits, Meaning, Period, Permit, PoolPermit, Reply,
    ServerLimits, Tokens,
};
use tollgate::{ManualClock, Timestamp};

/// When responses arrive: Thu, 13 Aug 2026 15:37:00 GMT.
const NOW: u64 = 1_786_635_420;

/// How the client is built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) burst: Burst,
    /// Per minute; 0 for no limit.
    pub(crate) requests: u64,
    pub(crate) tokens: u64,
    pub(crate) keep_back: u8,
    /// At least a minute, because the configured limits need as long.
    pub(crate) max_pause: Duration,
    pub(crate) max_spent_rest: Duration,
}

/// What happens next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A request with an estimate.
    Ask(Tokens),
    /// The answer to one of the open requests, which is not ended by it if it is early.
    Answer {
        which: usize,
        early: bool,
        status: u16,
        headers: Vec<(Vec<u8>, Vec<u8>)>,
        used: Tokens,
    },
    /// One of the open requests was not sent.
    Cancel(usize),
    Wait(Duration),
}

/// A limiter, or a pool of three keys of which two share an account.
enum Client {
    Limiter(Limiter<ManualClock>),
    Pool(KeyPool<(), ManualClock>),
}

/// A request that was granted.
struct Open<'a> {
    permit: Either<'a>,
    number: usize,
}

enum Either<'a> {
    Limiter(Permit<'a, ManualClock>),
    Pool(PoolPermit<'a, (), ManualClock>),
}

/// What a request took of its account, once it has ended.
#[derive(Clone, Copy, Debug)]
struct Grant {
    at: Timestamp,
    account: &'static str,
    requests: u64,
    tokens: u64,
}

/// How far a client is trusted with what it settles itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settling {
    /// Never more than the estimate: all debt is the server's doing.
    AtMostTheEstimate,
    /// Anything, which can make a debt of any size.
    Anything,
}

/// Runs the steps against a limiter and a pool. Panics if one of them does, if a configured limit
/// is exceeded, or if a client is closed for too long.
pub(crate) fn run(setting: Setting, steps: &[Step], settling: Settling) {
    let clock = ManualClock::new();
    let limits = Limits::new()
        .burst(setting.burst)
        .requests_per_minute(setting.requests)
        .tokens_per_minute(setting.tokens)
        .keep_back(setting.keep_back);
    let limiter = Limiter::builder()
        .limits(limits)
        .max_pause(setting.max_pause)
        .max_spent_rest(setting.max_spent_rest)
        .clock(clock.clone());
    let pool = KeyPool::builder()
        .max_pause(setting.max_pause)
        .max_spent_rest(setting.max_spent_rest)
        .clock(clock.clone())
        .build();
    pool.add("a", (), limits).unwrap();
    pool.add_sharing("a", "b", ()).unwrap();
    pool.add("c", (), limits).unwrap();
    for client in [Client::Limiter(limiter.build().unwrap()), Client::Pool(pool)] {
        client.run(setting, steps, settling, &clock);
    }
}

impl Client {
    fn run(&self, setting: Setting, steps: &[Step], settling: Settling, clock: &ManualClock) {
        use tollgate::Clock;
        let longest = setting.max_pause.max(setting.max_spent_rest);
        let (mut open, mut grants) = (Vec::<Open<'_>>::new(), Vec::<Grant>::new());
        for step in steps {
            match step {
                Step::Wait(time) => clock.advance(*time),
                Step::Ask(estimate) => {
                    let Ok(permit) = self.ask(*estimate) else { continue };
                    let tokens = permit.estimate().total();
                    let account = permit.account();
                    grants.push(Grant { at: clock.now(), account, requests: 1, tokens });
                    open.push(Open { permit, number: grants.len() - 1 });
                }
                Step::Cancel(which) if !open.is_empty() => {
                    let Open { permit, number } = open.swap_remove(which % open.len());
                    (grants[number].requests, grants[number].tokens) = (0, 0);
                    permit.cancel();
                }
                Step::Answer { which, early, status, headers, used } if !open.is_empty() => {
                    let at = which % open.len();
                    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
                    let headers = headers.iter().map(|(name, value)| (name, value));
                    let said = ServerLimits::from_headers(headers, now);
                    let estimate = open[at].permit.estimate();
                    let used = match settling {
                        Settling::Anything => *used,
                        Settling::AtMostTheEstimate => Tokens::new(
                            used.input.min(estimate.input),
                            used.output.min(estimate.output),
                        ),
                    };
                    let reply = Reply::new(*status).limits(said).spent(used);
                    if *early {
                        open[at].permit.observe(&reply);
                    } else {
                        let Open { permit, number } = open.swap_remove(at);
                        let grant = &mut grants[number];
                        match reply.meaning() {
                            Meaning::KeyRefused => (grant.requests, grant.tokens) = (0, 0),
                            Meaning::Limited | Meaning::Overloaded | Meaning::KeySpent => {
                                grant.tokens = 0;
                            }
                            _ => grant.tokens = used.total(),
                        }
                        permit.end(&reply);
                    }
                }
                Step::Cancel(_) | Step::Answer { .. } => {}
            }
            for paused in self.pauses() {
                assert!(paused <= longest, "paused for {paused:?}");
            }
        }
        // Requests that are still open count in full, as they are dropped.
        drop(open);
        check_limits(setting, &grants, settling);
        if settling == Settling::AtMostTheEstimate {
            self.check_open(longest, clock);
        }
    }

    fn ask(&self, estimate: Tokens) -> Result<Either<'_>, Error> {
        Ok(match self {
            Self::Limiter(limiter) => Either::Limiter(limiter.try_acquire(estimate)?),
            Self::Pool(pool) => Either::Pool(pool.try_acquire(estimate)?),
        })
    }

    fn pauses(&self) -> Vec<Duration> {
        match self {
            Self::Limiter(limiter) => limiter.usage().paused_for.into_iter().collect(),
            Self::Pool(pool) => {
                ["a", "b", "c"].iter().filter_map(|id| pool.usage(id)?.paused_for).collect()
            }
        }
    }

    /// A small request can be sent within `longest`.
    fn check_open(&self, longest: Duration, clock: &ManualClock) {
        let mut waited = Duration::ZERO;
        loop {
            let wait = match self.ask(Tokens::new(1, 0)) {
                // All keys were refused with 401.
                Ok(_) | Err(Error::NoKeys) => return,
                Err(error) => error.retry_after().expect("nothing is in flight"),
            };
            assert!(!wait.is_zero());
            waited += wait;
            assert!(waited <= longest, "closed for {waited:?}");
            clock.advance(wait);
        }
    }
}

impl Either<'_> {
    fn estimate(&self) -> Tokens {
        match self {
            Self::Limiter(permit) => permit.estimate(),
            Self::Pool(permit) => permit.estimate(),
        }
    }

    fn account(&self) -> &'static str {
        match self {
            Self::Limiter(_) => "a",
            Self::Pool(permit) => match permit.id() {
                "c" => "c",
                _ => "a",
            },
        }
    }

    fn observe(&self, reply: &Reply) {
        match self {
            Self::Limiter(permit) => permit.observe_reply(reply),
            Self::Pool(permit) => permit.observe_reply(reply),
        }
    }

    fn end(self, reply: &Reply) {
        match self {
            Self::Limiter(permit) => permit.end(reply),
            Self::Pool(permit) => permit.end(reply),
        }
    }

    fn cancel(self) {
        match self {
            Self::Limiter(permit) => permit.cancel(),
            Self::Pool(permit) => permit.cancel(),
        }
    }
}

/// No account has got more than its configured limits allow, between any two grants.
fn check_limits(setting: Setting, grants: &[Grant], settling: Settling) {
    let minute = Counted::Requests.per(Period::MINUTE).period().map_or(0, Period::as_secs);
    // What passes in a span of time: an even limit refills while it lasts.
    let most = |limit: u64, span: Duration| match setting.burst {
        Burst::Strict if span < Duration::from_secs(minute.into()) => limit,
        _ => {
            let refilled =
                u128::from(limit) * span.as_nanos() / (u128::from(minute) * 1_000_000_000);
            limit + u64::try_from(refilled).unwrap_or(u64::MAX) + 1
        }
    };
    for (at, first) in grants.iter().enumerate() {
        let (mut requests, mut tokens) = (0_u64, 0_u64);
        for last in grants[at..].iter().filter(|it| it.account == first.account) {
            let span = last.at - first.at;
            requests += last.requests;
            tokens = tokens.saturating_add(last.tokens);
            let (of_requests, of_tokens) =
                (most(setting.requests, span), most(setting.tokens, span));
            assert!(setting.requests == 0 || requests <= of_requests, "{requests} requests");
            // More than the estimate is known only afterwards.
            let counts = setting.tokens > 0 && settling == Settling::AtMostTheEstimate;
            assert!(!counts || tokens <= of_tokens, "{tokens} of {of_tokens} tokens");
        }
    }
}
