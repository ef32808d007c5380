//! What is measured: an operation with a known answer.

use std::hint::black_box;
use std::sync::Arc;

/// One operation under measurement, repeated in a loop that the compiler sees as a whole.
pub(crate) trait Work: Send + Sync {
    /// Does the operation `times` times.
    fn run(&self, times: u64);

    /// Does it once more, and says whether the answer is the one under measurement.
    fn holds(&self) -> bool;
}

/// Something to measure, with a name.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) work: Arc<dyn Work>,
}

impl Contestant {
    /// `op` must answer `expected` at all times.
    pub(crate) fn new<F>(name: &'static str, expected: bool, op: F) -> Self
    where
        F: Fn() -> bool + Send + Sync + 'static,
    {
        Self { name, work: Arc::new(Answering { op, expected }) }
    }
}

struct Answering<F> {
    op: F,
    expected: bool,
}

impl<F: Fn() -> bool + Send + Sync> Work for Answering<F> {
    fn run(&self, times: u64) {
        for _ in 0..times {
            black_box((self.op)());
        }
    }

    fn holds(&self) -> bool {
        (self.op)() == self.expected
    }
}
