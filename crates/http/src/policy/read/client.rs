//! Reading `[client]`.

use std::str::FromStr;

use http::header::HeaderName;
use ipnet::IpNet;

use super::network::network;
use super::table::{Table, found, list, text};
use crate::address::{ClientAddress, Prefixes, Source, Trust};
use crate::policy::code::Code;
use crate::policy::message::shown;
use crate::policy::problems::Problems;
use crate::policy::source::{Entry, Node, Value};

pub(in crate::policy) const CLIENT: &[&str] =
    &["header", "trusted_proxies", "trusted_hops", "ipv4_prefix", "ipv6_prefix"];

pub(super) fn client(entry: &Entry, problems: &mut Problems) -> ClientAddress {
    let Some(table) = Table::new(&entry.node, &entry.place, CLIENT, problems) else {
        return ClientAddress::default();
    };
    let source = table.get("header").map(|node| source(node, problems)).unwrap_or_default();
    let trust = trust(&table, problems);
    let (proxies, hops) = (table.get("trusted_proxies"), table.get("trusted_hops"));
    if source != Source::Peer && proxies.is_none() && hops.is_none() {
        problems.add(table.node.place_of("header"), Code::NobodyTrusted, || {
            "a header is to be read, but nobody is trusted to write it: write `trusted_proxies` \
             with the networks of the proxies, or `trusted_hops` with their number"
                .into()
        });
    }
    if let Some(node) = proxies.or(hops)
        && table.get("header").is_none()
    {
        problems.warn(&node.place, Code::UnusedSetting, || {
            "this has no effect without `header`: the client is the peer".into()
        });
    }
    let default = Prefixes::default();
    let prefixes = Prefixes {
        ipv4: table
            .number("ipv4_prefix", 8..=32, Code::BadPrefix, problems)
            .unwrap_or(default.ipv4),
        ipv6: table
            .number("ipv6_prefix", 32..=128, Code::BadPrefix, problems)
            .unwrap_or(default.ipv6),
    };
    ClientAddress { source, trust, prefixes }
}

/// The name of the header.
fn source(node: &Node, problems: &mut Problems) -> Source {
    let Some(name) = text(node, "header", problems) else { return Source::Peer };
    match name.to_ascii_lowercase().as_str() {
        "none" => return Source::Peer,
        "x-forwarded-for" => return Source::XForwardedFor,
        "forwarded" => return Source::Forwarded,
        _ => {}
    }
    if let Ok(name) = HeaderName::from_str(name) {
        return Source::Single(name);
    }
    problems.add(&node.place, Code::BadValue, || {
        format!(
            "{} is not the name of a header: write `none`, `x-forwarded-for`, `forwarded`, or the \
             name of a header with one address, such as `x-real-ip`",
            shown(name)
        )
    });
    Source::Peer
}

fn trust(table: &Table<'_>, problems: &mut Problems) -> Trust {
    let proxies = table.get("trusted_proxies");
    let hops = table.get("trusted_hops");
    if let (Some(_), Some(node)) = (proxies, hops) {
        problems.add(&node.place, Code::BothGiven, || {
            "`trusted_hops` and `trusted_proxies` are both given: write one of them".into()
        });
    }
    let trusted_hops = hops.and_then(|node| {
        if let Value::Number { integer: Some(0), .. } = node.value {
            problems.add(&node.place, Code::NobodyTrusted, || {
                "`trusted_hops` is 0, so nobody is trusted: write the number of proxies, or leave \
                 `header` out"
                    .into()
            });
            return None;
        }
        table.number("trusted_hops", 1..=u32::MAX, Code::BadValue, problems)
    });
    match (proxies, trusted_hops) {
        (Some(node), _) => trusted_proxies(node, problems),
        (None, Some(hops)) => Trust::Hops(hops),
        (None, None) => Trust::Nobody,
    }
}

fn trusted_proxies(node: &Node, problems: &mut Problems) -> Trust {
    let Some(items) = list(node, "trusted_proxies", "[\"10.0.0.0/8\"]", problems) else {
        return Trust::Nobody;
    };
    if items.is_empty() {
        problems.add(&node.place, Code::NobodyTrusted, || {
            "`trusted_proxies` is empty, so nobody is trusted: write the networks of the proxies, \
             or leave `header` out"
                .into()
        });
    }
    let (mut networks, mut unix): (Vec<IpNet>, bool) = (Vec::new(), false);
    for item in items {
        match &item.value {
            Value::Text(text) if text == "unix" => unix = true,
            Value::Text(text) => match network(text) {
                Ok(network) if network.prefix_len() == 0 => everybody(item, text, problems),
                Ok(network) => networks.push(network),
                Err((code, message)) => problems.add(&item.place, code, || message),
            },
            value => problems.add(&item.place, Code::BadAddress, || {
                let found = found(value);
                format!("found {found}, where a network is expected, such as \"10.0.0.0/8\"")
            }),
        }
    }
    if let Some(network) = IpNet::aggregate(&networks).iter().find(|sum| sum.prefix_len() == 0) {
        everybody(node, &network.to_string(), problems);
    }
    Trust::Proxies { networks, unix }
}

fn everybody(node: &Node, text: &str, problems: &mut Problems) {
    problems.add(&node.place, Code::TrustsEverybody, || {
        format!(
            "{} trusts everybody, so each client could choose its address: write the networks of \
             your proxies",
            shown(text)
        )
    });
}
