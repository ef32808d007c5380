//! The steps of a script that hold and end reservations.

use std::time::Duration;

use tollgate::{Clock, RateLimiter as _, Rejection, Reservation, Timestamp, WaitError};

use crate::model::Fate;
use crate::script::Run;

/// A reservation, and what the model knows it by.
pub(crate) struct Held<'a> {
    reservation: Reservation<'a>,
    key: usize,
    id: u64,
    /// It had to wait.
    queued: bool,
    /// Its key was blocked while it waited.
    ended: Option<WaitError>,
    /// What it takes.
    permits: u64,
}

impl Run<'_> {
    pub(crate) fn reserve(&mut self, key: usize, n: u64, within: Option<Duration>) {
        let now = self.now();
        let deadline = within.map_or(Timestamp::MAX, |within| self.clock.now() + within);
        let real = match within {
            Some(within) => self.views[key].reserve_within(n, within),
            None => self.views[key].reserve(n),
        };
        let cost = self.cost(key, n);
        match (real, self.model.reserve(key, now, cost, deadline.as_nanos())) {
            (Ok(reservation), Ok(id)) => {
                let bucket = &mut self.model.keys[key];
                let (queued, permits) = (bucket.model.due(now, id).is_err(), cost);
                bucket.outstanding += usize::from(queued);
                self.held.push(Held { reservation, key, id, queued, ended: None, permits });
            }
            (Err(real), Err(model)) => assert_eq!(real, model, "reserve {n}"),
            (real, model) => panic!("reserve {n}: {real:?}, but by the model {model:?}"),
        }
    }

    /// Cancels, drops or collects one of the reservations.
    pub(crate) fn end_reservation(&mut self, which: u64, how: u64) {
        let count = self.held.len() as u64;
        let Some(index) = which.checked_rem(count) else { return };
        let Held { reservation, key, id, queued, ended, permits } =
            self.held.remove(index as usize);
        let now = self.now();
        if let Some(error) = ended {
            if how % 2 == 0 {
                assert_eq!(reservation.wait(), Err(error));
                self.model.denied = self.model.denied.saturating_add(permits);
            }
            self.model.keys[key].outstanding -= 1;
            self.model.place(key, now);
            return;
        }
        let model = &mut self.model.keys[key].model;
        let fate = model.due(now, id);
        match how % 3 {
            0 => {
                reservation.cancel();
                model.cancel(now, id);
            }
            1 if fate.is_ok() => match (reservation.wait(), model.collect(id).unwrap()) {
                (Ok(grant), Ok(_)) => assert_eq!(grant.permits, permits),
                // Its number depends on who noticed when.
                (Err(WaitError::Timeout { .. }), Err(WaitError::Timeout { .. })) => {}
                (Err(real), Err(model)) => assert_eq!(real, model),
                (real, model) => panic!("{real:?}, but by the model {model:?}"),
            },
            _ => {
                drop(reservation);
                model.abandon(now, id);
            }
        }
        self.model.keys[key].outstanding -= usize::from(queued);
        self.model.place(key, now);
    }

    /// Nothing passes any more; those who wait end, all at once.
    pub(crate) fn block(&mut self, key: usize, close: bool) {
        let now = self.now();
        let (rejection, error) = if close {
            self.views[key].close();
            (Rejection::Closed, WaitError::Closed)
        } else {
            self.limiter.block(&(key as u64)).unwrap();
            (Rejection::Blocked, WaitError::Blocked)
        };
        self.model.block(key, now, rejection);
        let model = &mut self.model.keys[key].model;
        // From the last to the first, so that none moves up.
        for held in
            self.held.iter_mut().rev().filter(|held| held.key == key && held.ended.is_none())
        {
            if model.due(now, held.id).is_err() {
                model.cancel(now, held.id);
                held.ended = Some(error);
            }
        }
        let closed = self.model.keys[key].refusal == Some(Rejection::Closed);
        assert_eq!(self.views[key].is_closed(), closed);
    }

    /// Each reservation is due exactly when the model says.
    pub(crate) fn delays(&mut self) {
        let (now, clock) = (self.now(), self.clock());
        for held in &self.held {
            let model = &mut self.model.keys[held.key].model;
            let fate = if held.ended.is_some() { None } else { Some(model.due(now, held.id)) };
            let expected = match fate {
                Some(Ok(Fate::Served)) => Some(0),
                Some(Err(due)) => (due < u64::MAX).then(|| due - clock),
                Some(Ok(Fate::Failed(_))) | None => None,
            };
            let expected = expected.map(Duration::from_nanos);
            assert_eq!(held.reservation.delay(), expected, "{}", held.id);
        }
    }
}
