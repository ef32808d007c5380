//! Whatever the script: answers, queue and counters are the model's, to the nanosecond.

use proptest::prelude::*;

use crate::script::{ATOMIC, BUCKET, COMPOSITE, Setup, Step, run};
use crate::sizes::usual_quota_of;

fn step() -> impl Strategy<Value = Step> {
    (any::<u8>(), any::<u64>(), any::<u64>())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..100)
}

fn max_waiters() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(usize::MAX), 1 => 0_usize..4]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_bucket_answers_as_the_model(first in step(), n in max_waiters(), steps in steps()) {
        run(&BUCKET, first, n, &steps);
    }

    #[test]
    fn a_bucket_of_everyday_size_does(first in step(), n in max_waiters(), steps in steps()) {
        run(&Setup { quotas: usual_quota_of, ..BUCKET }, first, n, &steps);
    }

    #[test]
    fn a_composite_of_one_does(first in step(), n in max_waiters(), steps in steps()) {
        run(&Setup { quotas: usual_quota_of, ..COMPOSITE }, first, n, &steps);
    }

    #[test]
    fn an_atomic_bucket_does(first in step(), n in max_waiters(), steps in steps()) {
        run(&ATOMIC, first, n, &steps);
    }
}
