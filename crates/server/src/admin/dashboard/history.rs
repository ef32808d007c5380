//! What has happened in the last ten minutes, in steps of five seconds, so that a page that is
//! opened, or opened again, shows it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use super::samples::{Samples, count};

/// The length of a step.
pub(super) const STEP: Duration = Duration::from_secs(5);

/// How many steps are kept.
pub(super) const STEPS: usize = 120;

/// How many steps the times of decisions are told of.
const RECENT: usize = 12;

/// The last steps.
#[derive(Debug, Default)]
pub(super) struct History {
    /// How many steps there were.
    steps: u64,
    /// By the words of [`class_of`].
    requests: HashMap<&'static str, Track>,
    /// By name, and by the words of [`RESULTS`].
    limits: HashMap<String, [Track; RESULTS.len()]>,
    decisions: Buckets,
    store_calls: Buckets,
}

/// What a limit may answer.
const RESULTS: [&str; 3] = ["allowed", "refused", "would_refuse"];

/// One counter.
#[derive(Debug, Default)]
struct Track {
    total: u64,
    steps: VecDeque<u64>,
}

/// One histogram.
#[derive(Debug, Default)]
struct Buckets {
    /// The upper bound and the number of values at most as large.
    totals: Vec<(f64, f64)>,
    /// How many more there were in each of the last steps.
    steps: VecDeque<Vec<f64>>,
}

/// How long something takes, in seconds: half of all, and all but one in a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Times {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// The history as the page is told it: how often something happened in each step.
#[derive(Debug, Serialize)]
pub(super) struct HistoryTold<'a> {
    step_s: u64,
    most_steps: usize,
    requests: HashMap<&'static str, &'a VecDeque<u64>>,
    limits: Vec<LimitTold<'a>>,
}

#[derive(Debug, Serialize)]
struct LimitTold<'a> {
    name: &'a str,
    allowed: &'a VecDeque<u64>,
    refused: &'a VecDeque<u64>,
    would_refuse: &'a VecDeque<u64>,
}

/// The class of a request's outcome, by which it is drawn.
fn class_of(outcome: &str) -> &'static str {
    match outcome {
        "allowed" | "exempt" => "allowed",
        "error" => "errors",
        _ => "refused",
    }
}

/// The class of what was found for a descriptor. `None` if it is counted as a request.
fn class_of_descriptor(result: &str) -> Option<&'static str> {
    match result {
        "over_limit" => Some("refused"),
        "error" => Some("errors"),
        "as_request" => None,
        _ => Some("allowed"),
    }
}

impl History {
    /// A history that begins with what was counted until now.
    pub(super) fn new(samples: &Samples<'_>) -> Self {
        let mut history = Self::default();
        history.add(samples);
        // What was counted before is no step.
        let limits = history.limits.values_mut().flatten();
        history.requests.values_mut().chain(limits).for_each(|track| track.steps.clear());
        history.decisions.steps.clear();
        history.store_calls.steps.clear();
        history.steps = 0;
        history
    }

    /// Ends a step.
    pub(super) fn add(&mut self, samples: &Samples<'_>) {
        self.steps += 1;
        let past = usize::try_from(self.steps - 1).unwrap_or(STEPS).min(STEPS);
        let mut requests = HashMap::from([("allowed", 0), ("refused", 0), ("errors", 0)]);
        for sample in samples.of("tollgate_requests_total") {
            *requests.entry(class_of(sample.label("outcome"))).or_default() += count(sample.value);
        }
        for sample in samples.of("tollgate_descriptors_total") {
            if let Some(class) = class_of_descriptor(sample.label("result")) {
                *requests.entry(class).or_default() += count(sample.value);
            }
        }
        for (class, total) in requests {
            self.requests.entry(class).or_insert_with(|| Track::new(past)).add(total);
        }
        let mut limits: HashMap<&str, [u64; RESULTS.len()]> = HashMap::new();
        for sample in samples.of("tollgate_decisions_total") {
            let totals = limits.entry(sample.label("limit")).or_default();
            let result = RESULTS.iter().position(|result| *result == sample.label("result"));
            if let Some(total) = result.and_then(|result| totals.get_mut(result)) {
                *total += count(sample.value);
            }
        }
        for (name, totals) in limits {
            if !self.limits.contains_key(name) {
                self.limits.insert(name.to_owned(), RESULTS.map(|_| Track::new(past)));
            }
            let tracks = self.limits.get_mut(name).into_iter().flatten();
            tracks.zip(totals).for_each(|(track, total)| track.add(total));
        }
        self.decisions.add(samples.buckets("tollgate_decision_seconds"));
        self.store_calls.add(samples.buckets("tollgate_shared_call_seconds"));
    }

    /// How many steps there were; the page is told the history again if there are more.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// The time of decisions in the last minute; `None` if there were none.
    pub(super) fn decision_times(&self) -> Option<Times> {
        self.decisions.times()
    }

    /// The time of calls to the store in the last minute; `None` if there were none.
    pub(super) fn store_times(&self) -> Option<Times> {
        self.store_calls.times()
    }

    /// What the page is told, of these limits.
    pub(super) fn told<'a>(&'a self, limits: impl Iterator<Item = &'a str>) -> HistoryTold<'a> {
        let limit = |name: &'a str| {
            let [allowed, refused, would_refuse] = self.limits.get(name)?;
            let (allowed, refused) = (&allowed.steps, &refused.steps);
            Some(LimitTold { name, allowed, refused, would_refuse: &would_refuse.steps })
        };
        HistoryTold {
            step_s: STEP.as_secs(),
            most_steps: STEPS,
            requests: self.requests.iter().map(|(class, track)| (*class, &track.steps)).collect(),
            limits: limits.filter_map(limit).collect(),
        }
    }
}

impl Track {
    /// A counter that was zero for so many steps.
    fn new(past: usize) -> Self {
        Self { total: 0, steps: std::iter::repeat_n(0, past).collect() }
    }

    fn add(&mut self, total: u64) {
        if self.steps.len() >= STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(total.saturating_sub(self.total));
        self.total = total;
    }
}

impl Buckets {
    fn add(&mut self, totals: Vec<(f64, f64)>) {
        let before = |at: usize| self.totals.get(at).map_or(0.0, |(_, total)| *total);
        let step = totals.iter().enumerate().map(|(at, (_, total))| total - before(at)).collect();
        if self.steps.len() >= RECENT {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
        self.totals = totals;
    }

    /// The times of the last steps together.
    fn times(&self) -> Option<Times> {
        let mut counts = vec![0.0; self.totals.len()];
        for step in &self.steps {
            counts.iter_mut().zip(step).for_each(|(count, more)| *count += more);
        }
        Some(Times { p50: self.quantile(&counts, 0.5)?, p99: self.quantile(&counts, 0.99)? })
    }

    /// The value that is not exceeded by this share of values, as Prometheus estimates it: evenly
    /// spread in a bucket, and the last finite bound for what is beyond it.
    fn quantile(&self, counts: &[f64], share: f64) -> Option<f64> {
        let rank = share * counts.last().filter(|all| **all > 0.0)?;
        let at = counts.iter().position(|count| *count >= rank)?;
        let below = |of: &dyn Fn(usize) -> f64| at.checked_sub(1).map_or(0.0, of);
        let from = below(&|at| self.totals.get(at).map_or(0.0, |(bound, _)| *bound));
        let fewer = below(&|at| counts.get(at).copied().unwrap_or(0.0));
        let (to, _) = *self.totals.get(at)?;
        let here = counts.get(at)? - fewer;
        if !to.is_finite() || here <= 0.0 {
            return Some(from);
        }
        Some(from + (to - from) * (rank - fewer) / here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(allowed: u64, refused: u64) -> String {
        format!(
            "tollgate_requests_total{{route=\"a\",outcome=\"allowed\"}} {allowed}\n\
             tollgate_requests_total{{route=\"a\",outcome=\"penalty\"}} {refused}\n\
             tollgate_decisions_total{{limit=\"calls\",result=\"refused\"}} {refused}\n"
        )
    }

    fn steps(history: &History) -> (Vec<u64>, Vec<u64>) {
        let told = history.told(["calls"].into_iter());
        let requests = told.requests["allowed"].iter().copied().collect();
        (requests, told.limits[0].refused.iter().copied().collect())
    }

    #[test]
    fn steps_are_what_was_counted_between_two_looks() {
        let mut history = History::new(&Samples::parse(&text(100, 10)));
        assert_eq!(steps(&history), (vec![], vec![]));
        history.add(&Samples::parse(&text(107, 10)));
        history.add(&Samples::parse(&text(107, 13)));
        assert_eq!(steps(&history), (vec![7, 0], vec![0, 3]));
        assert_eq!(history.steps(), 2);
    }

    #[test]
    fn ten_minutes_are_kept() {
        let mut history = History::new(&Samples::parse(&text(0, 0)));
        for step in 1..=u64::try_from(STEPS).expect("a number") + 2 {
            history.add(&Samples::parse(&text(step * step, step)));
        }
        let (allowed, refused) = steps(&history);
        assert_eq!((allowed.len(), refused.len()), (STEPS, STEPS));
        // From 2² to 3²: the first two steps are gone.
        assert_eq!((allowed[0], refused[0]), (5, 1));
    }

    #[test]
    fn descriptors_are_requests_too() {
        let text = |decided: u64, over: u64| {
            format!(
                "tollgate_descriptors_total{{result=\"as_request\"}} {decided}\n\
                 tollgate_descriptors_total{{result=\"over_limit\"}} {over}\n\
                 tollgate_descriptors_total{{result=\"no_rule\"}} 1\n\
                 tollgate_requests_total{{outcome=\"allowed\"}} {decided}\n"
            )
        };
        let mut history = History::new(&Samples::parse(&text(0, 0)));
        history.add(&Samples::parse(&text(3, 4)));
        let told = history.told(std::iter::empty());
        assert_eq!(
            (told.requests["allowed"], told.requests["refused"]),
            (&[3].into(), &[4].into())
        );
    }

    #[test]
    fn a_limit_of_a_new_policy_has_no_past() {
        let mut history = History::new(&Samples::parse(&text(0, 0)));
        history.add(&Samples::parse(&text(1, 1)));
        let with_new = format!(
            "{}tollgate_decisions_total{{limit=\"new\",result=\"allowed\"}} 4\n",
            text(1, 1)
        );
        history.add(&Samples::parse(&with_new));
        let told = history.told(["new", "ended"].into_iter());
        assert_eq!(told.limits.len(), 1);
        assert_eq!(told.limits[0].allowed, &[0, 4]);
    }

    #[test]
    fn times_are_estimated_as_prometheus_does() {
        let text = |counts: [u64; 3]| {
            let [first, second, all] = counts;
            format!(
                "tollgate_decision_seconds_bucket{{le=\"0.1\"}} {first}\n\
                 tollgate_decision_seconds_bucket{{le=\"0.2\"}} {second}\n\
                 tollgate_decision_seconds_bucket{{le=\"+Inf\"}} {all}\n"
            )
        };
        let mut history = History::new(&Samples::parse(&text([5, 5, 5])));
        assert_eq!(history.decision_times(), None);
        history.add(&Samples::parse(&text([5, 105, 105])));
        let times = history.decision_times().expect("a hundred decisions");
        assert!((times.p50 - 0.15).abs() < 1e-9 && (times.p99 - 0.199).abs() < 1e-9, "{times:?}");
        history.add(&Samples::parse(&text([5, 105, 10_105])));
        let times = history.decision_times().expect("decisions");
        // All that is known is that they took longer.
        assert_eq!((times.p50, times.p99), (0.2, 0.2));
    }
}
