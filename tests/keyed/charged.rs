//! Whatever is charged together, each limit answers as if it had been asked in one moment.

use proptest::prelude::*;

use crate::charges::{Step, run};

proptest! {
    #![proptest_config(crate::cases(150))]

    #[test]
    fn decisions_over_several_limits_answer_as_the_model(
        first in any::<(u8, u64, u64)>(),
        max_keys: u8,
        steps in prop::collection::vec(any::<Step>(), 1..120),
    ) {
        run(first, max_keys, &steps);
    }
}
