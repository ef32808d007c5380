//! A server that enforces its limits, each as a token bucket of its own arithmetic.

use tollgate::llm::Tokens;

use super::{Answer, Job, MINUTE, Nanos, SECOND};

/// Whose rules and headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The prompt and the longest answer are reserved on arrival, and corrected at the end.
    OpenAi,
    /// The prompt counts on arrival, the answer as it is generated.
    Anthropic,
}

/// Which moment the headers of an answer speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stated {
    AtTheEnd,
    OnArrival,
}

#[derive(Clone, Debug)]
struct Bucket {
    limit: f64,
    level: f64,
    at: Nanos,
}

impl Bucket {
    fn new(limit: u64) -> Self {
        let limit = float(limit);
        Self { limit, level: limit, at: 0 }
    }

    fn level(&mut self, now: Nanos) -> f64 {
        let came = float(now - self.at) * self.limit / float(MINUTE);
        self.level = (self.level + came).min(self.limit);
        self.at = now;
        self.level
    }

    fn take(&mut self, now: Nanos, count: f64) {
        self.level(now);
        self.level = (self.level - count).min(self.limit);
    }

    /// Seconds until so many are there.
    fn wait(&mut self, now: Nanos, count: f64) -> f64 {
        (count - self.level(now)).max(0.0) * 60.0 / self.limit
    }

    fn reset(&mut self, now: Nanos) -> f64 {
        let full = self.limit;
        self.wait(now, full)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a day in nanoseconds has 47 bits")]
fn float(count: u64) -> f64 {
    count as f64
}

/// One account's limits.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    dialect: Dialect,
    requests: Bucket,
    /// All tokens, or those of prompts.
    tokens: Bucket,
    output: Bucket,
    /// What was used in the end.
    spent: Tokens,
    served: u64,
}

/// A billionth of a token is no reason to refuse: these are floats.
const SLACK: f64 = 1e-6;

impl Server {
    pub(crate) fn new(dialect: Dialect, requests: u64, tokens: u64, output: u64) -> Self {
        Self {
            dialect,
            requests: Bucket::new(requests),
            tokens: Bucket::new(tokens),
            output: Bucket::new(output),
            spent: Tokens::default(),
            served: 0,
        }
    }

    fn counted_on_arrival(&self, job: &Job) -> f64 {
        float(match self.dialect {
            Dialect::OpenAi => job.actual.input + job.max_output,
            Dialect::Anthropic => job.actual.input,
        })
    }

    pub(crate) fn arrive(&mut self, now: Nanos, job: &Job) -> Answer {
        let tokens = self.counted_on_arrival(job);
        let mut wait = self.requests.wait(now, 1.0).max(self.tokens.wait(now, tokens));
        if self.dialect == Dialect::Anthropic {
            wait = wait.max(self.output.wait(now, 1.0));
        }
        let accepted = wait <= SLACK;
        // Requests that fail count too, as far as there are any left.
        let one = self.requests.level(now).clamp(0.0, 1.0);
        self.requests.take(now, one);
        if accepted {
            self.tokens.take(now, tokens);
        }
        let mut headers = self.headers(now);
        if !accepted {
            headers.push(("retry-after", format!("{}", wait.ceil())));
            if self.dialect == Dialect::OpenAi {
                headers.push(("retry-after-ms", format!("{}", (wait * 1e3).ceil())));
            }
        }
        Answer { accepted, headers }
    }

    /// A part of the answer was generated.
    pub(crate) fn generated(&mut self, now: Nanos, output: u64) {
        if self.dialect == Dialect::Anthropic {
            self.output.take(now, float(output));
        }
    }

    pub(crate) fn end(&mut self, now: Nanos, job: &Job) {
        if self.dialect == Dialect::OpenAi {
            self.tokens.take(now, float(job.actual.output) - float(job.max_output));
        }
        self.served += 1;
        self.spent.input += job.actual.input;
        self.spent.output += job.actual.output;
    }

    /// Somebody else uses the account, if there is room.
    pub(crate) fn serve_another(&mut self, now: Nanos, tokens: u64) -> u64 {
        if self.tokens.level(now) < float(tokens) || self.requests.level(now) < 1.0 {
            return 0;
        }
        self.requests.take(now, 1.0);
        self.tokens.take(now, float(tokens));
        tokens
    }

    pub(crate) fn headers(&mut self, now: Nanos) -> Vec<(&'static str, String)> {
        let whole = |level: f64| format!("{}", level.floor().max(0.0));
        let thousands = |level: f64| format!("{}", (level / 1e3).round().max(0.0) * 1e3);
        let (requests, tokens) = (&mut self.requests, &mut self.tokens);
        match self.dialect {
            Dialect::OpenAi => vec![
                ("x-ratelimit-limit-requests", requests.limit.to_string()),
                ("x-ratelimit-limit-tokens", tokens.limit.to_string()),
                ("x-ratelimit-remaining-requests", whole(requests.level(now))),
                ("x-ratelimit-remaining-tokens", whole(tokens.level(now))),
                ("x-ratelimit-reset-requests", go_duration(requests.reset(now))),
                ("x-ratelimit-reset-tokens", go_duration(tokens.reset(now))),
            ],
            Dialect::Anthropic => {
                let output = &mut self.output;
                vec![
                    ("date", httpdate(now)),
                    ("anthropic-ratelimit-requests-limit", requests.limit.to_string()),
                    ("anthropic-ratelimit-requests-remaining", whole(requests.level(now))),
                    ("anthropic-ratelimit-requests-reset", rfc3339(now, requests.reset(now))),
                    ("anthropic-ratelimit-input-tokens-limit", tokens.limit.to_string()),
                    ("anthropic-ratelimit-input-tokens-remaining", thousands(tokens.level(now))),
                    ("anthropic-ratelimit-input-tokens-reset", rfc3339(now, tokens.reset(now))),
                    ("anthropic-ratelimit-output-tokens-limit", output.limit.to_string()),
                    ("anthropic-ratelimit-output-tokens-remaining", thousands(output.level(now))),
                    ("anthropic-ratelimit-output-tokens-reset", rfc3339(now, output.reset(now))),
                ]
            }
        }
    }

    /// Begins to count what is used anew.
    pub(crate) fn forget(&mut self) {
        (self.spent, self.served) = (Tokens::default(), 0);
    }

    /// The largest share of a limit that was used in so much time, where `elsewhere` was not to be
    /// had.
    pub(crate) fn share_used(&self, time: Nanos, elsewhere: u64) -> f64 {
        let given = |bucket: &Bucket| bucket.limit * float(time) / float(MINUTE);
        let requests = float(self.served) / given(&self.requests);
        let tokens = match self.dialect {
            Dialect::OpenAi => float(self.spent.total()) / (given(&self.tokens) - float(elsewhere)),
            Dialect::Anthropic => {
                let input = float(self.spent.input) / given(&self.tokens);
                input.max(float(self.spent.output) / given(&self.output))
            }
        };
        requests.max(tokens)
    }

    /// What the limit lets pass in a minute.
    pub(crate) fn tokens_per_minute(&self) -> f64 {
        match self.dialect {
            Dialect::OpenAi => self.tokens.limit,
            // An answer has half as many tokens as its prompt.
            Dialect::Anthropic => (self.tokens.limit * 1.5).min(self.output.limit * 3.0),
        }
    }
}

/// `6m0s`, `1.5s`, `12ms`, as Go writes them.
fn go_duration(secs: f64) -> String {
    if secs < 1.0 {
        return format!("{}ms", (secs * 1e3).ceil());
    }
    let minutes = (secs / 60.0).floor();
    let rest = secs - minutes * 60.0;
    if minutes > 0.0 { format!("{minutes}m{rest:.3}s") } else { format!("{rest:.3}s") }
}

/// The servers' day begins at midnight of 2026-11-23, a Monday.
fn httpdate(now: Nanos) -> String {
    let secs = now / SECOND;
    let (day, time) = (23 + secs / 86_400, secs % 86_400);
    let name = ["Mon", "Tue", "Wed"][usize::try_from(secs / 86_400).unwrap()];
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{name}, {day} Nov 2026 {hour:02}:{minute:02}:{second:02} GMT")
}

fn rfc3339(now: Nanos, after: f64) -> String {
    let secs = now / SECOND + super::traffic::count(after);
    let (day, time) = (23 + secs / 86_400, secs % 86_400);
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("2026-11-{day}T{hour:02}:{minute:02}:{second:02}Z")
}
