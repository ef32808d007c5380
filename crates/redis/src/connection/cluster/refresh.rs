//! What is known of a cluster, read anew.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis::Cmd;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::topology::Topology;
use super::{Cluster, Known, Master};
use crate::builder::ConnectError;
use crate::connection::error;
use crate::connection::link::Link;
use crate::connection::settings::Settings;
use crate::events;

/// The pauses between attempts: from the first one on, twice as long each time, up to the second.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(250)];

/// The slots are not read twice within this time.
const REST: Duration = Duration::from_millis(50);

/// For so long is a server kept that was named in a refusal and has no slots.
const KEEP_OTHERS: Duration = Duration::from_secs(60);

impl Cluster {
    /// Reads the slots for the first time, and connects to the masters.
    pub(in crate::connection) async fn connect(self: &Arc<Self>) -> Result<(), ConnectError> {
        if Handle::try_current().is_err() {
            return Err(ConnectError::NoRuntime);
        }
        let began = Instant::now();
        let topology = self.read().await?;
        let left = self.seeds[0].connect_deadline.saturating_sub(began.elapsed());
        self.adopt(topology, left).await;
        let links = self.links();
        if !links.iter().any(|link| link.is_connected()) {
            let whys = links.iter().filter_map(|link| link.why_not());
            let why = whys.reduce(|why, other| if is_refusal(&other) { other } else { why });
            let silence = || ConnectError::Unreachable("no master answers".into());
            return Err(why.unwrap_or_else(silence));
        }
        self.refresh_unless_complete();
        Ok(())
    }

    /// Reads the slots in the background, unless that is being done, until they have been read and
    /// there is a connection to each master. `false` if there is no runtime for it.
    pub(crate) fn refresh(self: &Arc<Self>) -> bool {
        let Ok(runtime) = Handle::try_current() else { return false };
        if self.is_refreshing.swap(true, Ordering::SeqCst) {
            return true;
        }
        // If the runtime drops the task, another call starts it again.
        let refreshing = Refreshing(Arc::downgrade(self));
        let rested = self.known().read_at.map_or(REST, |at| at.elapsed());
        runtime.spawn(async move {
            sleep(REST.saturating_sub(rested)).await;
            let mut pause = PAUSES[0];
            while let Some(cluster) = refreshing.0.upgrade() {
                match cluster.read().await {
                    Ok(topology) => {
                        cluster.adopt(topology, cluster.seeds[0].connect_deadline).await;
                        if cluster.is_complete() {
                            break;
                        }
                    }
                    Err(why) => cluster.known_mut().why = why.to_string(),
                }
                drop(cluster);
                sleep(pause).await;
                pause = (pause * 2).min(PAUSES[1]);
            }
        });
        true
    }

    fn refresh_unless_complete(self: &Arc<Self>) {
        if !self.is_complete() {
            self.refresh();
        }
    }

    /// Whether there is a connection to each master.
    fn is_complete(&self) -> bool {
        self.links().iter().all(|link| link.is_connected())
    }

    fn links(&self) -> Vec<Arc<Link>> {
        self.known().masters.iter().map(|master| Arc::clone(&master.link)).collect()
    }

    /// Asks one server after the other about the slots, until one answers: first the masters to
    /// which there is a connection, then the servers that were named. The first is another one each
    /// time, so that none that is wrong is always believed.
    async fn read(&self) -> Result<Topology, ConnectError> {
        let mut command = Cmd::new();
        command.arg("CLUSTER").arg("SLOTS");
        let turn = self.next_source.fetch_add(1, Ordering::Relaxed);
        let mut links: Vec<_> = self.links();
        links.retain(|link| link.is_connected());
        for at in 0..links.len() {
            let link = &links[turn.wrapping_add(at) % links.len()];
            let host = link.settings().host();
            if let Some(topology) =
                link.query(&command).await.ok().and_then(|reply| Topology::read(reply, host))
            {
                return Ok(topology);
            }
        }
        let count = self.seeds.len();
        let mut why = ConnectError::Settings("at least one server is needed".into());
        for at in 0..count {
            let seed = &self.seeds[turn.wrapping_add(at) % count];
            // None is given more than its share of the time.
            let share = seed.connect_deadline / u32::try_from(count + 1).unwrap_or(u32::MAX);
            why = match timeout(share, ask_seed(seed, &command)).await {
                Ok(Ok(topology)) => return Ok(topology),
                Ok(Err(why)) => why,
                Err(_) => ConnectError::Unreachable("it does not answer".into()),
            };
        }
        Err(why)
    }

    /// Connects to new masters, for at most as long as is `left`, and goes over to the topology.
    async fn adopt(&self, topology: Topology, left: Duration) {
        let links: Vec<_> = {
            let mut known = self.known_mut();
            let masters = topology.masters.iter();
            masters.map(|at| known.link_to(at).ok_or(at)).map(|it| self.or_new(it)).collect()
        };
        // Whoever does not answer in time is connected to in the background.
        let _ = timeout(left, join_all(links.iter().map(Link::first_attempt))).await;
        for link in links.iter().filter(|link| !link.is_connected()) {
            link.reconnect();
        }
        let mut known = self.known_mut();
        let before: Vec<_> = known.masters.iter().map(|master| master.number).collect();
        let numbers = topology.numbers(&known.topology, &before);
        if known.topology.masters != topology.masters {
            events::masters(topology.masters.len());
        }
        let masters = numbers.into_iter().zip(links);
        let masters = masters.map(|(number, link)| Master { number, link }).collect();
        known.others.retain(|other| {
            !topology.masters.contains(&other.address) && other.named_at.elapsed() < KEEP_OTHERS
        });
        let (others, why) = (std::mem::take(&mut known.others), std::mem::take(&mut known.why));
        *known = Known { topology, masters, others, read_at: Some(Instant::now()), why };
    }

    fn or_new(&self, known: Result<Arc<Link>, &(String, u16)>) -> Arc<Link> {
        known.unwrap_or_else(|(host, port)| Link::new(self.seeds[0].at(host, *port), None))
    }
}

async fn ask_seed(seed: &Settings, command: &Cmd) -> Result<Topology, ConnectError> {
    let ask = async {
        let mut connection = seed.connect().await?;
        redis::aio::ConnectionLike::req_packed_command(&mut connection, command)
            .await?
            .extract_error()
    };
    let reply = ask.await.map_err(|error| error::of_connect(&error))?;
    Topology::read(reply, seed.host()).ok_or_else(|| {
        ConnectError::Unreachable("the server knows no master with slots (yet)".into())
    })
}

fn is_refusal(error: &ConnectError) -> bool {
    matches!(error, ConnectError::Refused(_))
}

/// A task that reads the slots, which ends when this is dropped.
struct Refreshing(Weak<Cluster>);

impl Drop for Refreshing {
    fn drop(&mut self) {
        if let Some(cluster) = self.0.upgrade() {
            cluster.is_refreshing.store(false, Ordering::SeqCst);
        }
    }
}
