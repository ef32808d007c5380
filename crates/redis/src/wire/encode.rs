//! Asks as the script reads them.

use std::time::Duration;

use tollgate::shared::store::{Ask, Charge, Part, Verb};

use super::{Opened, number};
use crate::names;
use crate::numbers::{Numbers, push};

/// The most quotas of a limit that a call contains besides that of the charge.
const MOST_TIERS: usize = 3;

/// The most charges of an ask, so that its quotas fit into a call.
const MOST_CHARGES: usize = MOST_QUOTAS / (1 + MOST_TIERS);

/// The most asks of one call: a longer call would hold other clients of the server up.
const MOST_ASKS: usize = 256;

/// The most quotas of one call.
const MOST_QUOTAS: usize = 256;

/// The largest count that the script sees. It is more than any limit has permits for.
pub(super) const MOST_TIMES: u64 = 1 << 48;

/// A debt that the script could not keep.
pub(super) const DEBT: &str =
    "the debt would be more than the store can keep: 8.9 years, or 2^48 permits";

/// A charge whose cost is 0.
const FREE: u8 = 1;

/// A charge that is larger than the burst.
const NEVER: u8 = 2;

/// The flag of a charge of which a part is kept when it is taken back.
const KEEPS: u8 = 4;

/// Asks that are on their way: a call or several, each for some of the asks.
pub(crate) struct Batch {
    pub(crate) calls: Vec<Call>,
    /// Why an ask is in none of the calls.
    pub(super) misfits: Vec<Option<&'static str>>,
    pub(super) asks: Vec<Ask>,
}

/// One call of the script.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) quotas: Vec<u8>,
    pub(crate) asks: Vec<u8>,
    /// Whether all asks are for the script of the usual asks.
    pub(crate) is_plain: bool,
    /// The numbers of the asks in the batch.
    pub(super) members: Vec<usize>,
    table: Vec<Numbers>,
}

/// What an ask comes down to.
pub(super) fn verb(ask: &Ask) -> Verb {
    match ask.verb {
        // Both are refused only by a debt.
        Verb::TakeUpTo if ask.count == 0 => Verb::Take,
        verb => verb,
    }
}

/// Whether the script of the usual asks does it.
fn is_plain(opened: &Opened, ask: &Ask) -> bool {
    let [part] = &ask.parts[..] else { return false };
    let is_take = match verb(ask) {
        Verb::Take => true,
        Verb::Consume => false,
        _ => return false,
    };
    let limits = &opened.namespaces[part.namespace].limits;
    !part.shadow
        && limits.iter().zip(&part.charges).all(|(limit, charge)| {
            let (quota, permits) = (&limit[charge.quota], permits(ask, *charge));
            let can_pass = !is_take || permits <= quota.burst().into();
            quota.is_bucket() && permits > 0 && can_pass
        })
}

/// Whether a subject is in several parts of an ask.
pub(super) fn is_twice(opened: &Opened, ask: &Ask) -> bool {
    let name = |part: &Part| &opened.namespaces[part.namespace].name;
    let parts = ask.parts.iter().enumerate();
    parts.skip(1).any(|(at, part)| {
        let is_same = |other: &Part| other.subject == part.subject && name(other) == name(part);
        ask.parts[..at].iter().any(is_same)
    })
}

impl Batch {
    /// Packs asks of these namespaces. `nobody_after` says after which time, in µs on the clock of
    /// the decision, nobody waits for the answer any more; nothing means that the ask is always
    /// done.
    ///
    /// If `is_split`, each ask is a call of its own. Unless `may_be_plain`, the calls are for the
    /// script that does all asks.
    pub(crate) fn new(
        opened: &Opened,
        asks: Vec<Ask>,
        is_split: bool,
        may_be_plain: bool,
        nobody_after: impl Fn(&Ask) -> Option<u64>,
    ) -> Self {
        let misfits: Vec<_> = asks.iter().map(|ask| misfit(opened, ask, is_split)).collect();
        let mut fitting = asks.iter().zip(&misfits).filter(|(_, misfit)| misfit.is_none());
        let is_plain = may_be_plain && fitting.all(|(ask, _)| is_plain(opened, ask));
        let mut batch = Self { calls: Vec::new(), misfits, asks: Vec::new() };
        for (at, ask) in asks.iter().enumerate() {
            if batch.misfits[at].is_some() {
                continue;
            }
            let new = quotas(opened, ask, is_plain);
            let is_full = |call: &Call| {
                is_split || call.members.len() >= MOST_ASKS || call.table.len() + new > MOST_QUOTAS
            };
            if batch.calls.last().is_none_or(is_full) {
                let members = if is_split { 1 } else { MOST_ASKS.min(asks.len() - at) };
                batch.calls.push(Call::with_room(is_plain, members));
            }
            if let Some(call) = batch.calls.last_mut() {
                call.add(opened, ask, at, nobody_after(ask).unwrap_or(0));
            }
        }
        batch.asks = asks;
        batch
    }
}

impl Call {
    /// A call with room for so many usual asks.
    fn with_room(is_plain: bool, members: usize) -> Self {
        Self {
            keys: Vec::with_capacity(members),
            asks: Vec::with_capacity(members * 64),
            members: Vec::with_capacity(members),
            is_plain,
            ..Self::default()
        }
    }

    fn add(&mut self, opened: &Opened, ask: &Ask, at: usize, nobody_after: u64) {
        self.members.push(at);
        let verb = number(verb(ask)).unwrap_or(0);
        let parts = u8::try_from(ask.parts.len()).unwrap_or(0);
        let length_at = self.asks.len() + 3;
        if self.is_plain {
            let charges = ask.parts.iter().map(|part| part.charges.len()).sum::<usize>();
            self.asks.extend_from_slice(&[verb, u8::try_from(charges).unwrap_or(0)]);
        } else {
            self.asks.extend_from_slice(&[verb, parts, u8::from(is_twice(opened, ask))]);
            self.asks.extend_from_slice(&[0; 4]);
        }
        push(&mut self.asks, ask.count.min(MOST_TIMES));
        push(&mut self.asks, patience(ask));
        push(&mut self.asks, nobody_after);
        let begin = self.asks.len();
        for part in &ask.parts {
            let namespace = &opened.namespaces[part.namespace];
            self.keys.push(names::key(&namespace.name, &part.subject));
            if !self.is_plain {
                let charges = u8::try_from(part.charges.len()).unwrap_or(0);
                self.asks.extend_from_slice(&[u8::from(part.shadow), charges]);
            }
            for (limit, charge) in namespace.limits.iter().zip(&part.charges) {
                self.charge(ask, &limit[charge.quota], *charge);
                if !self.is_plain {
                    // The script knows what the used share of another of the quotas is.
                    for quota in limit.iter().take(MOST_TIERS) {
                        self.index(quota);
                    }
                }
            }
        }
        if !self.is_plain {
            let length = u32::try_from(self.asks.len() - begin).unwrap_or(u32::MAX);
            self.asks[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
        }
    }

    /// The place of a quota in the table.
    fn index(&mut self, quota: &Numbers) -> usize {
        self.table.iter().position(|known| known == quota).unwrap_or_else(|| {
            self.table.push(*quota);
            quota.pack(&mut self.quotas);
            self.table.len() - 1
        })
    }

    fn charge(&mut self, ask: &Ask, quota: &Numbers, charge: Charge) {
        let index = self.index(quota);
        let permits = permits(ask, charge);
        let flags = match permits {
            _ if charge.cost == 0 => FREE,
            permits if permits > quota.burst().into() => NEVER,
            _ => 0,
        };
        let is_back = matches!(ask.verb, Verb::HandBack | Verb::Cancel);
        let is_kept =
            is_back && charge.receipt.is_more_than(u64::try_from(permits).unwrap_or(u64::MAX));
        let flags = if is_kept { flags | KEEPS } else { flags };
        self.asks.push(u8::try_from(index).unwrap_or(0));
        if !self.is_plain {
            self.asks.push(flags);
        }
        quota.pack_cost(permits, &mut self.asks);
        if is_back {
            quota.pack_receipt(charge.receipt, &mut self.asks);
        }
    }
}

/// How many quotas an ask adds to the table of its call, at most.
fn quotas(opened: &Opened, ask: &Ask, is_plain: bool) -> usize {
    let tiers = |limit: &Vec<Numbers>| if is_plain { 1 } else { 1 + limit.len().min(MOST_TIERS) };
    let limits = ask.parts.iter().flat_map(|part| &opened.namespaces[part.namespace].limits);
    limits.map(tiers).sum()
}

/// The permits of a charge: those of one time if the store finds out how many times.
pub(super) fn permits(ask: &Ask, charge: Charge) -> u128 {
    let count = if verb(ask) == Verb::TakeUpTo { 1 } else { ask.count };
    u128::from(count) * u128::from(charge.cost)
}

/// How long the caller of an ask would wait, in whole µs, rounded up.
pub(super) fn patience(ask: &Ask) -> u64 {
    if matches!(ask.verb, Verb::Take | Verb::Look) {
        micros(ask.patience).min((1 << 47) - 1)
    } else {
        0
    }
}

/// Whole µs, rounded up.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}

/// What an ask has that does not fit the namespaces.
fn misfit(opened: &Opened, ask: &Ask, is_split: bool) -> Option<&'static str> {
    if number(ask.verb).is_none() {
        return Some("the verb is not known");
    }
    if ask.parts.is_empty() || ask.parts.len() > MOST_CHARGES {
        return Some("an ask has 1 to 64 parts");
    }
    if is_split && ask.parts.len() > 1 {
        return Some("in a cluster, an ask has one part");
    }
    if ask.parts.iter().map(|part| part.charges.len()).sum::<usize>() > MOST_CHARGES {
        return Some("an ask has at most 64 charges");
    }
    for part in &ask.parts {
        let Some(namespace) = opened.namespaces.get(part.namespace) else {
            return Some("there is no such namespace");
        };
        if namespace.limits.len() != part.charges.len() {
            return Some("a part has one charge for each limit of its namespace");
        }
        let mut charges = namespace.limits.iter().zip(&part.charges);
        if charges.any(|(limit, charge)| charge.quota >= limit.len()) {
            return Some("there is no such quota");
        }
        let mut charges = namespace.limits.iter().zip(&part.charges);
        if matches!(ask.verb, Verb::Consume | Verb::Raise)
            && charges.any(|(limit, it)| limit[it.quota].is_too_much(permits(ask, *it)))
        {
            return Some(DEBT);
        }
    }
    None
}
