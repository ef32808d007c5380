//! Merges the headers of a response: of several values for the same thing, the strictest is kept.

use std::time::{Duration, SystemTime};

use smallvec::SmallVec;

use super::header_name::{self, Dialect, Name, Part, Subject, Target};
use super::header_value::{self as value, IgnoreReason, Waits};
use super::ietf::Policies;
use super::{Bound, MAX_REPORTS, ServerLimits, resolve};
use crate::llm::{Counted, Period};

/// What was reported, in order of the headers. Few responses report more than four limits.
pub(super) type Reports = SmallVec<[Report; 4]>;

/// What the headers have reported so far.
pub(super) struct HeaderMerge {
    pub(super) received: SystemTime,
    /// What the server's own clock says, in lines. It is rarely needed, so it is read only then.
    dates: SmallVec<[u8; 32]>,
    pub(super) reports: Reports,
    policies: Policies,
    pub(super) names: Names,
    pub(super) retry_after: Waits,
    pub(super) retry_after_ms: Option<Duration>,
    /// Whether an Anthropic subscription is used up, and until when.
    pub(super) unified_rejected: bool,
    pub(super) unified_reset: Waits,
}

/// What the names of headers say together. Whether their values are valid does not matter: else
/// repeating a header could loosen what it said.
#[derive(Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each says one thing")]
pub(super) struct Names {
    /// Whether a name contains `requests`.
    pub(super) requests: bool,
    /// Whether a name is about a limit, and says neither what it counts nor over which period.
    pub(super) bare_limit: bool,
    /// Whether a name is about a limit of tokens, and does not say the period.
    pub(super) token_limit: bool,
    pub(super) together: bool,
}

impl Names {
    fn add(&mut self, target: Target, part: Part) {
        let is_open_limit = target.period.is_none() && part == Part::Limit;
        self.requests |= target.counted == Some(Counted::Requests);
        self.bare_limit |= is_open_limit && target.counted.is_none();
        self.token_limit |= is_open_limit && target.counted == Some(Counted::Tokens);
        self.together |= target.dialect == Dialect::Together;
    }
}

/// What was reported about one limit.
#[derive(Clone, Copy)]
pub(super) struct Report {
    /// `None` if no header's name says what is counted.
    pub(super) counted: Option<Counted>,
    /// The period in the name or the parameters.
    pub(super) period: Option<Period>,
    pub(super) limit: Option<Bound>,
    /// A limit, or what is used of it: the name does not say which.
    pub(super) limit_or_use: Option<Bound>,
    pub(super) remaining: Option<u64>,
    pub(super) reset: Waits,
    /// The period in a header of its own.
    pub(super) renewal: Option<Period>,
    /// Whether it is in Anthropic's headers.
    pub(super) anthropic: bool,
}

impl HeaderMerge {
    pub(super) fn new(received: SystemTime) -> Self {
        Self {
            received,
            dates: SmallVec::new(),
            reports: Reports::new(),
            policies: Policies::default(),
            names: Names::default(),
            retry_after: Waits::default(),
            retry_after_ms: None,
            unified_rejected: false,
            unified_reset: Waits::default(),
        }
    }

    /// Adds one header. Headers that are not about limits are ignored.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) {
        let Some(name) = Name::new(name) else { return };
        match header_name::subject(name.as_bytes()) {
            None => {}
            Some(Subject::Unknown) => super::unknown::tell_once(name.as_str()),
            Some(subject) => {
                if let Err(why) = self.merge(subject, value) {
                    // The name is one of the known names. The value may be anything, also a secret,
                    // so it is not logged.
                    crate::events::debug!(header = name.as_str(), why, "header ignored");
                }
            }
        }
    }

    fn merge(&mut self, subject: Subject, value: &[u8]) -> Result<(), IgnoreReason> {
        if let Subject::Limit(target, part) = subject {
            self.names.add(target, part);
        }
        let text = value::text(value)?;
        match subject {
            Subject::Limit(target, part) => self.merge_limit(target, part, text)?,
            Subject::RetryAfter => self.retry_after.merge(value::waits(text)?),
            Subject::RetryAfterMs => {
                self.retry_after_ms = self.retry_after_ms.max(Some(value::millis(text)?));
            }
            Subject::Date => {
                self.dates.extend_from_slice(text.as_bytes());
                self.dates.push(b'\n');
            }
            Subject::IetfState | Subject::IetfPolicy => self.policies.add(text),
            Subject::UnifiedStatus => self.unified_rejected |= text == "rejected",
            Subject::UnifiedReset => self.unified_reset.merge(value::waits(text)?),
            Subject::Unknown => {}
        }
        Ok(())
    }

    fn merge_limit(&mut self, target: Target, part: Part, text: &str) -> Result<(), IgnoreReason> {
        let Target { counted, period, dialect } = target;
        match part {
            Part::Limit => {
                // Most values are one number.
                if let Ok(bound) = value::bound(text) {
                    keep_least(&mut self.report(counted, period)?.limit, bound);
                } else {
                    for (item, parameters) in value::items(text)? {
                        let bound = value::bound(item)?;
                        let period = value::window(parameters).or(period);
                        keep_least(&mut self.report(counted, period)?.limit, bound);
                    }
                }
            }
            Part::LimitOrUse => {
                let bound = value::bound(text)?;
                keep_least(&mut self.report(counted, period)?.limit_or_use, bound);
            }
            Part::Remaining => {
                if let Ok(remaining) = value::count(text) {
                    keep_least(&mut self.report(counted, period)?.remaining, remaining);
                } else {
                    for (item, _) in value::items(text)? {
                        let remaining = value::count(item)?;
                        keep_least(&mut self.report(counted, period)?.remaining, remaining);
                    }
                }
            }
            Part::Reset => {
                let waits = value::waits(text)?;
                self.report(counted, period)?.reset.merge(waits);
            }
            Part::Period => {
                let renewal = Some(value::period(text)?);
                let report = self.report(counted, period)?;
                report.renewal = report.renewal.max(renewal);
            }
        }
        if dialect == Dialect::Anthropic {
            self.report(counted, period)?.anthropic = true;
        }
        Ok(())
    }

    /// The report about this limit, a new one if there is none yet.
    fn report(
        &mut self,
        counted: Option<Counted>,
        period: Option<Period>,
    ) -> Result<&mut Report, IgnoreReason> {
        let reports = &mut self.reports;
        let known = reports.iter().position(|it| (it.counted, it.period) == (counted, period));
        let at = known.unwrap_or(reports.len());
        if at == reports.len() && at < MAX_REPORTS {
            reports.push(Report::new(counted, period));
        }
        reports.get_mut(at).ok_or("too many limits")
    }

    /// The server's own clock. The earliest of several dates is used, because it makes waits
    /// longest.
    pub(super) fn date(&self) -> Option<SystemTime> {
        let dates = std::str::from_utf8(&self.dates).unwrap_or_default().lines();
        let read = dates.map(value::date).filter_map(|date| {
            let tell = |why: &IgnoreReason| {
                crate::events::debug!(header = "date", why, "header ignored");
            };
            date.inspect_err(tell).ok()
        });
        read.min()
    }

    /// The merged limits, once all headers were added.
    pub(super) fn finish(mut self) -> ServerLimits {
        let policies = std::mem::take(&mut self.policies);
        for policy in policies.iter().filter(|policy| !policy.is_foreign && policy.has_numbers()) {
            let Ok(report) = self.report(policy.counted, policy.window) else { break };
            if let Some(quota) = policy.quota {
                keep_least(&mut report.limit, Bound::Of(quota));
            }
            if let Some(remaining) = policy.remaining {
                keep_least(&mut report.remaining, remaining);
            }
            report.reset.merge(Waits { after: policy.reset, at: None });
        }
        resolve::resolve(&mut self)
    }
}

impl Report {
    fn new(counted: Option<Counted>, period: Option<Period>) -> Self {
        Self {
            counted,
            period,
            limit: None,
            limit_or_use: None,
            remaining: None,
            reset: Waits::default(),
            renewal: None,
            anthropic: false,
        }
    }
}

fn keep_least<T: Ord>(slot: &mut Option<T>, value: T) {
    if slot.as_ref().is_none_or(|kept| value < *kept) {
        *slot = Some(value);
    }
}
