//! What would be decided about a request, and why.

use std::fmt;
use std::time::Duration;

use super::decision::{Decision, Outcome};
use super::limit_report::LimitReport;

impl LimitReport<'_> {
    /// What says the quota.
    fn quota_source(&self, tier: Option<u16>) -> String {
        let tier = tier.and_then(|tier| self.policy.tiers.get(usize::from(tier)));
        let of_tier = tier.and_then(|tier| Some((tier, tier.quotas.get(self.charge.limit)?)));
        match of_tier {
            _ if self.charge.quota == 0 => "the limit".to_owned(),
            Some((tier, quota)) if usize::try_from(*quota) == Ok(self.charge.quota) => {
                format!("tier {}", tier.name)
            }
            _ => "the subject".to_owned(),
        }
    }

    /// Why the request has the limit.
    fn scope(&self) -> &'static str {
        if self.charge.own { "its route" } else { "always" }
    }
}

/// What would be decided about a request: made by
/// [`HttpLimiter::explain`](crate::HttpLimiter::explain). `Display` prints it as a table.
pub struct Explanation(Decision);

impl Explanation {
    pub(crate) fn new(decision: Decision) -> Self {
        Self(decision)
    }

    /// What would be decided.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.outcome()
    }

    /// The status of the refusal; `None` if the request would go on.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status()
    }

    /// The time after which the request could pass. `None` if it would go on, or if no wait helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after()
    }

    /// The names of the limits that would refuse the request.
    pub fn refused_by(&self) -> impl Iterator<Item = &str> {
        self.0.refused_by()
    }

    /// The route that matches.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.0.route()
    }

    /// The caller's tier.
    #[must_use]
    pub fn tier(&self) -> Option<&str> {
        self.0.tier()
    }

    /// The limits of the request, those with unlimited quotas too.
    #[must_use]
    pub fn limits(&self) -> impl ExactSizeIterator<Item = LimitReport<'_>> {
        self.0.limits()
    }
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Explanation").field(&self.0).finish()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "route:   {}", self.route().unwrap_or("none"))?;
        writeln!(f, "tier:    {}", self.tier().unwrap_or("none"))?;
        match self.status() {
            None => writeln!(f, "answer:  the request goes on ({:?})", self.outcome())?,
            Some(status) => writeln!(f, "answer:  {status} ({:?})", self.outcome())?,
        }
        match self.outcome() {
            Outcome::NoPeer => writeln!(f, "because: a limit or a subject needs the address")?,
            Outcome::Ambiguous => {
                writeln!(f, "because: with its dots resolved, the path takes another route")?;
            }
            Outcome::Exempt => {
                writeln!(f, "because: the caller, or the kind of request, is exempt")?;
            }
            _ => {}
        }
        if self.limits().len() == 0 {
            return Ok(());
        }
        let header = ["limit", "quota", "of", "cost", "left", "key", "because of", ""];
        let header = header.map(str::to_owned);
        let rows = self.limits().map(|limit| {
            let left = match limit.remaining() {
                u64::MAX => "all".to_owned(),
                remaining => remaining.to_string(),
            };
            let note = match (limit.is_shadow(), limit.refuses()) {
                (false, false) => "",
                (false, true) => "refuses",
                (true, false) => "shadow",
                (true, true) => "shadow: would refuse",
            };
            let (name, quota) = (limit.name().to_owned(), limit.quota_text().to_owned());
            let (source, scope) = (limit.quota_source(self.0.tier), limit.scope());
            let (cost, key) = (limit.cost().to_string(), limit.key().to_string());
            [name, quota, source, cost, left, key, scope.to_owned(), note.to_owned()]
        });
        let rows: Vec<[String; 8]> = std::iter::once(header).chain(rows).collect();
        for row in &rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
