//! Quotas and levels as the whole numbers with which the script calculates.

mod level;
#[cfg(test)]
mod tests;

pub(crate) use level::{Asked, Raw};

use tollgate::shared::store::{Receipt, Rule};
use tollgate::{Quota, QuotaError};

/// The largest amount that is kept: six bytes.
const MOST: u64 = (1 << 48) - 1;

/// The bound of what a quota may contain: half of that, so that a sum with a patience, which has
/// the same bound, is below it.
const BOUND: u128 = 1 << 47;

/// The parts of a µs that a receipt tells apart.
const PARTS: u64 = 1 << 12;

/// A quota under a rule, as the script sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) rule: u8,
    /// The token bucket's units in a µs; the windows' limit.
    x: u64,
    /// The token bucket's capacity in µs; the windows' period in µs.
    y: u64,
    /// The rest of that capacity, in units.
    z: u64,
    /// A short hash of the rate and the burst.
    tag: u32,
    /// The token bucket's units for a permit.
    cost: u64,
    burst: u64,
}

/// Why a quota has no exact numbers.
pub(crate) enum Unfit {
    Quota(QuotaError),
    Inexact(String),
}

impl Numbers {
    /// The numbers of a quota.
    pub(crate) fn new(rule: Rule, quota: Quota) -> Result<Self, Unfit> {
        quota.validate().map_err(Unfit::Quota)?;
        match rule {
            Rule::TokenBucket => Self::token_bucket(quota),
            Rule::FixedWindow => Self::window(1, quota),
            Rule::SlidingWindow => Self::window(2, quota),
            Rule::StrictWindow => Self::window(3, quota),
            _ => Err(Unfit::Inexact("this version does not know the rule".into())),
        }
    }

    /// `1000 * permits / period` is `speed / cost` in lowest terms: units a µs, units a permit.
    fn token_bucket(quota: Quota) -> Result<Self, Unfit> {
        let (permits, period) = (1000 * u128::from(quota.permits()), quota.period().as_nanos());
        let divisor = gcd(permits, period);
        let (speed, cost) = (permits / divisor, period / divisor);
        let capacity = u128::from(quota.burst_size()) * cost;
        if speed >= BOUND {
            return Err(inexact("the rate must be below 2^47 permits per period in lowest terms"));
        }
        if capacity / speed >= BOUND {
            return Err(inexact(
                "an empty bucket must be full again within 2^47 µs (4.4 years): use a smaller burst",
            ));
        }
        let (x, y, z) = (narrow(speed), narrow(capacity / speed), narrow(capacity % speed));
        let (cost, burst) = (narrow(cost), quota.burst_size());
        Ok(Self { rule: 0, x, y, z, tag: tag([x, cost, burst]), cost, burst })
    }

    fn window(rule: u8, quota: Quota) -> Result<Self, Unfit> {
        if quota.burst_size() != quota.permits() {
            return Err(Unfit::Quota(QuotaError::BurstUnsupported));
        }
        let period = quota.period().as_nanos();
        if !period.is_multiple_of(1000) {
            return Err(inexact("the period of a window must be whole µs"));
        }
        if period / 1000 >= BOUND {
            return Err(inexact("the period of a window must be below 2^47 µs (4.4 years)"));
        }
        let limit = quota.permits();
        if u128::from(limit) >= BOUND {
            return Err(inexact("the limit of a window must be below 2^47"));
        }
        let y = narrow(period / 1000);
        Ok(Self { rule, x: limit, y, z: 0, tag: tag([limit, y, 0]), cost: 0, burst: limit })
    }

    /// The quota as the script reads it.
    pub(crate) fn pack(&self, into: &mut Vec<u8>) {
        into.push(self.rule);
        for number in [self.x, self.y, self.z] {
            push(into, number);
        }
        into.extend_from_slice(&self.tag.to_le_bytes()[..3]);
    }

    /// The largest request that can ever pass.
    pub(crate) fn burst(&self) -> u64 {
        self.burst
    }

    /// Whether the rule is the token bucket.
    pub(crate) fn is_bucket(&self) -> bool {
        self.rule == 0
    }

    /// The cost of so many permits, as the script reads it.
    pub(crate) fn pack_cost(&self, permits: u128, into: &mut Vec<u8>) {
        let (whole, rest) = self.cost_of(permits);
        let fits = whole <= MOST.into();
        push(into, if fits { narrow(whole) } else { MOST });
        push(into, if fits { narrow(rest) } else { 0 });
    }

    /// Whether the cost of so many permits is more than can be kept.
    pub(crate) fn is_too_much(&self, permits: u128) -> bool {
        self.cost_of(permits).0 > MOST.into()
    }

    fn cost_of(&self, permits: u128) -> (u128, u128) {
        if !self.is_bucket() {
            return (permits, 0);
        }
        let (units, speed) = (permits.saturating_mul(self.cost.into()), u128::from(self.x));
        (units / speed, units % speed)
    }

    /// A receipt as the script reads it: a time in µs and units.
    pub(crate) fn pack_receipt(&self, receipt: Receipt, into: &mut Vec<u8>) {
        let (whole, parts) = (receipt.at() / PARTS, u128::from(receipt.at() % PARTS));
        let speed = u128::from(self.x);
        let units = if speed <= PARTS.into() { parts } else { parts * speed / u128::from(PARTS) };
        push(into, whole);
        push(into, if self.is_bucket() { narrow(units.min(speed - 1)) } else { 0 });
    }

    /// The receipt of a charge of `permits` after which the level was `raw` at `now`: for a token
    /// bucket, when it would be full if nothing had ever been given back. What does not fit is
    /// rounded down, so that less is given back.
    fn receipt(&self, raw: Raw, now: u64, permits: u64) -> Receipt {
        let (whole, units) = match raw {
            // A reply that is damaged can have any numbers.
            [a, b, c] if self.is_bucket() => (now.saturating_add(a).saturating_add(c), b),
            _ => (now, 0),
        };
        let (units, speed) = (u128::from(units), u128::from(self.x));
        let all = u128::from(PARTS);
        let parts = if speed <= all { units } else { units * all / speed };
        let at = u64::try_from(u128::from(whole) * all + parts).unwrap_or(0);
        Receipt::new(at, permits)
    }
}

/// A number as the script reads it. Whole numbers below 2^53 are exact.
pub(crate) fn push(into: &mut Vec<u8>, number: u64) {
    #[allow(clippy::cast_precision_loss, reason = "callers keep to numbers below 2^53")]
    into.extend_from_slice(&(number as f64).to_le_bytes());
}

fn inexact(why: &str) -> Unfit {
    Unfit::Inexact(why.into())
}

fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// 24 bits of FNV-1a. Quotas with equal tags are told apart by their capacities, too.
fn tag(numbers: [u64; 3]) -> u32 {
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
    let hash = bytes
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash >> 24) ^ (hash & 0x00ff_ffff)
}
