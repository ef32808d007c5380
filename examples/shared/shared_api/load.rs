//! Clients of the API, and what they see.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::AnyError;

/// Clients that send requests to all processes until they are dropped.
pub(crate) struct Load {
    client: reqwest::Client,
    processes: Vec<String>,
    seen: Arc<Mutex<Row>>,
    decided: Mutex<BTreeMap<String, u64>>,
}

/// The answers and decisions since the row before.
#[derive(Default)]
pub(crate) struct Row {
    allowed: u32,
    refused: u32,
    other: u32,
    by: BTreeMap<String, u64>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8}{:>8}{:>8}  ", self.allowed, self.refused, self.other)?;
        let by = self.by.iter().filter(|(_, count)| **count > 0);
        let by: Vec<_> = by.map(|(source, count)| format!("{source}: {count}")).collect();
        f.write_str(&by.join(", "))
    }
}

impl Load {
    /// Waits until all processes answer, and starts a client for each.
    pub(crate) async fn start(ports: &[u16]) -> Result<Self, AnyError> {
        let client = reqwest::Client::new();
        let processes = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        let load = Self { client, processes, seen: Arc::default(), decided: Mutex::default() };
        for process in &load.processes {
            let mut tries = 0;
            while load.client.get(format!("{process}/stats")).send().await.is_err() {
                tries += 1;
                if tries == 500 {
                    return Err(format!("{process} does not answer").into());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            // About 100 requests a second to each process, so twice the quota to all.
            let (client, process, seen) =
                (load.client.clone(), process.clone(), Arc::clone(&load.seen));
            tokio::spawn(async move {
                let mut beat = tokio::time::interval(Duration::from_millis(10));
                loop {
                    beat.tick().await;
                    let status = client.get(&process).send().await.map(|answer| answer.status());
                    let mut seen = locked(&seen);
                    match status.map_or(0, |status| status.as_u16()) {
                        200 => seen.allowed += 1,
                        429 => seen.refused += 1,
                        _ => seen.other += 1,
                    }
                }
            });
        }
        Ok(load)
    }

    /// What was seen since this was last asked.
    pub(crate) async fn row(&self) -> Result<Row, AnyError> {
        let mut total = BTreeMap::new();
        for process in &self.processes {
            let stats = self.client.get(format!("{process}/stats")).send().await?.text().await?;
            for (source, count) in stats.lines().filter_map(|line| line.split_once('=')) {
                *total.entry(source.to_owned()).or_insert(0) += count.parse::<u64>()?;
            }
        }
        let mut row = std::mem::take(&mut *locked(&self.seen));
        let mut before = locked(&self.decided);
        for (source, count) in &total {
            let known = before.get(source).copied().unwrap_or(0);
            row.by.insert(source.clone(), count.saturating_sub(known));
        }
        *before = total;
        Ok(row)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
