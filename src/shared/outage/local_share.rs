//! The share of a quota that belongs to one process.

use std::time::Duration;

use crate::Quota;
use crate::shared::store::{LimitSpec, Namespace, Rule};

/// The same namespaces with `mine` of `of` parts of each quota.
pub(super) fn divided(namespaces: &[Namespace], mine: u32, of: u32) -> Vec<Namespace> {
    let divided_limit = |limit: &LimitSpec| {
        let quotas = limit.quotas.iter().map(|quota| share(*quota, limit.rule, mine, of)).collect();
        LimitSpec { name: limit.name.clone(), rule: limit.rule, quotas }
    };
    let divided_namespace = |namespace: &Namespace| {
        let limits = namespace.limits.iter().map(divided_limit).collect();
        Namespace::new(namespace.name.clone(), limits)
    };
    namespaces.iter().map(divided_namespace).collect()
}

/// `mine` of `of` parts of a quota.
pub(super) fn share(quota: Quota, rule: Rule, mine: u32, of: u32) -> Quota {
    let (mine, of) = (mine.max(1), of.max(mine).max(1));
    let part = |permits: u64| {
        let part = u128::from(permits) * u128::from(mine) / u128::from(of);
        u64::try_from(part).unwrap_or(u64::MAX).max(1)
    };
    let exact = quota.permits().checked_mul(mine.into()).zip(quota.period().checked_mul(of));
    let fits = |period: &Duration| u64::try_from(period.as_nanos()).is_ok();
    match exact.filter(|(_, period)| fits(period)) {
        // A window keeps its period, since its limit is its burst.
        Some((permits, period)) if rule == Rule::TokenBucket => {
            Quota::per(permits, period).burst(part(quota.burst_size()))
        }
        _ => Quota::per(part(quota.permits()), quota.period()).burst(part(quota.burst_size())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_divided_exactly_and_bursts_rounded_down_to_one_at_least() {
        let shared = |quota| share(quota, Rule::TokenBucket, 1, 8);
        let minute = Duration::from_secs(60);
        assert_eq!(shared(Quota::per_minute(100)), Quota::per(100, minute * 8).burst(12));
        assert_eq!(shared(Quota::per_minute(100).burst(5)), Quota::per(100, minute * 8).burst(1));
        let window = share(Quota::per_minute(100), Rule::StrictWindow, 3, 8);
        assert_eq!(window, Quota::per_minute(37));
    }

    #[test]
    fn what_can_t_be_divided_exactly_is_rounded_down() {
        let huge = Quota::per(u64::MAX, Duration::from_nanos(u64::MAX));
        assert_eq!(share(huge, Rule::TokenBucket, 2, 8).permits(), u64::MAX / 4);
        assert_eq!(share(huge, Rule::TokenBucket, 2, 8).validate(), Ok(()));
    }
}
