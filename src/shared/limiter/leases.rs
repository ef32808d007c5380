//! Leases: permits that a process draws ahead for the subjects that it sees most.
//!
//! A hot subject would cost one ask for each request. Instead, a process takes some permits at once
//! and grants them itself. They must be used within [`Leases::length`] `D` of the moment at which
//! the ask was sent; what is left then is handed back.
//!
//! # Proof of the bound
//!
//! The store enforces the quota with a burst that is smaller by the refill of `D`:
//!
//! ```text
//! small = burst - rate * D
//! ```
//!
//! A permit is used at most `D` after it was taken. So the permits that all processes use in a
//! window of length `w` were taken in a window of length `w + D`, and however many processes there
//! are, they are at most
//!
//! ```text
//! small + rate * (w + D) = burst + rate * w
//! ```
//!
//! A permit that was granted and not used can be granted again within the same `D` only. So it goes
//! back to its own lease, and is lost if this lease is over. It can't go back to the store by
//! itself: all permits of a draw have one receipt, which is good for one return.
//!
//! # What is worth a lease
//!
//! A lease costs a call when it is drawn and another one if something is handed back, and what it
//! holds is hidden from other processes meanwhile. So a subject is leased from its third request
//! within `D` on, and a draw is a little smaller than the demand in `D`: then the next draw comes
//! before this one is over, and nothing is handed back.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::shared::race::within;
use crate::shared::recent::Recent;
use crate::shared::store::{Answer, Ask, Level, Outcome, Part, Verb};
use crate::shared::{AskError, Client, Decision, Source, give_back};
use crate::sync::Mutex;
use crate::{Quota, QuotaError, Timer, TokioTimer};

/// A lease takes at most this part of the burst, so that other processes find some too.
const LARGEST_SHARE: u64 = 8;

/// The leases of a limiter.
pub(super) struct Leases {
    /// For how long a lease can be used.
    length: Duration,
    of_subjects: Recent<Arc<Lease>>,
}

/// The lease of one subject. If it is forgotten, what is left of it is handed back.
struct Lease {
    client: Client,
    state: Mutex<State>,
    /// Wakes those who wait for permits that are being drawn.
    drawn: Notify,
}

#[derive(Default)]
struct State {
    /// What was drawn, and how much of it is left.
    held: Option<Held>,
    is_drawing: bool,
    /// When the subject was asked for, the last time and the time before.
    asked: [Option<Instant>; 2],
    /// When the last lease was drawn, and how many permits were used since then.
    drawn: Option<Instant>,
    used: u64,
}

struct Held {
    left: u64,
    expires: Instant,
    /// What gives the permits back, if its count is what is left.
    hand_back: Ask,
    /// The level after the draw.
    level: Level,
}

/// A decision, and when the lease expires that the permits are from, if they are from one.
type Leased = (Decision, Option<Instant>);

/// What to do with a request for a subject.
enum Turn {
    /// It is granted.
    Granted(Leased),
    /// Somebody draws permits: wait for them.
    Wait,
    /// Draw so many permits more than are needed.
    Draw(u64),
    /// Ask the store for this request alone.
    Alone,
}

impl Leases {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, of_subjects: Recent::new() }
    }

    pub(super) fn length(&self) -> Duration {
        self.length
    }

    /// The quota that the store enforces, so that leases of this length never exceed `quota`.
    pub(super) fn reduced(quota: Quota, length: Duration) -> Result<Quota, QuotaError> {
        let period = quota.period_nanos()?;
        let refill = u128::from(quota.permits()).saturating_mul(length.as_nanos());
        let held_back = u64::try_from(refill.div_ceil(period.into())).unwrap_or(u64::MAX);
        match quota.burst_size().checked_sub(held_back) {
            None | Some(0) => Err(QuotaError::BurstBelowLeases { held_back }),
            Some(burst) => Ok(quota.burst(burst)),
        }
    }

    /// Decides a request for some permits of one subject, with a lease if it is hot.
    pub(super) async fn decide(
        &self,
        client: &Client,
        ask: &Ask,
        burst: u64,
    ) -> Result<Leased, AskError> {
        let deadline = client.deadline();
        let [part] = &ask.parts[..] else {
            return Ok((client.ask_within(deadline, ask).await?, None));
        };
        let lease = self.of_subjects.get_or_insert(part.namespace, &part.subject, || {
            let (state, drawn) = (Mutex::new(State::default()), Notify::new());
            Arc::new(Lease { client: client.clone(), state, drawn })
        });
        // Those who never wait let other tasks run, too. Nothing is taken before.
        tokio::task::coop::consume_budget().await;
        let started = Instant::now();
        let mut left = deadline;
        loop {
            let drawn = lease.drawn.notified();
            match lease.turn(ask, self.length, burst) {
                Turn::Granted(leased) => {
                    client.counters().used_of_lease(ask.count);
                    return Ok(leased);
                }
                // Half of the deadline remains, in case that the draw brings nothing.
                Turn::Wait if left > deadline / 2 => {
                    let _ = within(left.saturating_sub(deadline / 2), drawn).await;
                }
                Turn::Wait | Turn::Alone => return Ok((client.ask_within(left, ask).await?, None)),
                Turn::Draw(more) => {
                    if let Some(leased) = lease.draw(left, ask, more, self.length).await? {
                        return Ok(leased);
                    }
                    // Fewer are there than needed: the store says when there will be more.
                    left = deadline.saturating_sub(started.elapsed());
                    return Ok((client.ask_within(left, ask).await?, None));
                }
            }
            left = deadline.saturating_sub(started.elapsed());
        }
    }

    /// Puts permits back that were granted by the lease that expires at this time and not used, if
    /// the lease can still be used.
    pub(super) fn put_back(&self, part: &Part, permits: u64, expires: Instant) {
        let lease = self.of_subjects.read(part.namespace, &part.subject, Arc::clone);
        let Some(lease) = lease else { return };
        let mut state = lease.state.lock();
        let can_be_used = |held: &&mut Held| held.expires == expires && expires > Instant::now();
        if let Some(held) = state.held.as_mut().filter(can_be_used) {
            held.left = held.left.saturating_add(permits);
        }
    }

    /// Hands all leases back.
    pub(super) fn end(&self) {
        self.of_subjects.clear();
    }
}

impl Lease {
    fn turn(&self, ask: &Ask, length: Duration, burst: u64) -> Turn {
        let now = Instant::now();
        let mut state = self.state.lock();
        if self.client.is_out_for(ask) {
            return Turn::Alone;
        }
        let [last, before] = state.asked;
        let is_hot = before.is_some_and(|asked| now.duration_since(asked) < length);
        state.asked = [Some(now), last];
        if let Some(held) = state.held.as_mut().filter(|held| held.expires > now) {
            if let Some(left) = held.left.checked_sub(ask.count) {
                held.left = left;
                let (level, expires) = (held.level_of(left), held.expires);
                state.used = state.used.saturating_add(ask.count);
                let outcome = Outcome::Done { after: Duration::ZERO };
                let answer = Answer::new(outcome, ask.count, [level]);
                let decision = Decision { answer, source: Source::Leased };
                return Turn::Granted((decision, Some(expires)));
            }
        }
        if self.client.is_refused(ask) {
            return Turn::Alone;
        }
        if state.is_drawing {
            return Turn::Wait;
        }
        if !is_hot {
            (state.drawn, state.used) = (None, 0);
            return Turn::Alone;
        }
        let most = burst / LARGEST_SHARE;
        let more = state.demand(now, length).min(most);
        // A draw that brings too little is given back. Until then, others don't find it.
        if more == 0 || ask.count > most {
            return Turn::Alone;
        }
        state.is_drawing = true;
        Turn::Draw(more)
    }

    /// Draws what the ask needs and `more`. `None` if there are fewer than it needs, or if the store
    /// does not answer.
    async fn draw(
        self: &Arc<Self>,
        time: Duration,
        ask: &Ask,
        more: u64,
        length: Duration,
    ) -> Result<Option<Leased>, AskError> {
        let _drawing = Drawing(self);
        // What is left of the lease before is too little.
        self.expire(None);
        let mut wanted = ask.clone();
        wanted.verb = Verb::TakeUpTo;
        wanted.count = ask.count.saturating_add(more);
        let sent = Instant::now();
        let Some(mut answer) = self.client.ask_store(time, &wanted, sent).await? else {
            return Ok(None);
        };
        let back = give_back(&wanted, &answer);
        let is_refused = answer.count == 0 && ask.count == 1;
        match answer.count.checked_sub(ask.count) {
            // If not even one is there, it is refused as the ask would be.
            None if is_refused => self.client.note(ask, &answer, sent),
            None => {
                if let Some(back) = back {
                    self.client.send(back);
                }
                return Ok(None);
            }
            Some(_) => self.client.note(&wanted, &answer, sent),
        }
        self.client.counters().decided(Source::Shared);
        let left = answer.count.saturating_sub(ask.count);
        answer.count = answer.count.min(ask.count);
        let mut lease = None;
        if let (Some(hand_back), Some(level), 1..) = (back, answer.levels.first(), left) {
            // If the end of a lease can't be represented, it is over at once.
            let expires = sent.checked_add(length).unwrap_or(sent);
            lease = Some(expires);
            self.client.counters().drew_ahead(left);
            let held = Held { left, expires, hand_back, level: *level };
            let mut state = self.state.lock();
            (state.drawn, state.used) = (Some(sent), ask.count);
            state.held = Some(held);
            drop(state);
            self.hand_back_at(expires);
        }
        Ok(Some((Decision { answer, source: Source::Shared }, lease)))
    }

    /// Hands back what is left at `expires`.
    fn hand_back_at(self: &Arc<Self>, expires: Instant) {
        let Ok(runtime) = Handle::try_current() else { return };
        let lease = Arc::downgrade(self);
        let Some(sleep) = TokioTimer.sleep(expires.saturating_duration_since(Instant::now()))
        else {
            return;
        };
        runtime.spawn(async move {
            sleep.await;
            if let Some(lease) = lease.upgrade() {
                lease.expire(Some(expires));
            }
        });
    }

    /// Hands back what is left of the lease, or only of the one that expires at this time.
    fn expire(&self, only: Option<Instant>) {
        let expires = |held: &mut Held| only.is_none_or(|at| at == held.expires);
        let held = self.state.lock().held.take_if(expires);
        self.hand_back(held);
    }

    fn hand_back(&self, held: Option<Held>) {
        if let Some(back) = held.and_then(Held::rest) {
            self.client.counters().handed_back(back.count);
            self.client.send(back);
        }
    }
}

impl State {
    /// How many permits to draw ahead: three quarters of those that are used within `length`, as
    /// far as can be told from the last lease, and at most twice as many as it was used for.
    fn demand(&self, now: Instant, length: Duration) -> u64 {
        let Some(drawn) = self.drawn else { return 1 };
        let took = now.saturating_duration_since(drawn).as_nanos().max(1);
        let in_length = u128::from(self.used).saturating_mul(length.as_nanos()) / took;
        let demand = u64::try_from(in_length / 4 * 3 + in_length % 4 * 3 / 4).unwrap_or(u64::MAX);
        demand.clamp(1, self.used.saturating_mul(2).max(1))
    }
}

impl Held {
    /// The level after `left` permits are left.
    fn level_of(&self, left: u64) -> Level {
        let mut level = self.level;
        level.remaining = level.remaining.saturating_add(left);
        level
    }

    /// What gives back what is left.
    fn rest(self) -> Option<Ask> {
        let mut ask = self.hand_back;
        ask.count = self.left;
        (self.left > 0).then_some(ask)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let held = self.state.lock().held.take();
        self.hand_back(held);
    }
}

/// Ends a draw, however it ends.
struct Drawing<'a>(&'a Lease);

impl Drop for Drawing<'_> {
    fn drop(&mut self) {
        self.0.state.lock().is_drawing = false;
        self.0.drawn.notify_waiters();
    }
}
