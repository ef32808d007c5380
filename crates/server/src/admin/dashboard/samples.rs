//! The numbers of `/metrics`, read from its text: so the dashboard and Prometheus never differ.

use std::borrow::Cow;
use std::collections::HashMap;

/// All samples of one text in the format of Prometheus.
#[derive(Debug, Default)]
pub(super) struct Samples<'a>(HashMap<&'a str, Vec<Sample<'a>>>);

/// One line: labels and a value.
#[derive(Debug, PartialEq)]
pub(super) struct Sample<'a> {
    labels: Vec<(&'a str, Cow<'a, str>)>,
    pub(super) value: f64,
}

impl<'a> Samples<'a> {
    /// Reads a text. Lines that are not samples are passed over: the text comes from this process.
    pub(super) fn parse(text: &'a str) -> Self {
        let mut samples = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, sample)) = line_of(line) {
                samples.0.entry(name).or_default().push(sample);
            }
        }
        samples
    }

    /// The samples of one name.
    pub(super) fn of(&self, name: &str) -> &[Sample<'a>] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The sum of the samples of one name.
    pub(super) fn sum(&self, name: &str) -> f64 {
        self.of(name).iter().map(|sample| sample.value).sum()
    }

    /// The values of one name, added up by the value of a label.
    pub(super) fn by(&self, name: &str, label: &str) -> HashMap<&str, f64> {
        let mut by = HashMap::new();
        for sample in self.of(name) {
            *by.entry(sample.label(label)).or_default() += sample.value;
        }
        by
    }

    /// The buckets of a histogram: how many values are at most as large as a bound, by bound.
    pub(super) fn buckets(&self, name: &str) -> Vec<(f64, f64)> {
        let bucket = |sample: &Sample<'_>| Some((sample.label("le").parse().ok()?, sample.value));
        let mut buckets: Vec<(f64, f64)> =
            self.of(&format!("{name}_bucket")).iter().filter_map(bucket).collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        buckets
    }
}

impl Sample<'_> {
    /// The value of a label; empty if the sample does not have it.
    pub(super) fn label(&self, name: &str) -> &str {
        let label = self.labels.iter().find(|(key, _)| *key == name);
        label.map_or("", |(_, value)| value.as_ref())
    }
}

/// A counter's value, which is a whole number.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a conversion of floating point numbers stays within the bounds of the type"
)]
pub(super) fn count(value: f64) -> u64 {
    value as u64
}

/// The name and the sample of a line.
fn line_of(line: &str) -> Option<(&str, Sample<'_>)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at_checked(end)?;
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((key, value));
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some((name, Sample { labels, value }))
}

/// The value of a label up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(['"', '\\'])?;
    if text[end..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((Cow::Owned(value), &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    /// What the recorder writes is what is read, whatever is in a label.
    #[test]
    fn the_text_of_the_recorder_is_read_back() {
        let odd = "/a\"b\\c\n{*rest},d=\"e\" é";
        let recorder =
            PrometheusBuilder::new().set_buckets(&[0.001, 0.1]).expect("bounds").build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("requests", "route" => odd, "outcome" => "allowed").increment(3);
            metrics::counter!("requests", "route" => odd, "outcome" => "refused").increment(2);
            metrics::counter!("requests", "route" => "b", "outcome" => "refused").increment(1);
            metrics::gauge!("keys").set(1.5);
            metrics::histogram!("seconds").record(0.01);
            metrics::histogram!("seconds").record(7.0);
        });
        let text = recorder.handle().render();
        let samples = Samples::parse(&text);
        assert_eq!(samples.sum("keys").to_string(), "1.5");
        let by = samples.by("requests", "route");
        assert_eq!((count(by[odd]), count(by["b"])), (5, 1));
        let refused = samples.of("requests").iter().filter(|one| one.label("outcome") == "refused");
        assert_eq!(count(refused.map(|sample| sample.value).sum()), 3);
        let buckets = samples.buckets("seconds");
        assert_eq!(buckets, [(0.001, 0.0), (0.1, 1.0), (f64::INFINITY, 2.0)]);
        assert!(samples.of("nobody").is_empty() && samples.sum("nobody") == 0.0);
    }

    #[test]
    fn what_is_not_a_sample_is_passed_over() {
        let text = "\n# HELP a b\na\na{b=\"c} 1\na{b} 1\na{b=\"c\"} x\na{b=\"\\\na 2\n";
        let samples = Samples::parse(text);
        assert_eq!(samples.of("a"), [Sample { labels: Vec::new(), value: 2.0 }]);
    }
}
