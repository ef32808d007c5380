//! The token bucket answers what the model answers, whatever is asked of it.

#[path = "support/model.rs"]
mod model;
#[path = "support/script.rs"]
mod script;

use proptest::prelude::*;
use script::{Step, quota_of, run, usual_quota_of};

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((any::<u8>(), any::<u64>(), any::<u64>()), 1..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn answers_are_the_models(
        (kind, a, b) in (any::<u8>(), any::<u64>(), any::<u64>()),
        max_waiters in prop_oneof![Just(usize::MAX), 0_usize..4],
        steps in steps(80),
    ) {
        run(quota_of(kind, a, b), max_waiters, &steps, quota_of);
    }

    #[test]
    fn answers_are_the_models_at_everyday_quotas(
        (kind, a, b) in (any::<u8>(), any::<u64>(), any::<u64>()),
        steps in steps(120),
    ) {
        run(usual_quota_of(kind, a, b), usize::MAX, &steps, usual_quota_of);
    }
}
