//! Which asks go out together, as plain state without I/O.
//!
//! An ask that finds no call under way goes out at once, in a call of its own. While calls are
//! under way, further asks queue. When a call ends, or the queue holds a whole batch, the queue
//! goes out in one call. So nobody waits for others when the store is idle, and a busy store sees
//! few, large calls.
//!
//! The first call of an idle store is driven by whoever waits for its answer, since a task would
//! cost more. Its end can come late, if its future is polled late. So nobody else depends on it: an
//! ask does not queue behind such a call alone.

use std::collections::VecDeque;

/// The most calls that are under way at the same time.
const MAX_CALLS: usize = 4;

/// The asks that queue, and who waits for those that have gone out. `A` is an ask, and `W` is
/// whoever waits for its answer.
#[derive(Debug)]
pub(super) struct Batching<A, W> {
    queue: VecDeque<(A, W)>,
    calls: Vec<UnderWay<W>>,
    next: u64,
    batch_size: usize,
}

/// A call that has gone out and not ended.
#[derive(Debug)]
struct UnderWay<W> {
    call: u64,
    is_driven: bool,
    /// Who waits for its answers.
    waiters: Vec<W>,
}

/// A call that shall go out now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Departure<A> {
    pub(super) call: u64,
    /// Whether whoever waits for the only answer may drive the call. Otherwise it needs a task.
    pub(super) is_driven: bool,
    pub(super) asks: Vec<A>,
}

impl<A, W> Batching<A, W> {
    pub(super) fn new(batch_size: usize) -> Self {
        let batch_size = batch_size.max(1);
        Self { queue: VecDeque::new(), calls: Vec::new(), next: 0, batch_size }
    }

    /// Takes an ask in.
    pub(super) fn join(&mut self, ask: A, waiter: W) -> Option<Departure<A>> {
        self.queue.push_back((ask, waiter));
        let at_once = self.calls.iter().all(|call| call.is_driven);
        let whole_batch = self.queue.len() >= self.batch_size && self.calls.len() < MAX_CALLS;
        if at_once || whole_batch { self.depart(self.calls.is_empty()) } else { None }
    }

    /// A call of one ask, whose answer nobody waits for, beside all others.
    pub(super) fn beside(&mut self, ask: A) -> Departure<A> {
        Departure { call: self.number(), is_driven: false, asks: vec![ask] }
    }

    /// Ends a call. Returns who waits for its answers, in the order of its asks, unless they were
    /// [given up](Self::give_up).
    pub(super) fn end(&mut self, call: u64) -> (Option<Vec<W>>, Option<Departure<A>>) {
        let place = self.calls.iter().position(|it| it.call == call);
        let waiters = place.map(|place| self.calls.swap_remove(place).waiters);
        let has_room = self.calls.len() < MAX_CALLS;
        (waiters, if has_room { self.depart(false) } else { None })
    }

    /// Whether a call has neither ended nor been given up.
    pub(super) fn is_under_way(&self, call: u64) -> bool {
        self.calls.iter().any(|it| it.call == call)
    }

    /// Drops the asks that queue, and gives up the calls that are under way. Returns who waits.
    pub(super) fn give_up(&mut self) -> Vec<W> {
        let queued = self.queue.drain(..).map(|(_, waiter)| waiter);
        queued.chain(self.calls.drain(..).flat_map(|call| call.waiters)).collect()
    }

    fn depart(&mut self, is_driven: bool) -> Option<Departure<A>> {
        if self.queue.is_empty() {
            return None;
        }
        let call = self.number();
        let count = self.queue.len().min(self.batch_size);
        let (asks, waiters) = self.queue.drain(..count).unzip();
        self.calls.push(UnderWay { call, is_driven, waiters });
        Some(Departure { call, is_driven, asks })
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        number
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Join,
        End(usize),
        GiveUp,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => Just(Step::Join),
            3 => any::<usize>().prop_map(Step::End),
            1 => Just(Step::GiveUp),
        ]
    }

    proptest! {
        /// Whatever happens, each ask goes out once at most and in order, nobody is left behind when
        /// all calls have ended, and each waiter is told once.
        #[test]
        fn nobody_is_lost_or_told_twice(
            steps in prop::collection::vec(step(), 0..200),
            batch_size in 0_usize..6,
        ) {
            let mut batching = Batching::new(batch_size);
            let (mut joined, mut sent, mut told) = (0, Vec::new(), Vec::new());
            // Calls of which the end is still to come, with what they carry.
            let mut under_way: Vec<Departure<u32>> = Vec::new();
            for step in steps {
                match step {
                    Step::Join => {
                        under_way.extend(batching.join(joined, joined));
                        joined += 1;
                    }
                    Step::End(which) if !under_way.is_empty() => {
                        let ended = under_way.swap_remove(which % under_way.len());
                        let (waiters, next) = batching.end(ended.call);
                        if let Some(waiters) = waiters {
                            prop_assert_eq!(&waiters, &ended.asks);
                            told.extend(waiters);
                        }
                        sent.extend(ended.asks);
                        under_way.extend(next);
                    }
                    Step::End(_) => {}
                    Step::GiveUp => told.extend(batching.give_up()),
                }
                prop_assert!(batching.calls.len() <= MAX_CALLS);
                for call in &under_way {
                    prop_assert!(!call.asks.is_empty() && call.asks.len() <= batch_size.max(1));
                    prop_assert!(call.asks.is_sorted());
                    prop_assert!(call.asks.len() == 1 || !call.is_driven);
                }
                // Whoever queues waits for a call that has a task.
                let has_task = batching.calls.iter().any(|call| !call.is_driven);
                prop_assert!(batching.queue.is_empty() || has_task);
            }
            while let Some(ended) = under_way.pop() {
                let (waiters, next) = batching.end(ended.call);
                told.extend(waiters.into_iter().flatten());
                sent.extend(ended.asks);
                under_way.extend(next);
            }
            told.sort_unstable();
            prop_assert_eq!(told, (0..joined).collect::<Vec<_>>());
            sent.sort_unstable();
            let count = sent.len();
            sent.dedup();
            prop_assert_eq!(sent.len(), count);
        }
    }
}
