//! What a server says that can still pass before its window ends.

use std::time::Duration;

use crate::Timestamp;

/// The rest of a server's window: at most `left` may pass before `ends`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) left: u64,
    pub(crate) ends: Timestamp,
    /// Whether the server states the end, or it is guessed.
    pub(crate) is_stated: bool,
    /// The last request that was sent before the server said what is left. What requests up to that
    /// one give back is not added: the server's number may contain it already.
    pub(crate) since: u64,
}

impl Window {
    /// This window after another statement. Of several statements about the same window, the lowest
    /// number counts: responses can overtake each other. If ends are guessed, nobody knows which
    /// statements are about the same window, and the last one counts.
    pub(super) fn and_then(self, now: Timestamp, said: Self) -> Self {
        const SAME: Duration = Duration::from_secs(2);
        let is_stated = self.is_stated && said.is_stated;
        if is_stated && now < self.ends && said.ends < self.ends + SAME {
            let stricter = if said.left < self.left { said } else { self };
            return Self { ends: self.ends.max(said.ends), ..stricter };
        }
        said
    }
}
