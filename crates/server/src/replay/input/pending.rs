//! Requests that wait until no earlier one can come.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tollgate::Timestamp;
use tollgate_http::address::Peer;

use crate::replay::log::client::Client;
use crate::replay::log::{Details, Request, time};

/// How many seconds a line may be behind the newest time and still be put in order.
pub const WINDOW: u64 = 60;

/// When the pending requests need more memory than this, the earliest ones go on.
const MOST_BYTES: usize = 128 * 1024 * 1024;

/// The pending requests of one log.
#[derive(Debug, Default)]
pub(super) struct Pending {
    seconds: BTreeMap<u64, Second>,
    /// The second to which requests were added last, which is not among `seconds`.
    last: Option<(u64, Second)>,
    newest: u64,
    bytes: usize,
    /// Of seconds that are done; their memory is used again.
    spare: Vec<Second>,
}

/// The requests within one second.
#[derive(Debug, Default)]
pub(super) struct Second {
    records: Vec<Record>,
    /// Methods, paths, hosts, users and names, one behind the other.
    text: Vec<u8>,
}

/// A request.
#[derive(Clone, Debug)]
struct Record {
    time: Timestamp,
    /// `None` if the client is a name.
    peer: Option<Peer>,
    status: Option<u16>,
    listed: bool,
    /// Where the method begins in the text.
    start: usize,
    /// The lengths of method, path, host, user and name. A line is never longer than 1 MiB.
    lengths: [u32; 5],
}

impl Pending {
    /// Adds a request.
    pub(super) fn push(&mut self, request: &Request<'_>) {
        let at = time::seconds(request.time);
        self.newest = self.newest.max(at);
        if self.last.as_ref().is_none_or(|(last, _)| *last != at) {
            let spare = &mut self.spare;
            let second = self.seconds.remove(&at).or_else(|| spare.pop()).unwrap_or_default();
            if let Some((before, full)) = self.last.replace((at, second)) {
                self.seconds.insert(before, full);
            }
        }
        if let Some((_, second)) = &mut self.last {
            self.bytes += second.push(request);
        }
    }

    /// The earliest second, if no request can come that is earlier, or if `is_last`.
    pub(super) fn pop(&mut self, is_last: bool) -> Option<Second> {
        let first = self.seconds.keys().next().copied();
        let last = self.last.as_ref().map(|(last, _)| *last);
        let earliest = first.into_iter().chain(last).min()?;
        let is_due = earliest.saturating_add(WINDOW) < self.newest;
        if !(is_due || is_last || self.bytes > MOST_BYTES) {
            return None;
        }
        let mut second = match self.last.take_if(|(last, _)| *last == earliest) {
            Some((_, second)) => second,
            None => self.seconds.remove(&earliest)?,
        };
        self.bytes = self.bytes.saturating_sub(second.bytes());
        second.sort();
        Some(second)
    }

    /// Takes back the memory of a second that is done.
    pub(super) fn recycle(&mut self, mut second: Second) {
        second.records.clear();
        second.text.clear();
        self.spare.push(second);
        self.spare.truncate(2);
    }
}

impl Second {
    /// Adds a request; returns how many bytes it needs.
    fn push(&mut self, request: &Request<'_>) -> usize {
        let start = self.text.len();
        let (peer, name): (_, &[u8]) = match &request.client {
            Client::Peer(peer) => (Some(*peer), b""),
            Client::Name(name) => (None, name),
        };
        let Details { method, path, host, user, status } = &request.details;
        let texts: [&[u8]; 5] = [method, path, host, user, name];
        let lengths = texts.map(|text| {
            self.text.extend_from_slice(text);
            u32::try_from(text.len()).unwrap_or(u32::MAX)
        });
        let (time, listed) = (request.time, request.listed);
        self.records.push(Record { time, peer, status: *status, listed, start, lengths });
        size_of::<Record>() + self.text.len() - start
    }

    fn bytes(&self) -> usize {
        self.records.len() * size_of::<Record>() + self.text.len()
    }

    /// Requests at the same time stay in the order of the log.
    fn sort(&mut self) {
        self.records.sort_by_key(|record| record.time);
    }

    /// The time of one of the requests.
    pub(super) fn time(&self, at: usize) -> Option<Timestamp> {
        self.records.get(at).map(|record| record.time)
    }

    /// One of the requests.
    pub(super) fn get(&self, at: usize) -> Option<Request<'_>> {
        let record = self.records.get(at)?;
        let mut rest = self.text.get(record.start..)?;
        let [method, path, host, user, name] = record.lengths.map(|length| {
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
            let (text, after) = rest.split_at(length);
            rest = after;
            Cow::Borrowed(text)
        });
        let client = record.peer.map_or(Client::Name(name), Client::Peer);
        let details = Details { method, path, host, user, status: record.status };
        Some(Request { client, time: record.time, listed: record.listed, details })
    }
}
