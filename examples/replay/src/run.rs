//! The replay itself: each client's bucket, at the log's own time.
//!
//! A manual clock follows the log, and a keyed limiter on that clock decides as it would have
//! decided then. It forgets clients who were quiet for long; what the report says about each of
//! them is counted here.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tollgate::algorithm::{Algorithm, GreedyRefill};
use tollgate::{Clock, KeyedLimiter, ManualClock, Quota, QuotaError, Timestamp};

use crate::client::Addresses;
use crate::layout::Layout;
use crate::parse::Skipped;

/// A quota applied to the clients of a log.
#[derive(Debug)]
pub struct Replay<'a> {
    limiter: KeyedLimiter<Vec<u8>, ManualClock>,
    clock: ManualClock,
    /// The limiter's rule by itself, for what no limiter tells: how much burst would have done.
    rule: GreedyRefill,
    layout: Layout,
    addresses: Addresses,
    clients: HashMap<Cow<'a, [u8]>, Client>,
    tally: Tally,
}

/// What a replay counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub lines: u64,
    pub requests: u64,
    pub admitted: u64,
    /// Lines that were not replayed.
    pub skipped: u64,
    /// For each reason: how many lines, and the number of the first of them (from 1).
    pub reasons: BTreeMap<Skipped, (u64, u64)>,
    /// Requests whose client was chosen from a list of addresses.
    pub lists: u64,
    /// Requests with a time before the newest one seen: they count as made at the newest.
    pub out_of_order: u64,
    /// The earliest and the latest time, in seconds since 1970.
    pub span: Option<(u64, u64)>,
}

impl Tally {
    /// Lines that should have been requests and could not be read: not empty lines, comments, and
    /// messages of a server; and not requests without a client, which could be read.
    pub fn unreadable(&self) -> u64 {
        let expected = [Skipped::Empty, Skipped::Comment, Skipped::Message, Skipped::NoClient];
        self.skipped - expected.iter().map(|reason| self.skipped_for(*reason)).sum::<u64>()
    }

    /// Lines skipped for this reason.
    pub fn skipped_for(&self, reason: Skipped) -> u64 {
        self.reasons.get(&reason).map_or(0, |(lines, _)| *lines)
    }
}

/// What is counted of one client.
#[derive(Clone, Debug)]
pub struct Client {
    /// A bucket that refuses nothing: everything asked for is taken, into debt if need be.
    bottomless: <GreedyRefill as Algorithm>::State,
    /// The deepest the bottomless bucket was drawn down, in the rule's exact units.
    deepest: u128,
    pub requests: u64,
    pub admitted: u64,
}

impl Client {
    pub fn refused(&self) -> u64 {
        self.requests - self.admitted
    }
}

impl<'a> Replay<'a> {
    /// A replay under `quota` per client, of lines in this layout.
    ///
    /// # Errors
    ///
    /// When no limiter can be built from the quota.
    pub fn new(quota: Quota, layout: Layout, addresses: Addresses) -> Result<Self, QuotaError> {
        let clock = ManualClock::new();
        Ok(Self {
            limiter: KeyedLimiter::builder(quota).clock(clock.clone()).build()?,
            clock,
            rule: quota.try_into()?,
            layout,
            addresses,
            clients: HashMap::new(),
            tally: Tally::default(),
        })
    }

    /// Takes the next line, without its end.
    pub fn line(&mut self, line: &'a [u8]) {
        self.tally.lines += 1;
        match self.layout.request(line, self.addresses) {
            Ok(request) => {
                self.tally.lists += u64::from(request.listed);
                self.request(request.client, request.time);
            }
            Err(reason) => {
                self.tally.skipped += 1;
                let (lines, _) = self.tally.reasons.entry(reason).or_insert((0, self.tally.lines));
                *lines += 1;
            }
        }
    }

    fn request(&mut self, client: Cow<'a, [u8]>, time: u64) {
        // A limiter's clock never goes back, and so the newest time seen is what counts.
        let (first, newest) = self.tally.span.unwrap_or((time, time));
        self.tally.out_of_order += u64::from(time < newest);
        let (first, newest) = (first.min(time), newest.max(time));
        self.tally.span = Some((first, newest));
        let now = Timestamp::ZERO + Duration::from_secs(newest);
        if now > self.clock.now() {
            self.clock.set(now);
        }

        let admitted = self.limiter.allow(&*client);
        let rule = &self.rule;
        let client = self.clients.entry(client).or_insert_with(|| Client {
            bottomless: rule.start(now, 0),
            deepest: 0,
            requests: 0,
            admitted: 0,
        });
        self.tally.requests += 1;
        client.requests += 1;
        client.admitted += u64::from(admitted);
        self.tally.admitted += u64::from(admitted);
        rule.take(&mut client.bottomless, now, 1);
        client.deepest = client.deepest.max(rule.level(&client.bottomless, now).used_units);
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    pub fn quota(&self) -> Quota {
        self.limiter.quota()
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Clients with refusals, the worst first; among equals in the order of their names.
    pub fn offenders(&self) -> Vec<(&[u8], &Client)> {
        let mut offenders: Vec<_> = self
            .clients
            .iter()
            .filter(|(_, client)| client.refused() > 0)
            .map(|(name, client)| (&**name, client))
            .collect();
        offenders.sort_by_key(|(name, client)| (std::cmp::Reverse(client.refused()), *name));
        offenders
    }

    /// The smallest burst with which `client` would have been refused nothing at this rate: the
    /// whole permits in what a bucket that takes everything was drawn down at the deepest.
    pub fn needed_burst_of(&self, client: &Client) -> u64 {
        let full = self.rule.start(Timestamp::ZERO, 0);
        let permit = self.rule.level(&full, Timestamp::ZERO).units_per_permit;
        // No units per permit: there is no limit, and nothing is ever drawn down.
        let permits = if permit == 0 { 0 } else { client.deepest.div_ceil(permit.into()) };
        u64::try_from(permits).unwrap_or(u64::MAX)
    }

    /// The smallest burst with which nobody would have been refused anything at this rate.
    pub fn needed_burst(&self) -> u64 {
        self.clients.values().map(|client| self.needed_burst_of(client)).max().unwrap_or(0)
    }
}
