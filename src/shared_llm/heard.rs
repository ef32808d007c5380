//! What a process tells the others of the responses that it gets.

use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::account::{Account, Known, PAUSE, PAUSE_BURST};
use crate::llm::engine::account::AccountView;
use crate::shared::Source;
use crate::shared::store::{Ask, Charge, Verb};

/// A pause that ends so much later than the store knows is told.
const LATER: Duration = Duration::from_millis(5);

impl Account {
    /// Tells the store what a response has shown of the account: limits, what of them is in use,
    /// and a pause.
    pub(super) fn heard(&self, view: &AccountView) {
        self.follow(view);
        let levels = {
            let mut known = self.known.lock();
            let used: SmallVec<[_; 4]> = known.more_used(view).collect();
            let pause = known.pause_to_tell(view).map(|micros| (PAUSE, micros));
            used.into_iter().chain(pause)
        };
        let levels: SmallVec<[_; 4]> =
            levels.map(|(place, used)| (place, Charge::new(used))).collect();
        if !levels.is_empty() {
            self.client.tell(self.ask(Verb::Raise, &levels), Source::Shared);
        }
    }

    /// Pauses the account for all processes.
    pub(super) fn pause(&self, pause: Duration) {
        let level = (PAUSE, Charge::new(level_of(pause)));
        self.client.tell(self.ask(Verb::Raise, &[level]), Source::Shared);
    }

    /// The rest of the account's pause, as the store knows it.
    pub(super) async fn paused_for(&self) -> Duration {
        let look = Ask { count: 0, ..self.ask(Verb::Look, &[(PAUSE, Charge::new(1))]) };
        let decision = self.client.ask(look).await.ok();
        let level = decision.and_then(|it| it.answer.levels.first().copied());
        Duration::from_micros(level.map_or(0, |level| level.used.saturating_sub(PAUSE_BURST)))
    }

    /// Notes a pause that the store has told.
    pub(super) fn knows_pause(&self, pause: Duration) {
        let until = Instant::now().checked_add(pause);
        let mut known = self.known.lock();
        known.paused_until = known.paused_until.max(until);
    }

    /// Ends a pause for all processes.
    pub(super) fn resume(&self) {
        self.known.lock().paused_until = None;
        let all = (PAUSE, Charge::new(u64::MAX >> 16));
        self.client.tell(self.ask(Verb::Credit, &[all]), Source::Shared);
    }
}

impl Known {
    /// Of which limits more is in use than the store has said.
    fn more_used(&mut self, view: &AccountView) -> impl Iterator<Item = (usize, u64)> {
        self.limits.iter().enumerate().filter_map(|(at, limit)| {
            let meter = view.meters.iter().find(|meter| meter.kind == limit.kind)?;
            (meter.used > limit.used_by_now()).then_some((1 + at, meter.used))
        })
    }

    /// The level of a pause that the store does not know of.
    fn pause_to_tell(&mut self, view: &AccountView) -> Option<u64> {
        let until = Instant::now().checked_add(view.paused_for)?;
        let is_known = self.paused_until.is_some_and(|known| until <= known + LATER);
        if view.paused_for.is_zero() || is_known {
            return None;
        }
        self.paused_until = Some(until);
        Some(level_of(view.paused_for))
    }
}

/// The level of the limit for pauses: it grants nothing for so long.
fn level_of(pause: Duration) -> u64 {
    // A longer one does not fit into every store. Four years are long enough.
    let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX).min(1 << 46);
    micros + PAUSE_BURST
}
