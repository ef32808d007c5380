//! Requests that are kept: their texts one behind the other, without an allocation for each.

use std::borrow::Cow;

use tollgate::Timestamp;
use tollgate_http::address::Peer;

use crate::replay::log::client::Client;
use crate::replay::log::{Details, Request};

/// Some requests.
#[derive(Debug, Default)]
pub(super) struct Batch {
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

impl Batch {
    /// Adds a request; returns how many bytes it needs.
    pub(super) fn push(&mut self, request: &Request<'_>) -> usize {
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

    /// Removes all requests, and keeps their memory.
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.text.clear();
    }

    /// How many requests it holds.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// How many bytes they need.
    pub(super) fn bytes(&self) -> usize {
        self.records.len() * size_of::<Record>() + self.text.len()
    }

    /// Sorts the requests by time. Those at the same time stay in their order.
    pub(super) fn sort(&mut self) {
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
