//! Requests of mixed size at random times.

#[path = "../../support/split_mix.rs"]
mod split_mix;

use split_mix::SplitMix64;

use super::{Counting, Job, Nanos, SECOND, Size};

/// A fixed seed gives the same day again.
#[derive(Clone, Debug)]
pub(crate) struct Random(SplitMix64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    /// Of 0 up to 1.
    pub(crate) fn share(&mut self) -> f64 {
        self.0.share()
    }

    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.share()).ln()
    }

    /// Lognormal: most are small, few are large.
    pub(crate) fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        let angle = std::f64::consts::TAU * self.share();
        let normal = (-2.0 * (1.0 - self.share()).ln()).sqrt() * angle.cos();
        median * (sigma * normal).exp()
    }

    pub(crate) fn nanos(&mut self, mean: f64) -> Nanos {
        nanos(self.exponential(mean))
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hours at most")]
pub(crate) fn nanos(secs: f64) -> Nanos {
    (secs * 1e9) as Nanos
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
pub(crate) fn count(tokens: f64) -> u64 {
    tokens as u64
}

#[allow(clippy::cast_precision_loss, reason = "a day in nanoseconds has 47 bits")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

pub(crate) fn ratio(one: u64, other: u64) -> f64 {
    float(one) / float(other)
}

fn times(tokens: u64, factor: f64) -> u64 {
    count(float(tokens) * factor).max(1)
}

/// A request of others, who take as much as we do.
pub(crate) fn tokens_of_others(random: &mut Random) -> u64 {
    count(random.exponential(INPUT_MEAN + OUTPUT_MEAN)) + 1
}

/// The longest answer that is asked for.
pub(crate) const MAX_OUTPUT: u64 = 1_024;

/// Tokens of prompts and answers on average.
pub(crate) const INPUT_MEAN: f64 = 590.0;
pub(crate) const OUTPUT_MEAN: f64 = 315.0;

/// Prompts of 400 tokens in the middle (sigma 0.9), answers of 250 (sigma 0.7).
pub(crate) fn job(random: &mut Random, number: usize, counting: Counting, wrong: f64) -> Job {
    let prompt = count(random.lognormal(400.0, 0.9)).clamp(20, 4_000);
    let output = count(random.lognormal(250.0, 0.7)).clamp(1, MAX_OUTPUT);
    // Wrong by up to this factor in either direction, evenly on a logarithmic scale.
    let factor = wrong.powf(2.0 * random.share() - 1.0);
    let counted = match counting {
        Counting::Reserved | Counting::ReservedForGood => MAX_OUTPUT,
        Counting::AsGenerated => output,
    };
    let estimate = Size { input: times(prompt, factor), output: times(counted, factor) };
    let actual = Size { input: prompt, output };
    Job { number, actual, max_output: MAX_OUTPUT, estimate }
}

/// How long a server works on an answer: 60 tokens a second after a moment of thought.
pub(crate) fn work(random: &mut Random, job: &Job) -> Nanos {
    SECOND / 4 + random.nanos(0.25) + nanos(float(job.actual.output) / 60.0)
}

/// How long a message is on its way: 30 ms and more, with stalls of up to two seconds.
pub(crate) fn transit(random: &mut Random) -> Nanos {
    let stall = if random.share() < 0.01 { random.share() * 2.0 } else { 0.0 };
    nanos(0.03 + random.exponential(0.03).min(1.0) + stall)
}
