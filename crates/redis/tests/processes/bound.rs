//! The bound that a quota promises, checked in every window of a log.

use tollgate::Quota;

use super::log::Grant;

/// A time span in which the store lost its data, after which each subject has one burst more.
pub type Loss = (u64, u64);

/// The store's clock counts whole microseconds, so it can show a span one microsecond too long.
const TICK: i128 = 1_000;

/// By how many permits the worst window exceeds `burst + rate * length`; nothing, or less, if none
/// does.
///
/// Only what is certain counts: the permits of a window are those of which the whole of
/// `[sent, received]` lies in it. For each loss that can lie in a window, one burst more is
/// allowed.
pub fn worst_excess(grants: &[Grant], quota: Quota, losses: &[Loss]) -> f64 {
    let (permits, period) = (i128::from(quota.permits()), quota.period().as_nanos() as i128);
    let burst = i128::from(quota.burst_size()) * period;
    // All in permits times the period, so that nothing is rounded.
    let until = |end: u64| {
        let begun = losses.iter().filter(|loss| loss.0 <= end).count() as i128;
        permits * (i128::from(end) + TICK) + burst * begun
    };
    let since = |start: u64| {
        let over = losses.iter().filter(|loss| loss.1 < start).count() as i128;
        permits * i128::from(start) + burst * over
    };
    let mut by_end: Vec<_> = grants.iter().map(|grant| grant.received).collect();
    by_end.sort_unstable();
    let mut places = by_end.clone();
    let mut windows = Windows::new(by_end.iter().map(|end| -until(*end)).collect());
    let mut latest_first: Vec<_> = grants.iter().collect();
    latest_first.sort_unstable_by_key(|grant| std::cmp::Reverse(grant.sent));
    let mut worst = i128::MIN;
    for grant in latest_first {
        // Each of those that were received at the same time has a place of its own.
        let mut place = by_end.partition_point(|end| *end < grant.received);
        while places[place] == u64::MAX {
            place += 1;
        }
        places[place] = u64::MAX;
        windows.add(place, period);
        // The best end of a window that starts when this one was sent.
        worst = worst.max(windows.best() + since(grant.sent) - burst);
    }
    worst as f64 / period as f64
}

/// Values of places, of which each can be added to all places from one on. Places without an
/// addition of their own do not count.
struct Windows {
    leaves: usize,
    /// The sum of the differences below a node, and the largest sum up to a place that counts.
    nodes: Vec<(i128, Option<i128>)>,
}

impl Windows {
    fn new(values: Vec<i128>) -> Self {
        let leaves = values.len().next_power_of_two();
        let mut nodes = vec![(0, None); 2 * leaves];
        let mut before = 0;
        for (place, value) in values.into_iter().enumerate() {
            nodes[leaves + place].0 = value - before;
            before = value;
        }
        let mut this = Self { leaves, nodes };
        (1..leaves).rev().for_each(|node| this.update(node));
        this
    }

    fn add(&mut self, place: usize, amount: i128) {
        let mut node = self.leaves + place;
        self.nodes[node].0 += amount;
        self.nodes[node].1 = Some(self.nodes[node].0);
        while node > 1 {
            node /= 2;
            self.update(node);
        }
    }

    fn update(&mut self, node: usize) {
        let (left, right) = (self.nodes[2 * node], self.nodes[2 * node + 1]);
        let right_best = right.1.map(|best| left.0 + best);
        self.nodes[node] = (left.0 + right.0, left.1.max(right_best));
    }

    fn best(&self) -> i128 {
        self.nodes[1].1.expect("something was added")
    }
}

#[test]
fn the_worst_window_is_the_one_of_a_plain_search() {
    let mut random = super::support::random::Random::new("the_worst_window");
    let quota = Quota::per(3, std::time::Duration::from_micros(7)).burst(4);
    for _ in 0..300 {
        let grants: Vec<_> = (0..=random.below(40))
            .map(|_| {
                let sent = random.below(60_000);
                Grant { limiter: 0, key: 0, sent, received: sent + random.below(9_000) }
            })
            .collect();
        let losses: Vec<Loss> = (0..random.below(3))
            .map(|_| (random.below(40_000), 40_000 + random.below(20_000)))
            .collect();
        let mut worst = f64::MIN;
        for start in grants.iter().map(|grant| grant.sent) {
            for end in grants.iter().map(|grant| grant.received).filter(|end| *end >= start) {
                let is_within = |grant: &&Grant| grant.sent >= start && grant.received <= end;
                let count = grants.iter().filter(is_within).count();
                let lost = losses.iter().filter(|loss| loss.0 <= end && loss.1 >= start).count();
                if count > 0 {
                    let refilled = 3.0 * (end - start + 1_000) as f64 / 7_000.0;
                    let allowed = refilled + 4.0 * (1 + lost) as f64;
                    worst = worst.max(count as f64 - allowed);
                }
            }
        }
        let found = worst_excess(&grants, quota, &losses);
        assert!((found - worst).abs() < 1e-6, "{found} and {worst}: {grants:?}");
    }
}
