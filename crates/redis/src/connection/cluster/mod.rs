//! A cluster: a [`Link`] to each of its masters, and which of them has which slot.
//!
//! The crate's `ClusterConnection` is not used, because it lets callers wait while it tries again
//! and reads the slots anew: with its defaults, a call to a master that was stopped had no answer
//! in 25 s, although a replica had been promoted after 3 s. Here, the links are those of single
//! servers, each of which notices by itself that its server does not answer. What is known of the
//! slots is read in the background, and refusals that name another server are followed at once.

mod refresh;
mod slots;
mod topology;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tollgate::shared::store::StoreError;

pub(crate) use slots::slot;

use self::topology::Topology;
use super::link::Link;
use super::redirect::Address;
use super::settings::Settings;

/// What is known of the slots is read again after so long, when an ask comes.
const REFRESH_AFTER: Duration = Duration::from_secs(10);

/// The most servers that are kept although they have no slots.
const MOST_OTHERS: usize = 64;

/// The links to a cluster's masters.
pub(crate) struct Cluster {
    /// The servers that were named. There is at least one.
    seeds: Vec<Settings>,
    known: RwLock<Known>,
    is_refreshing: AtomicBool,
    /// Whom to ask next about the slots.
    next_source: AtomicUsize,
}

/// What is known of the cluster.
struct Known {
    topology: Topology,
    /// For each of the topology's masters.
    masters: Vec<Master>,
    /// Servers that were named in a refusal, and are no masters of the topology (yet): those to
    /// which the first slot is on its way.
    others: Vec<Other>,
    /// When the topology was read.
    read_at: Option<Instant>,
    /// Why there is no topology.
    why: String,
}

#[derive(Clone)]
struct Master {
    /// Stays the same when a replica takes over.
    number: usize,
    link: Arc<Link>,
}

struct Other {
    address: Address,
    link: Arc<Link>,
    named_at: Instant,
}

impl Cluster {
    /// Nothing is known yet.
    pub(super) fn new(seeds: Vec<Settings>) -> Arc<Self> {
        let known = Known {
            topology: Topology::empty(),
            masters: Vec::new(),
            others: Vec::new(),
            read_at: None,
            why: "there is no connection yet".into(),
        };
        Arc::new(Self {
            seeds,
            known: RwLock::new(known),
            is_refreshing: AtomicBool::new(false),
            next_source: AtomicUsize::new(0),
        })
    }

    /// How long the answer to one call may take.
    pub(crate) fn deadline(&self) -> Duration {
        self.seeds[0].deadline
    }

    /// The link to the master of a slot.
    pub(crate) fn master_of(self: &Arc<Self>, slot: u16) -> Result<Arc<Link>, StoreError> {
        let known = self.known();
        let is_old = known.read_at.is_none_or(|at| at.elapsed() > REFRESH_AFTER);
        let master = known.master_of(slot).map(|master| Arc::clone(&master.link));
        let why = match known.read_at {
            Some(_) => "no server has the slot of the subject".into(),
            None => known.why.clone(),
        };
        drop(known);
        if is_old || master.is_none() {
            self.refresh();
        }
        master.ok_or(StoreError::Unreachable(why))
    }

    /// The number of the master of a slot.
    pub(crate) fn number_of(&self, slot: u16) -> usize {
        self.known().master_of(slot).map_or(0, |master| master.number)
    }

    /// Notes that another server has a slot, and returns the link to it.
    pub(crate) fn moved(self: &Arc<Self>, slot: u16, to: &Address) -> Arc<Link> {
        let mut known = self.known_mut();
        let place = known.topology.masters.iter().position(|master| master == to);
        if let Some(place) = place
            && let Some(owner) = known.topology.owners.get_mut(usize::from(slot))
        {
            *owner = u16::try_from(place).unwrap_or(topology::NOBODY);
        }
        drop(known);
        self.refresh();
        self.link_to(to)
    }

    /// The link to a server that was named in a refusal.
    pub(crate) fn link_to(&self, address: &Address) -> Arc<Link> {
        let mut known = self.known_mut();
        if let Some(link) = known.link_to(address) {
            return link;
        }
        if known.others.len() >= MOST_OTHERS {
            known.others.remove(0);
        }
        let link = Link::new(self.seeds[0].at(&address.0, address.1), None);
        if let Ok(runtime) = Handle::try_current() {
            // Goes on if no ask waits for it any more.
            let link = Arc::clone(&link);
            runtime.spawn(async move { link.first_attempt().await });
        }
        let (address, named_at) = (address.clone(), Instant::now());
        known.others.push(Other { address, link: Arc::clone(&link), named_at });
        link
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn master_of(&self, slot: u16) -> Option<&Master> {
        let owner = *self.topology.owners.get(usize::from(slot))?;
        self.masters.get(usize::from(owner))
    }

    /// The link to a server that is known.
    fn link_to(&mut self, address: &Address) -> Option<Arc<Link>> {
        let place = self.topology.masters.iter().position(|master| master == address);
        if let Some(master) = place.and_then(|place| self.masters.get(place)) {
            return Some(Arc::clone(&master.link));
        }
        let other = self.others.iter_mut().find(|other| other.address == *address)?;
        other.named_at = Instant::now();
        Some(Arc::clone(&other.link))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masters: Vec<_> =
            self.known().masters.iter().map(|master| Arc::clone(&master.link)).collect();
        f.debug_struct("Cluster")
            .field("seeds", &self.seeds)
            .field("masters", &masters)
            .finish_non_exhaustive()
    }
}
