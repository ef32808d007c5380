//! Requests that let others go first.

mod key_pool;
mod limiter;
mod model_pool;

use super::engine::Handle;
use super::limiter::{acquire, wait_until};
use super::{Error, Permit, Tokens};
use crate::wait::Timer;
use crate::{CancelToken, Clock, Timestamp};

/// A view of a [`Limiter`](super::Limiter), a [`KeyPool`](super::KeyPool) or a
/// [`ModelPool`](super::ModelPool) for requests that let others go first, such as those of a batch
/// beside those of people who wait for an answer.
///
/// Low-priority requests stand in a line of their own, first come, first served, and only the first
/// of them stands in the queue of the limiter. So another request waits for at most one of them,
/// however many there are. That one is served in its turn, so low-priority requests are never
/// starved: each time the queue of the limiter moves on by its length, one of them is served.
///
/// Get one from [`Limiter::low_priority`](super::Limiter::low_priority),
/// [`KeyPool::low_priority`](super::KeyPool::low_priority) or
/// [`ModelPool::low_priority`](super::ModelPool::low_priority). It is cheap, and all of one limiter
/// share one line; in a `ModelPool`, each model has a line of its own. The limiter's `max_waiters`
/// applies to that line as well. Threads and tasks that wait stand in the same line.
///
/// ```
/// # use tollgate::llm::Limiter;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = Limiter::builder().tokens_per_minute(200_000).build()?;
/// let of_a_batch = model.low_priority().acquire(1_500).await?;
/// of_a_batch.settle(900);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LowPriority<'a, L> {
    limiter: &'a L,
}

impl<L> Clone for LowPriority<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for LowPriority<'_, L> {}

/// Waits for a permit of `engine` until `deadline`, behind all low-priority requests before.
async fn acquire_behind<'a, C: Clock + Clone>(
    engine: Handle<'a, C>,
    tokens: Tokens,
    deadline: Timestamp,
    timer: &dyn Timer,
) -> Result<Permit<'a, C>, Error> {
    let line = Handle::Borrowed(&**engine.low_priority());
    // Dropped once the request has its permit, or is cancelled: then the next one stands in the
    // queue.
    let _first = acquire(line, Tokens::default(), deadline, timer).await?;
    acquire(engine.clone(), tokens, deadline, timer).await
}

/// As [`acquire_behind`], for a thread that blocks.
fn wait_behind<'a, C: Clock + Clone>(
    engine: &Handle<'a, C>,
    tokens: Tokens,
    deadline: Timestamp,
    cancel: Option<&CancelToken>,
) -> Result<Permit<'a, C>, Error> {
    let line = Handle::Borrowed(&**engine.low_priority());
    let _first = wait_until(line, Tokens::default(), deadline, cancel)?;
    wait_until(engine.clone(), tokens, deadline, cancel)
}
