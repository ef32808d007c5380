//! Stores that behave as stores over a network do, with their buckets in memory.

#![allow(dead_code, reason = "no test needs all of it")]

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tollgate_http::engine::Key;
use tollgate_http::engine::store::{
    Answer, Buckets, Charge, LimitSpec, Reply, Store, StoreError, Verb,
};

/// Awaits a future on this thread, which sleeps meanwhile.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Gives way to other tasks some times.
struct Yield(usize);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(()) };
        self.0 = left;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// What a test sees and changes of a [`LaterStore`].
#[derive(Default)]
pub(crate) struct Line {
    /// Questions whose futures are alive.
    pub(crate) pending: AtomicUsize,
    /// Questions whose futures were polled to the end.
    pub(crate) answered: AtomicUsize,
    /// Whether the store answers with an error.
    pub(crate) is_broken: AtomicBool,
    /// How many answers the store leaves out.
    pub(crate) left_out: AtomicUsize,
}

/// Answers later: what takes permits or looks is done when the future has been polled some times.
/// Credits and debts are done at once, so also if nobody awaits them.
pub(crate) struct LaterStore<S> {
    pub(crate) inner: S,
    pub(crate) yields: usize,
    pub(crate) line: Arc<Line>,
}

impl<S> LaterStore<S> {
    pub(crate) fn new(inner: S, yields: usize) -> Self {
        Self { inner, yields, line: Arc::default() }
    }
}

impl<S: Store> Store for LaterStore<S> {
    fn open(&self, limits: &[LimitSpec]) -> Result<Arc<dyn Buckets>, StoreError> {
        let (inner, line) = (self.inner.open(limits)?, Arc::clone(&self.line));
        Ok(Arc::new(LaterBuckets { inner, yields: self.yields, line }))
    }
}

struct LaterBuckets {
    inner: Arc<dyn Buckets>,
    yields: usize,
    line: Arc<Line>,
}

/// Counts a question as long as its future is alive.
struct Pending(Arc<Line>);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Buckets for LaterBuckets {
    fn ask(&self, verb: Verb, charges: &mut [Charge]) -> Reply {
        let mut charges = charges.to_vec();
        let inner = Arc::clone(&self.inner);
        let at_once = matches!(verb, Verb::Credit | Verb::Consume);
        if at_once {
            assert!(matches!(inner.ask(verb, &mut charges), Reply::Now));
        }
        self.line.pending.fetch_add(1, Ordering::Relaxed);
        let (yields, line) = (Yield(self.yields), Arc::clone(&self.line));
        let pending = Pending(Arc::clone(&line));
        Reply::Later(Box::pin(async move {
            yields.await;
            drop(pending);
            line.answered.fetch_add(1, Ordering::Relaxed);
            if line.is_broken.load(Ordering::Relaxed) {
                return Err(StoreError::Unavailable("the line is broken".to_owned()));
            }
            if !at_once {
                assert!(matches!(inner.ask(verb, &mut charges), Reply::Now));
            }
            let left = charges.len().saturating_sub(line.left_out.load(Ordering::Relaxed));
            Ok(charges.iter().take(left).map(|charge| charge.answer).collect::<Vec<Answer>>())
        }))
    }

    fn keys(&self, limit: usize) -> usize {
        self.inner.keys(limit)
    }

    fn most_limited(&self, limit: usize, n: usize) -> Vec<(Key, u64)> {
        self.inner.most_limited(limit, n)
    }
}

/// Copies charges there and answers back, as a store does that sends them somewhere.
pub(crate) struct CopyingStore<S>(pub(crate) S);

struct CopyingBuckets(Arc<dyn Buckets>);

impl<S: Store> Store for CopyingStore<S> {
    fn open(&self, limits: &[LimitSpec]) -> Result<Arc<dyn Buckets>, StoreError> {
        let copied: Vec<LimitSpec> = limits
            .iter()
            .map(|spec| {
                let mut copy = LimitSpec::new(spec.identity.clone(), spec.quotas.clone());
                (copy.max_keys, copy.when_full) = (spec.max_keys, spec.when_full);
                copy
            })
            .collect();
        Ok(Arc::new(CopyingBuckets(self.0.open(&copied)?)))
    }
}

impl Buckets for CopyingBuckets {
    fn ask(&self, verb: Verb, charges: &mut [Charge]) -> Reply {
        let mut copied: Vec<Charge> = charges
            .iter()
            .map(|charge| {
                let key = charge.key.parts().iter().cloned().collect();
                let mut copy = Charge::new(charge.limit, key, charge.cost);
                (copy.quota, copy.shadow) = (charge.quota, charge.shadow);
                copy
            })
            .collect();
        let reply = self.0.ask(verb, &mut copied);
        for (charge, copied) in charges.iter_mut().zip(copied) {
            let answer = copied.answer;
            charge.answer =
                Answer::new(answer.verdict, answer.remaining, answer.full_after, answer.wait);
        }
        reply
    }

    fn keys(&self, limit: usize) -> usize {
        self.0.keys(limit)
    }

    fn most_limited(&self, limit: usize, n: usize) -> Vec<(Key, u64)> {
        self.0.most_limited(limit, n)
    }
}

/// A store whose threads are inside a tokio runtime whenever they ask it.
#[cfg(feature = "shared")]
pub(crate) struct OnRuntime<S> {
    pub(crate) store: S,
    pub(crate) runtime: tokio::runtime::Handle,
}

#[cfg(feature = "shared")]
struct OnRuntimeBuckets {
    buckets: Arc<dyn Buckets>,
    runtime: tokio::runtime::Handle,
}

#[cfg(feature = "shared")]
impl<S: Store> Store for OnRuntime<S> {
    fn open(&self, limits: &[LimitSpec]) -> Result<Arc<dyn Buckets>, StoreError> {
        let (buckets, runtime) = (self.store.open(limits)?, self.runtime.clone());
        Ok(Arc::new(OnRuntimeBuckets { buckets, runtime }))
    }
}

#[cfg(feature = "shared")]
impl Buckets for OnRuntimeBuckets {
    fn ask(&self, verb: Verb, charges: &mut [Charge]) -> Reply {
        let inside = self.runtime.enter();
        let reply = self.buckets.ask(verb, charges);
        drop(inside);
        let Reply::Later(mut later) = reply else { return reply };
        let runtime = self.runtime.clone();
        Reply::Later(Box::pin(std::future::poll_fn(move |context| {
            let _inside = runtime.enter();
            later.as_mut().poll(context)
        })))
    }

    fn keys(&self, limit: usize) -> usize {
        self.buckets.keys(limit)
    }

    fn most_limited(&self, limit: usize, n: usize) -> Vec<(Key, u64)> {
        self.buckets.most_limited(limit, n)
    }
}
