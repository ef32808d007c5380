//! A store in memory whose answers a test delays, drops or spoils.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tollgate::TokioClock;
use tollgate::shared::store::{
    Answer, Answers, Ask, Buckets, Memory, Namespace, OpenError, Outcome, Store, StoreError,
};

/// What happens to a call.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// It is executed, and answered after this time.
    Answers(Duration),
    /// It waits like one to a process that is stopped, until the manner changes. An ask whose
    /// lifetime has passed by then is not executed.
    Stopped,
    /// It is executed, and the answer is lost.
    Swallows,
    /// It fails at once.
    Fails(StoreError),
    /// It fails after this time.
    FailsAfter(Duration, StoreError),
    /// All asks have expired by the store's clock.
    Expires,
    /// It is executed, and half of the answers are missing.
    Truncates,
    /// It is executed, and the answers lack their levels.
    Strips,
}

/// A store; clones share everything.
#[derive(Clone)]
pub(crate) struct Unruly {
    memory: Memory<TokioClock>,
    manner: watch::Sender<Manner>,
    calls: Arc<Mutex<Vec<usize>>>,
}

impl Unruly {
    /// A store that answers at once.
    pub(crate) fn new() -> Self {
        let manner = watch::Sender::new(Manner::Answers(Duration::ZERO));
        let memory = Memory::builder().clock(TokioClock::new()).build();
        Self { memory, manner, calls: Arc::default() }
    }

    /// A store that answers after `delay`.
    pub(crate) fn slow(delay: Duration) -> Self {
        let store = Self::new();
        store.set(Manner::Answers(delay));
        store
    }

    pub(crate) fn set(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    /// The number of asks of each call since this was last asked, without those of probes.
    pub(crate) fn calls(&self) -> Vec<usize> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

impl Store for Unruly {
    fn open(&self, namespaces: &[Namespace]) -> Result<Arc<dyn Buckets>, OpenError> {
        let buckets = self.memory.open(namespaces)?;
        Ok(Arc::new(UnrulyBuckets { buckets, store: self.clone() }))
    }
}

struct UnrulyBuckets {
    buckets: Arc<dyn Buckets>,
    store: Unruly,
}

impl Buckets for UnrulyBuckets {
    fn ask(&self, asks: Vec<Ask>) -> Answers {
        if asks.iter().all(|ask| &*ask.parts[0].subject != "tollgate/probe") {
            self.store.calls.lock().unwrap().push(asks.len());
        }
        let (buckets, mut manner) = (Arc::clone(&self.buckets), self.store.manner.subscribe());
        Box::pin(async move {
            let sent = Instant::now();
            loop {
                let present = manner.borrow_and_update().clone();
                match present {
                    Manner::Answers(delay) => {
                        let answers = execute(&*buckets, asks, sent).await;
                        if !delay.is_zero() {
                            tokio::time::sleep(delay).await;
                        }
                        return answers;
                    }
                    Manner::Stopped => manner.changed().await.unwrap(),
                    Manner::Swallows => {
                        execute(&*buckets, asks, sent).await;
                        std::future::pending::<()>().await;
                        unreachable!()
                    }
                    Manner::Fails(error) => return vec![Err(error); asks.len()],
                    Manner::FailsAfter(delay, error) => {
                        tokio::time::sleep(delay).await;
                        return vec![Err(error); asks.len()];
                    }
                    Manner::Expires => {
                        return vec![Ok(Answer::new(Outcome::Expired, 0, [])); asks.len()];
                    }
                    Manner::Strips => {
                        let mut answers = execute(&*buckets, asks, sent).await;
                        answers.iter_mut().flatten().for_each(|answer| answer.levels.clear());
                        return answers;
                    }
                    Manner::Truncates => {
                        let mut answers = execute(&*buckets, asks, sent).await;
                        answers.truncate(answers.len() / 2);
                        return answers;
                    }
                }
            }
        })
    }
}

/// Executes those asks that somebody still waits for.
async fn execute(
    buckets: &dyn Buckets,
    asks: Vec<Ask>,
    sent: Instant,
) -> Vec<Result<Answer, StoreError>> {
    let age = sent.elapsed();
    let mut answers = Vec::new();
    for ask in asks {
        if age > ask.lifetime {
            answers.push(Ok(Answer::new(Outcome::Expired, 0, [])));
        } else {
            answers.extend(buckets.ask(vec![ask]).await);
        }
    }
    answers
}
