//! The entries of `[[subjects]]`: which of them are about a request, and what they say (rule P4).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use hashbrown::HashMap;
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use crate::address::Peer;
use crate::policy::settings::Who;

/// One entry, as indices.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) exempt: bool,
    pub(crate) blocked: bool,
    pub(crate) until: Option<SystemTime>,
    pub(crate) tier: Option<u16>,
    /// Limit and quota.
    pub(crate) quotas: Box<[(u16, u32)]>,
}

/// All entries, found by whom they are about.
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    entries: Vec<Entry>,
    users: HashMap<Arc<str>, u32, ahash::RandomState>,
    api_keys: HashMap<[u8; 32], u32, ahash::RandomState>,
    networks: HashMap<IpNet, u32, ahash::RandomState>,
    /// The lengths of the networks' prefixes, the longest first.
    ipv4_lengths: Vec<u8>,
    ipv6_lengths: Vec<u8>,
}

/// The entries that are about one request, the most specific first.
#[derive(Debug, Default)]
pub(crate) struct Matching<'a>(SmallVec<[&'a Entry; 2]>);

impl Subjects {
    pub(crate) fn add(&mut self, who: &Who, entry: Entry) {
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(entry);
        match who {
            Who::User(user) => {
                self.users.insert(user.as_str().into(), index);
            }
            Who::ApiKey(hash) => {
                self.api_keys.insert(*hash, index);
            }
            Who::Address(network) => {
                let lengths = match network {
                    IpNet::V4(_) => &mut self.ipv4_lengths,
                    IpNet::V6(_) => &mut self.ipv6_lengths,
                };
                if let Err(at) = lengths.binary_search_by(|length| network.prefix_len().cmp(length))
                {
                    lengths.insert(at, network.prefix_len());
                }
                self.networks.insert(network.trunc(), index);
            }
        }
    }

    /// Whether any entry is about addresses.
    pub(crate) fn needs_address(&self) -> bool {
        !self.networks.is_empty()
    }

    /// The entries about a request of this user, with this API key, from this address.
    pub(crate) fn matching(
        &self,
        user: Option<&Arc<str>>,
        api_key: Option<&str>,
        client: Option<Peer>,
    ) -> Matching<'_> {
        let mut matching = Matching::default();
        if self.entries.is_empty() {
            return matching;
        }
        let mut add = |index: Option<&u32>| {
            let index = index.and_then(|index| usize::try_from(*index).ok());
            matching.0.extend(index.and_then(|index| self.entries.get(index)));
        };
        if let Some(user) = user.filter(|_| !self.users.is_empty()) {
            add(self.users.get(user));
        }
        if let Some(key) = api_key.filter(|_| !self.api_keys.is_empty()) {
            add(self.api_keys.get(&<[u8; 32]>::from(Sha256::digest(key))));
        }
        if let Some(Peer::Ip(address)) = client {
            let lengths = match address {
                IpAddr::V4(_) => &self.ipv4_lengths,
                IpAddr::V6(_) => &self.ipv6_lengths,
            };
            for length in lengths {
                let network = IpNet::new(address, *length).map(|network| network.trunc());
                add(network.ok().as_ref().and_then(|network| self.networks.get(network)));
            }
        }
        matching
    }
}

impl Matching<'_> {
    /// Whether any entry blocks the request. `now` is only asked for if a block has an end.
    pub(crate) fn is_blocked(&self, now: impl Fn() -> SystemTime) -> bool {
        self.0.iter().any(|entry| entry.blocked && entry.until.is_none_or(|until| now() < until))
    }

    /// Whether any entry exempts the request.
    pub(crate) fn is_exempt(&self) -> bool {
        self.0.iter().any(|entry| entry.exempt)
    }

    /// The tier, by the first entry that says one.
    pub(crate) fn tier(&self) -> Option<u16> {
        self.0.iter().find_map(|entry| entry.tier)
    }

    /// The quota of a limit, by the first entry that says one.
    pub(crate) fn quota(&self, limit: u16) -> Option<u32> {
        let quotas = self.0.iter().flat_map(|entry| entry.quotas.iter());
        quotas.copied().find_map(|(of, quota)| (of == limit).then_some(quota))
    }
}
