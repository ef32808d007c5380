//! Logs are read by a thread of their own, so that lines are read while requests are decided.

use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use super::batch::Batch;
use super::{LogError, Logs};
use crate::replay::log::Request;

/// How many requests are handed over at once.
const BATCH: usize = 4_096;

/// A batch with more bytes than that is handed over before it is full.
const BATCH_BYTES: usize = 1024 * 1024;

/// How many batches are read ahead.
const AHEAD: usize = 4;

impl Logs {
    /// Reads all requests in the order of their times, and calls `take` with each, while the next
    /// ones are read.
    ///
    /// # Errors
    ///
    /// If a log can't be read any further.
    pub fn for_each(&mut self, mut take: impl FnMut(&Request<'_>)) -> Result<(), LogError> {
        let (full, batches) = sync_channel(AHEAD);
        // Batches come back, so that their memory is used again.
        let (used, empty) = channel::<Batch>();
        thread::scope(|scope| {
            let read = move || {
                let mut batch = Batch::default();
                while self.fill(&mut batch)? && full.send(batch).is_ok() {
                    batch = empty.try_recv().unwrap_or_default();
                    batch.clear();
                }
                Ok(())
            };
            let reader = thread::Builder::new().name("logs".into()).spawn_scoped(scope, read);
            let reader = reader.map_err(LogError::Thread)?;
            for batch in batches {
                (0..).map_while(|at| batch.get(at)).for_each(|request| take(&request));
                // The reader may have ended.
                let _ = used.send(batch);
            }
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Fills a batch; returns whether it holds anything.
    fn fill(&mut self, batch: &mut Batch) -> Result<bool, LogError> {
        while batch.len() < BATCH && batch.bytes() < BATCH_BYTES {
            let Some(request) = self.next()? else { break };
            batch.push(&request);
        }
        Ok(batch.len() > 0)
    }
}
