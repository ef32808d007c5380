//! A server that enforces the limits of one account.

use super::counter::{Counter, Counts};
use super::dialect::{Dialect, Headers};
use super::traffic::{self, Random};
use super::{Answer, Job, Nanos};

/// When tokens are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// The prompt and the longest answer are taken on arrival, and corrected at the end.
    Reserved,
    /// The prompt and the longest answer are taken on arrival, and nothing is given back.
    ReservedForGood,
    /// The prompt is taken on arrival, the answer as it is generated.
    AsGenerated,
}

/// Which moment the headers of an answer speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stated {
    AtTheEnd,
    OnArrival,
}

/// An account's limits, and what is left of them.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) dialect: Dialect,
    pub(crate) counting: Counting,
    pub(crate) counters: Vec<Counter>,
    stated: Stated,
    /// How long each answer takes, if not as long as its tokens do.
    takes: Option<Nanos>,
    /// What answers with status 200 say in `retry-after`.
    retry_after_when_good: Option<u64>,
}

impl Server {
    pub(crate) fn new(dialect: Dialect, counters: impl Into<Vec<Counter>>) -> Self {
        Self {
            dialect,
            counting: Counting::Reserved,
            counters: counters.into(),
            stated: Stated::AtTheEnd,
            takes: None,
            retry_after_when_good: None,
        }
    }

    pub(crate) fn counting(self, counting: Counting) -> Self {
        Self { counting, ..self }
    }

    pub(crate) fn stated(self, stated: Stated) -> Self {
        Self { stated, ..self }
    }

    pub(crate) fn takes(self, time: Nanos) -> Self {
        Self { takes: Some(time), ..self }
    }

    pub(crate) fn retry_after_when_good(self, seconds: u64) -> Self {
        Self { retry_after_when_good: Some(seconds), ..self }
    }

    /// What the request takes of a limit on arrival.
    fn on_arrival(&self, counts: Counts, job: &Job) -> u64 {
        let answer = match self.counting {
            Counting::Reserved | Counting::ReservedForGood => job.max_output,
            Counting::AsGenerated => 0,
        };
        match counts {
            Counts::Requests => 1,
            Counts::Tokens => job.actual.input + answer,
            Counts::InputTokens => job.actual.input,
            Counts::OutputTokens => answer,
        }
    }

    /// Takes a request if all its limits allow it. The answer's headers are those of a refusal, or
    /// those as of now.
    pub(crate) fn arrive(&mut self, now: Nanos, job: &Job) -> Answer {
        let mut wait = 0;
        for number in 0..self.counters.len() {
            let counts = self.counters[number].counts;
            // An answer that is counted as it is generated needs room for its first token.
            let needed = self.on_arrival(counts, job).max(1);
            wait = wait.max(self.counters[number].wait(now, needed));
        }
        for number in 0..self.counters.len() {
            let counts = self.counters[number].counts;
            let taken = self.on_arrival(counts, job);
            if wait == 0 {
                self.counters[number].take(now, taken);
            } else if counts == Counts::Requests {
                // Requests that fail count too, as far as there are any left.
                self.counters[number].take_one_at_most(now);
            }
        }
        if wait == 0 {
            return Answer { status: 200, headers: self.good_headers(now), told_in_body: None };
        }
        let mut headers = self.dialect.headers(&mut self.counters, now);
        headers.extend(self.dialect.refusal(wait));
        Answer { status: 429, headers, told_in_body: self.dialect.refusal_in_body(wait) }
    }

    /// A part of the answer was generated.
    pub(crate) fn generated(&mut self, now: Nanos, output: u64) {
        if self.counting == Counting::AsGenerated {
            for counter in &mut self.counters {
                if matches!(counter.counts, Counts::Tokens | Counts::OutputTokens) {
                    counter.take(now, output);
                }
            }
        }
    }

    /// The answer to a request that arrived at `arrived` is complete.
    pub(crate) fn end(&mut self, now: Nanos, arrived: Nanos, job: &Job, answer: &mut Answer) {
        let kept = self.counting == Counting::ReservedForGood;
        let output = if kept { job.max_output } else { job.actual.output };
        for counter in &mut self.counters {
            let has_answer = matches!(counter.counts, Counts::Tokens | Counts::OutputTokens);
            if has_answer && self.counting == Counting::Reserved {
                counter.give_back(now, arrived, job.max_output - output);
            }
            counter.spent(match counter.counts {
                Counts::Requests => 1,
                Counts::Tokens => job.actual.input + output,
                Counts::InputTokens => job.actual.input,
                Counts::OutputTokens => output,
            });
        }
        if self.stated == Stated::AtTheEnd {
            answer.headers = self.good_headers(now);
        }
    }

    fn good_headers(&mut self, now: Nanos) -> Headers {
        let mut headers = self.dialect.headers(&mut self.counters, now);
        let seconds = self.retry_after_when_good.map(|seconds| seconds.to_string());
        headers.extend(seconds.map(|seconds| ("retry-after".to_owned(), seconds)));
        headers
    }

    /// Somebody else uses the account, if there is room.
    pub(crate) fn serve_another(&mut self, now: Nanos, tokens: u64) {
        let needs = |counts| if counts == Counts::Requests { 1 } else { tokens };
        if self.counters.iter_mut().all(|counter| counter.wait(now, needs(counter.counts)) == 0) {
            self.counters.iter_mut().for_each(|c| c.take_elsewhere(now, needs(c.counts)));
        }
    }

    /// How long it works on an answer.
    pub(crate) fn work(&self, random: &mut Random, job: &Job) -> Nanos {
        self.takes.unwrap_or_else(|| traffic::work(random, job))
    }

    /// Begins to count anew what is used.
    pub(crate) fn begin_tally(&mut self, now: Nanos) {
        self.counters.iter_mut().for_each(|counter| counter.begin_tally(now));
    }

    /// The largest share of a limit that was used, of what others left.
    pub(crate) fn share_used(&mut self, now: Nanos) -> f64 {
        let shares = self.counters.iter_mut().map(|counter| counter.share_used(now));
        shares.fold(0.0, f64::max)
    }

    /// How many average requests the limits let pass in the long run; none if there are no limits.
    pub(crate) fn requests_per_second(&self) -> Option<f64> {
        let rate = |counter: &Counter| {
            let answer = match self.counting {
                Counting::ReservedForGood => traffic::float(traffic::MAX_OUTPUT),
                Counting::Reserved | Counting::AsGenerated => traffic::OUTPUT_MEAN,
            };
            counter.per_second()
                / match counter.counts {
                    Counts::Requests => 1.0,
                    Counts::Tokens => traffic::INPUT_MEAN + answer,
                    Counts::InputTokens => traffic::INPUT_MEAN,
                    Counts::OutputTokens => answer,
                }
        };
        self.counters.iter().map(rate).reduce(f64::min)
    }
}
