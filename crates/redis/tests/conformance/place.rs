//! Where a limit is kept: in memory, or on a server that is started for the test.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tollgate::shared::store::{Memory, Store};
use tollgate::{Clock, ManualClock, Timestamp};
use tollgate_redis::Redis;

use crate::support::server::{Server, kinds};

/// Enough for a busy machine.
const PATIENT: Duration = Duration::from_secs(10);

thread_local! {
    /// Where the limits of the present check are kept.
    static PRESENT: RefCell<Option<Rc<Place>>> = const { RefCell::new(None) };
}

pub struct Place {
    server: Option<Server>,
    runtime: Arc<Runtime>,
    opened: Cell<u32>,
}

impl Place {
    fn new(server: Option<Server>) -> Self {
        Self { server, runtime: Arc::new(Runtime::new().unwrap()), opened: Cell::new(0) }
    }

    /// The store in memory, and each server that is installed.
    pub fn all() -> impl Iterator<Item = Self> {
        let servers = kinds().into_iter().map(|kind| Self::new(Some(Server::start(kind))));
        [Self::new(None)].into_iter().chain(servers)
    }

    /// From now on, the limits of this thread are here.
    pub fn enter(self) {
        PRESENT.replace(Some(Rc::new(self)));
    }

    fn name(&self) -> &'static str {
        self.server.as_ref().map_or("memory", |server| server.kind)
    }

    /// A store without any subject, whose time is that of `clock`.
    fn store(&self, clock: &ManualClock) -> Arc<dyn Store> {
        let clock = clock.clone();
        let Some(server) = &self.server else {
            return Arc::new(Memory::builder().clock(clock).build());
        };
        self.opened.set(self.opened.get() + 1);
        let builder = Redis::builder(&server.url())
            .prefix(format!("{}:", self.opened.get()))
            .deadline(PATIENT)
            .connect_deadline(PATIENT)
            .callers_clock(move || clock.now() - Timestamp::ZERO);
        Arc::new(self.runtime.block_on(builder.connect()).expect("the server is there"))
    }
}

fn present() -> Rc<Place> {
    PRESENT.with_borrow(|place| place.clone().expect("a check runs in a place"))
}

/// Where the limits of this thread are.
pub fn name() -> &'static str {
    present().name()
}

/// A store without any subject, and a runtime to wait for its answers.
pub fn empty_store(clock: &ManualClock) -> (Arc<dyn Store>, Arc<Runtime>) {
    let place = present();
    (place.store(clock), Arc::clone(&place.runtime))
}

/// The smallest span that all stores tell apart.
pub const TICK: Duration = Duration::from_micros(1);
