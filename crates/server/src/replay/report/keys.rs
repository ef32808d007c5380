//! Who was refused most: keys of limits, and callers.

use std::cmp::Reverse;

use serde::Serialize;
use tollgate_http::engine::{Key, Part};

use super::{printable, rfc3339};
use crate::replay::run::Replay;

/// A key of a limit that was refused something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyReport {
    /// The limit.
    pub limit: String,
    /// The key, such as `address 203.0.113.7`, or its keyed hash.
    pub key: String,
    /// How often the key asked.
    pub decided: u64,
    /// How often it was refused; by a limit in the mode `shadow`, how often it would be.
    pub refused: u64,
    /// The smallest burst that refuses this key nothing; `None` if it is not computed.
    pub smallest_burst: Option<u64>,
}

/// A caller that was refused something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CallerReport {
    /// The user, else the address; or the keyed hash.
    pub caller: String,
    /// How many requests were refused.
    pub refused: u64,
    /// How many of these were refused during a penalty.
    pub refused_in_penalty: u64,
    /// How many went on that something in the mode `shadow` would refuse.
    pub would_refuse: u64,
    /// How many penalties began.
    pub penalties_begun: u64,
    /// The time of the first of these requests.
    pub from: String,
    /// The time of the last of these requests.
    pub to: String,
}

/// The keys that were refused most, at most `most`, and how many were refused.
pub(super) fn keys(replay: &Replay, most: usize) -> (Vec<KeyReport>, u64) {
    replay.measure.with(|limits| {
        let refused = limits.iter().flat_map(|limit| {
            // A limit without a key has one bucket for all, which is no offender.
            let keys = limit.keys().filter(|(key, _)| !key.parts().is_empty());
            keys.filter(|(_, used)| used.refused > 0).map(move |key| (limit, key))
        });
        let (worst, number) =
            worst(refused, most, |(_, (_, used))| used.refused, |(_, (key, _))| key.to_string());
        let reports = worst.into_iter().map(|(limit, (key, used))| KeyReport {
            limit: limit.spec.identity.name.to_string(),
            key: shown(replay, key),
            decided: used.decided,
            refused: used.refused,
            smallest_burst: limit.needed_by(used),
        });
        (reports.collect(), number)
    })
}

/// The callers that were refused most, at most `most`, and how many were refused.
pub(super) fn callers(replay: &Replay, most: usize) -> (Vec<CallerReport>, u64) {
    let (worst, number) = worst(
        replay.counts.callers.iter(),
        most,
        |(_, counts)| (counts.refused, counts.would_refuse),
        |(caller, _)| caller.to_string(),
    );
    let reports = worst.into_iter().map(|(caller, counts)| CallerReport {
        caller: shown(replay, &Key::from_iter([Part::clone(caller)])),
        refused: counts.refused,
        refused_in_penalty: counts.in_penalty,
        would_refuse: counts.would_refuse,
        penalties_begun: counts.penalties_begun,
        from: rfc3339(counts.first),
        to: rfc3339(counts.last),
    });
    (reports.collect(), number)
}

/// The `most` largest of `items`, and the number of all. Of equals, those whose names come first.
fn worst<T: Copy, S: Ord>(
    items: impl Iterator<Item = T>,
    most: usize,
    size: impl Fn(&T) -> S,
    name: impl Fn(&T) -> String,
) -> (Vec<T>, u64) {
    let mut items: Vec<T> = items.collect();
    let number = items.len() as u64;
    // Names are made of those only that can be among the first.
    if let Some(last) = most.checked_sub(1).filter(|last| *last < items.len()) {
        let least = size(items.select_nth_unstable_by_key(last, |item| Reverse(size(item))).1);
        items.retain(|item| size(item) >= least);
    }
    items.sort_by_cached_key(|item| (Reverse(size(item)), name(item)));
    items.truncate(most);
    (items, number)
}

/// A key as the report shows it.
fn shown(replay: &Replay, key: &Key) -> String {
    if replay.hashes_keys {
        replay.limiter.hash_of_key(key).to_string()
    } else {
        printable::text(&key.to_string())
    }
}
