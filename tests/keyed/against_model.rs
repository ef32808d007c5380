//! Whatever the script: each key answers as if it had a bucket to itself, to the nanosecond.

use proptest::prelude::*;
use tollgate::Quota;

use crate::script::{Setup, Step, run};
use crate::sizes::{quota_of, usual_quota_of};

/// So fast that packed states need a new epoch every few seconds, and so large that buckets are in
/// use then.
fn fast_and_large(kind: u8, a: u64, b: u64) -> Quota {
    let (rate, burst) = (999_999_937 - u64::from(kind % 3), 1 + b % 20_000_000_000);
    Quota::per_second(rate - a % 2).burst(burst)
}

const FEW: Setup =
    Setup { quotas: quota_of, keys: 4, shards: 1, max_keys: usize::MAX, evict: false };

fn first() -> impl Strategy<Value = (u8, u64, u64)> {
    any::<(u8, u64, u64)>()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<Step>(), 1..120)
}

proptest! {
    #![proptest_config(crate::cases(60))]

    #[test]
    fn each_key_answers_as_a_bucket_of_its_own(first in first(), steps in steps()) {
        run(FEW, first, &steps);
    }

    #[test]
    fn eviction_is_not_to_be_seen(first in first(), steps in steps()) {
        run(Setup { evict: true, ..FEW }, first, &steps);
    }

    #[test]
    fn eviction_is_not_to_be_seen_at_everyday_sizes(first in first(), steps in steps()) {
        run(Setup { evict: true, quotas: usual_quota_of, ..FEW }, first, &steps);
    }

    #[test]
    fn a_new_epoch_is_not_to_be_seen(first in first(), steps in steps(), evict: bool) {
        run(Setup { quotas: fast_and_large, evict, ..FEW }, first, &steps);
    }

    #[test]
    fn several_shards_answer_as_one(first in first(), steps in steps(), evict: bool) {
        run(Setup { shards: 4, keys: 6, evict, ..FEW }, first, &steps);
    }

    #[test]
    fn a_bound_refuses_new_keys_only_and_only_while_all_are_active(
        first in first(),
        steps in steps(),
        max_keys in 1_usize..6,
    ) {
        run(Setup { keys: 8, max_keys, ..FEW }, first, &steps);
    }
}
