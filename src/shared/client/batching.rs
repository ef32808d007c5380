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
use std::sync::Arc;

/// The most calls that are under way at the same time.
const MAX_CALLS: usize = 4;

/// The asks that queue, and those that have gone out. `A` is an ask, which whoever waits for it
/// shares.
#[derive(Debug)]
pub(super) struct Batching<A> {
    queue: VecDeque<A>,
    calls: Vec<UnderWay<A>>,
    next: u64,
    batch_size: usize,
    /// Whether an ask shall still go out.
    is_wanted: fn(&A) -> bool,
}

/// A call that has gone out and not ended.
#[derive(Debug)]
struct UnderWay<A> {
    call: u64,
    is_driven: bool,
    /// None, once the answers are there.
    asks: Arc<Vec<A>>,
}

/// A call that shall go out now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Departure<A> {
    pub(super) call: u64,
    /// Whether whoever waits for the only answer may drive the call. Otherwise it needs a task.
    pub(super) is_driven: bool,
    pub(super) asks: Arc<Vec<A>>,
}

impl<A> Batching<A> {
    pub(super) fn new(batch_size: usize, is_wanted: fn(&A) -> bool) -> Self {
        let batch_size = batch_size.max(1);
        Self { queue: VecDeque::new(), calls: Vec::new(), next: 0, batch_size, is_wanted }
    }

    /// Takes an ask in.
    pub(super) fn join(&mut self, ask: A) -> Option<Departure<A>> {
        self.queue.push_back(ask);
        if self.is_due() { self.depart(self.calls.is_empty()) } else { None }
    }

    /// A call of one ask, whose answer nobody waits for, beside all others.
    pub(super) fn beside(&mut self, ask: A) -> Departure<A> {
        Departure { call: self.number(), is_driven: false, asks: Arc::new(vec![ask]) }
    }

    /// Ends a call. Returns the call that goes out next.
    pub(super) fn end(&mut self, call: u64) -> Option<Departure<A>> {
        self.calls.retain(|it| it.call != call);
        if self.is_due() { self.depart(false) } else { None }
    }

    /// Notes that a call has got a task, so that its end does not depend on whoever waits.
    pub(super) fn has_task(&mut self, call: u64) {
        self.calls.iter_mut().filter(|it| it.call == call).for_each(|it| it.is_driven = false);
    }

    /// Notes that the answers of a call are there. Returns whether it had not been given up.
    pub(super) fn is_answered(&mut self, call: u64) -> bool {
        let call = self.calls.iter_mut().find(|it| it.call == call);
        call.map(|it| it.asks = Arc::default()).is_some()
    }

    /// Drops the asks that queue, and gives up the calls that are under way. Returns all asks.
    pub(super) fn give_up(&mut self) -> Vec<A>
    where
        A: Clone,
    {
        let all = self.all();
        self.queue.clear();
        self.calls.clear();
        all
    }

    /// Gives up the calls that are driven by whoever waits, and whose only ask is `late`. Returns
    /// these asks.
    pub(super) fn take_driven(&mut self, late: impl Fn(&A) -> bool) -> Vec<A>
    where
        A: Clone,
    {
        let is_late = |call: &UnderWay<A>| call.is_driven && call.asks.iter().any(&late);
        let asks = self.calls.iter().filter(|call| is_late(call)).flat_map(|it| it.asks.iter());
        let asks = asks.cloned().collect();
        self.calls.retain(|call| !is_late(call));
        asks
    }

    /// All asks that queue or are under way.
    pub(super) fn all(&self) -> Vec<A>
    where
        A: Clone,
    {
        let sent = self.calls.iter().flat_map(|call| call.asks.iter());
        sent.chain(&self.queue).cloned().collect()
    }

    /// Since when the oldest ask is on its way. Asks are taken in in the order of their age, or
    /// nearly so.
    pub(super) fn oldest<T: Ord>(&self, since: impl Fn(&A) -> T) -> Option<T> {
        let first_sent = self.calls.iter().filter_map(|call| call.asks.first());
        first_sent.chain(self.queue.front()).map(since).min()
    }

    /// Whether the queue shall go out.
    fn is_due(&self) -> bool {
        let at_once = self.calls.iter().all(|call| call.is_driven);
        let whole_batch = self.queue.len() >= self.batch_size && self.calls.len() < MAX_CALLS;
        at_once || whole_batch
    }

    fn depart(&mut self, is_driven: bool) -> Option<Departure<A>> {
        let mut asks = Vec::with_capacity(self.queue.len().min(self.batch_size));
        while asks.len() < self.batch_size {
            let Some(ask) = self.queue.pop_front() else { break };
            if (self.is_wanted)(&ask) {
                asks.push(ask);
            }
        }
        if asks.is_empty() {
            return None;
        }
        let (call, asks) = (self.number(), Arc::new(asks));
        self.calls.push(UnderWay { call, is_driven, asks: Arc::clone(&asks) });
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
        GetTask(usize),
        GiveUp,
        TakeDriven,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => Just(Step::Join),
            6 => any::<usize>().prop_map(Step::End),
            1 => any::<usize>().prop_map(Step::GetTask),
            1 => Just(Step::GiveUp),
            1 => Just(Step::TakeDriven),
        ]
    }

    proptest! {
        /// Whatever happens, each ask goes out once at most and in order, unless it is not wanted or
        /// given up, and nobody is left behind when all calls have ended.
        #[test]
        fn nobody_is_lost_or_sent_twice(
            steps in prop::collection::vec(step(), 0..200),
            batch_size in 0_usize..6,
        ) {
            // Each seventh is not wanted any more when its turn comes.
            let mut batching = Batching::new(batch_size, |ask| ask % 7 > 0);
            let (mut joined, mut sent, mut given_up) = (0_u32, Vec::new(), Vec::new());
            // Calls of which the end is still to come.
            let mut under_way: Vec<Departure<u32>> = Vec::new();
            for step in steps {
                match step {
                    Step::Join => {
                        under_way.extend(batching.join(joined));
                        joined += 1;
                    }
                    Step::End(which) if !under_way.is_empty() => {
                        let ended = under_way.swap_remove(which % under_way.len());
                        let is_given_up = ended.asks.iter().any(|ask| given_up.contains(ask));
                        prop_assert_eq!(batching.is_answered(ended.call), !is_given_up);
                        under_way.extend(batching.end(ended.call));
                        sent.extend_from_slice(&ended.asks);
                    }
                    Step::GetTask(which) if !under_way.is_empty() => {
                        let call = under_way[which % under_way.len()].call;
                        batching.has_task(call);
                        prop_assert!(!batching.calls.iter().any(|it| it.call == call && it.is_driven));
                    }
                    Step::End(_) | Step::GetTask(_) => {}
                    Step::GiveUp => {
                        given_up.extend(batching.give_up());
                        prop_assert_eq!(batching.oldest(|ask| *ask), None);
                    }
                    Step::TakeDriven => given_up.extend(batching.take_driven(|_| true)),
                }
                prop_assert!(batching.calls.len() <= MAX_CALLS);
                for call in &under_way {
                    prop_assert!(!call.asks.is_empty() && call.asks.len() <= batch_size.max(1));
                    prop_assert!(call.asks.is_sorted());
                    prop_assert!(call.asks.len() == 1 || !call.is_driven);
                    prop_assert!(call.asks.iter().all(|ask| ask % 7 > 0));
                }
                // Whoever queues waits for a call that has a task, or for nobody.
                let has_task = batching.calls.iter().any(|call| !call.is_driven);
                let is_any_wanted = batching.queue.iter().any(|ask| ask % 7 > 0);
                prop_assert!(!is_any_wanted || has_task);
                if let (Some(oldest), Some(least)) =
                    (batching.oldest(|ask| *ask), batching.all().into_iter().min())
                {
                    prop_assert_eq!(oldest, least);
                }
            }
            while let Some(ended) = under_way.pop() {
                under_way.extend(batching.end(ended.call));
                sent.extend_from_slice(&ended.asks);
            }
            sent.sort_unstable();
            let count = sent.len();
            sent.dedup();
            prop_assert_eq!(sent.len(), count);
            sent.extend(given_up);
            sent.extend((0..joined).filter(|ask| ask % 7 == 0));
            sent.sort_unstable();
            sent.dedup();
            prop_assert_eq!(sent, (0..joined).collect::<Vec<_>>());
        }
    }
}
