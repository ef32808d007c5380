//! What responses have reported of each limit of an account, and what that shows.

use std::time::Duration;

use smallvec::SmallVec;

use super::evidence::{Evidence, Refill};
use super::returns::Returns;
use crate::Timestamp;
use crate::llm::headers::ServerLimit;
use crate::llm::{Counted, LimitKind, Period};

/// The most limits that an account keeps evidence about.
pub(super) const MAX_SOURCES: usize = crate::llm::limits::MAX_LIMITS;

/// What responses have reported of one limit: of the one whose period they state, or of the one
/// whose period they leave open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) counted: Counted,
    pub(super) stated: Option<Period>,
    pub(super) evidence: Evidence,
    pub(super) returns: Returns,
    /// Whether the provider documents that its limits are refilled evenly, and how many responses
    /// there were.
    pub(super) documented_even: bool,
    pub(super) responses: u8,
    /// Whether the server has refused a request because of this limit, or perhaps of it.
    pub(super) has_refused: bool,
    /// When a response reported this last.
    pub(super) reported: Timestamp,
    /// The limit in force because of this.
    pub(super) kind: Option<LimitKind>,
}

/// Whether the period of a limit is hardly longer than messages are on their way.
pub(super) fn is_short(kind: LimitKind) -> bool {
    kind.period().is_some_and(|period| period.as_secs() <= 2)
}

/// The sources of an account's learned limits.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources(pub(super) SmallVec<[Source; 4]>);

impl Sources {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The source of what is said here, if there is one.
    pub(super) fn of(&mut self, said: &ServerLimit) -> Option<&mut Source> {
        self.0.iter_mut().find(|source| source.is_of(said))
    }

    /// The source of what is said here at `now`; a new one if there is room.
    pub(super) fn hear(&mut self, said: &ServerLimit, now: Timestamp) -> Option<&mut Source> {
        let at = match self.0.iter().position(|source| source.is_of(said)) {
            Some(at) => at,
            None if self.0.len() < MAX_SOURCES => {
                self.0.push(Source {
                    counted: said.counted,
                    stated: said.period,
                    evidence: Evidence::default(),
                    returns: Returns::default(),
                    documented_even: false,
                    responses: 0,
                    has_refused: false,
                    reported: now,
                    kind: None,
                });
                self.0.len() - 1
            }
            None => return None,
        };
        let source = self.0.get_mut(at)?;
        source.reported = now;
        Some(source)
    }

    /// Removes the source that was reported least recently, if there is no room for what is said
    /// here, and returns it. A limit that was reported within its period, or within `longest`, stays:
    /// some of it may be in use.
    pub(super) fn make_room(
        &mut self,
        said: &ServerLimit,
        now: Timestamp,
        longest: Duration,
    ) -> Option<Source> {
        if self.0.len() < MAX_SOURCES || self.0.iter().any(|source| source.is_of(said)) {
            return None;
        }
        let (at, oldest) = self.0.iter().enumerate().min_by_key(|(_, it)| it.reported)?;
        let period = oldest.kind.and_then(LimitKind::period).map_or(longest, Period::as_duration);
        (now - oldest.reported >= period.min(longest)).then(|| self.0.remove(at))
    }

    /// How a limit of this kind is refilled that counts strictly: in windows, or nobody knows.
    pub(super) fn strict_refill(&self, kind: LimitKind) -> Refill {
        let source = self.0.iter().find(|source| source.kind == Some(kind));
        match source.map(Source::refill) {
            Some(Refill::Windows) => Refill::Windows,
            _ => Refill::Unknown,
        }
    }

    /// Whether the period of a limit of this kind is a guess.
    pub(super) fn guess(&self, kind: LimitKind) -> bool {
        self.0.iter().any(|source| source.kind == Some(kind) && source.is_guess())
    }

    /// Whether responses speak of a limit of this kind.
    pub(super) fn have(&self, kind: LimitKind) -> bool {
        self.0.iter().any(|source| source.kind == Some(kind))
    }
}

impl Source {
    /// Whether this is the limit that is spoken of.
    pub(super) fn is_of(&self, said: &ServerLimit) -> bool {
        (self.counted, self.stated) == (said.counted, said.period)
    }

    pub(super) fn refill(&self) -> Refill {
        if self.documented_even && self.responses >= 2 {
            return Refill::Even;
        }
        match self.evidence.refill() {
            // Requests were sent at an even pace, and the server refused one.
            Refill::Unknown if self.has_refused && self.kind.is_some_and(is_short) => {
                Refill::Windows
            }
            Refill::Unknown if self.has_returned_evenly() => Refill::Even,
            refill => refill,
        }
    }

    /// Whether what has come back between answers shows that the limit is refilled evenly.
    fn has_returned_evenly(&self) -> bool {
        let period = self.kind.and_then(LimitKind::period);
        period.is_some_and(|period| self.returns.is_even(period.as_duration()))
    }

    /// Whether the period is neither stated nor shown by an even refill.
    fn is_guess(&self) -> bool {
        self.stated.is_none() && !self.documented_even && !self.evidence.looks_even()
    }

    /// Whether what remains comes back before the reset. If nothing remains, a server that counts in
    /// windows looks for one answer as if it refilled evenly, so it takes more to believe it.
    pub(super) fn comes_back_evenly(&self, remaining: u64) -> bool {
        let shown = if remaining == 0 {
            self.evidence.refill() == Refill::Even
        } else {
            self.evidence.looks_even()
        };
        self.documented_even || shown || self.refill() == Refill::Even
    }
}
