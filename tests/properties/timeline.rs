//! A clock, the reservations on it, and what was admitted when.

use tollgate::{Clock, ManualClock, RateLimiter, Reservation, Timestamp};

/// Time stamps in nanoseconds, and the permits admitted at each.
pub(crate) type Grants = Vec<(u64, u64)>;

#[derive(Debug)]
pub(crate) struct Timeline<'a> {
    clock: ManualClock,
    latest: u64,
    waits: Vec<Reservation<'a>>,
    grants: Grants,
}

impl<'a> Timeline<'a> {
    pub(crate) fn new(clock: &ManualClock) -> Self {
        let latest = clock.now().as_nanos();
        Self { clock: clock.clone(), latest, waits: Vec::new(), grants: Grants::new() }
    }

    /// Moves the clock on; whoever waits acts just when it is due.
    pub(crate) fn advance(&mut self, nanos: u64) {
        let to = self.clock.now().as_nanos().saturating_add(nanos);
        loop {
            let next =
                self.waits.iter().filter_map(|wait| Some(self.clock.now() + wait.delay()?)).min();
            let stop = next.map_or(to, |due| due.as_nanos().min(to));
            self.clock.set(Timestamp::from_nanos(stop));
            self.latest = self.latest.max(stop);
            self.collect();
            if stop == to {
                return;
            }
        }
    }

    /// Moves the clock back, after `limiter` has seen the time.
    pub(crate) fn step_back(&mut self, limiter: &dyn RateLimiter, nanos: u64) {
        limiter.usage();
        let to = self.clock.now().as_nanos().saturating_sub(nanos);
        self.clock.set(Timestamp::from_nanos(to));
    }

    pub(crate) fn grant(&mut self, permits: u64) {
        self.grants.push((self.latest, permits));
    }

    pub(crate) fn wait(&mut self, reservation: Reservation<'a>) {
        self.waits.push(reservation);
        self.collect();
    }

    /// Gives the place of the longest waiting up: the permits that it has not had.
    pub(crate) fn cancel(&mut self) {
        if !self.waits.is_empty() {
            self.waits.remove(0).cancel();
            self.collect();
        }
    }

    pub(crate) fn into_grants(self) -> Grants {
        self.grants
    }

    fn collect(&mut self) {
        let (latest, grants) = (self.latest, &mut self.grants);
        self.waits.retain(|wait| {
            let due = wait.delay() == Some(std::time::Duration::ZERO);
            if due {
                grants.push((latest, wait.permits()));
            }
            !due
        });
    }
}
