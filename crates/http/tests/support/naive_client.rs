//! The rules for the client's address in the plainest form: all lines are joined to one text, the
//! text is parted into a list, and the list is walked from its right end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderValue};
use ipnet::{IpNet, Ipv6Net};
use tollgate_http::address::{ClientAddress, Peer, Source, Trust};

/// The client, as [`ClientAddress::client`] should say.
pub(crate) fn client(config: &ClientAddress, peer: Peer, headers: &HeaderMap) -> Peer {
    let peer = match peer {
        Peer::Ip(address) => Peer::Ip(plain(address)),
        Peer::Unix => Peer::Unix,
    };
    let trusted = match (&config.trust, peer) {
        (Trust::Nobody, _) => false,
        (Trust::Hops(hops), _) => *hops > 0,
        (Trust::Proxies { networks, .. }, Peer::Ip(address)) => covers(networks, address),
        (Trust::Proxies { unix, .. }, Peer::Unix) => *unix,
    };
    if !trusted {
        return peer;
    }
    let list = match &config.source {
        Source::Peer => return peer,
        Source::Single(name) => {
            let lines: Vec<_> = headers.get_all(name).iter().collect();
            let address = match lines[..] {
                [line] => address(trim(line.as_bytes()), false),
                _ => None,
            };
            return address.map_or(peer, Peer::Ip);
        }
        Source::XForwardedFor => joined(headers, "x-forwarded-for")
            .split(|&byte| byte == b',')
            .map(trim)
            .filter(|element| !element.is_empty())
            .map(|element| address(element, false))
            .collect(),
        Source::Forwarded => forwarded(&joined(headers, "forwarded")).unwrap_or_default(),
    };
    walk(&config.trust, &list).map_or(peer, Peer::Ip)
}

fn walk(trust: &Trust, list: &[Option<IpAddr>]) -> Option<IpAddr> {
    let from_right: Vec<Option<IpAddr>> = list.iter().rev().copied().collect();
    match trust {
        Trust::Nobody => None,
        Trust::Hops(hops) => from_right.get(*hops as usize - 1).copied().flatten(),
        Trust::Proxies { networks, .. } => {
            let addresses: Vec<IpAddr> = from_right.into_iter().map_while(|said| said).collect();
            let stranger = addresses.iter().find(|&&address| !covers(networks, address));
            stranger.or(addresses.last()).copied()
        }
    }
}

fn joined(headers: &HeaderMap, name: &str) -> Vec<u8> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    lines.join(&b", "[..])
}

/// What each element says that is not empty, or `None` if a quote is left open.
fn forwarded(text: &[u8]) -> Option<Vec<Option<IpAddr>>> {
    let elements = split(text, b',')?.into_iter().filter(|element| !trim(element).is_empty());
    elements.map(|element| Some(said(&split(element, b';')?))).collect()
}

fn said(pairs: &[&[u8]]) -> Option<IpAddr> {
    let mut values = Vec::new();
    for pair in pairs {
        let end = split(pair, b'=')?.first()?.len();
        let (name, value) = pair.split_at(end);
        if trim(name).eq_ignore_ascii_case(b"for") {
            values.push(value.strip_prefix(b"="));
        }
    }
    match values[..] {
        [Some(value)] => address(&unquoted(trim(value))?, true),
        _ => None,
    }
}

/// The parts between separators outside quoted strings, or `None` if a quote is left open.
fn split(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            byte if byte == separator && !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    // An escape at the end escapes nothing, and is inside quotes.
    parts.push(&text[start..]);
    (!quoted).then_some(parts)
}

/// The content of a quoted string, or a text without quotes as it is.
fn unquoted(value: &[u8]) -> Option<Vec<u8>> {
    let Some(quoted) = value.strip_prefix(b"\"") else {
        return (!value.contains(&b'"')).then(|| value.to_vec());
    };
    let mut content = Vec::new();
    let mut bytes = quoted.iter();
    loop {
        match bytes.next()? {
            b'"' => break,
            b'\\' => content.push(*bytes.next()?),
            byte => content.push(*byte),
        }
    }
    // The library's limit.
    (bytes.next().is_none() && content.len() <= 128).then_some(content)
}

fn address(text: &[u8], names_are_ports: bool) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if text.len() > 128 {
        return None;
    }
    let bracketed = |text: &str| -> Option<Ipv6Addr> {
        text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
    };
    let whole = text.parse::<IpAddr>().ok().or_else(|| bracketed(text).map(IpAddr::V6));
    let address = whole.or_else(|| {
        let (host, port) = text.rsplit_once(':')?;
        let is_number = !port.is_empty()
            && port.len() <= 5
            && port.chars().all(|digit| digit.is_ascii_digit())
            && port.parse::<u32>().is_ok_and(|port| port <= 65535);
        let is_name = names_are_ports
            && port.len() > 1
            && port.starts_with('_')
            && port.chars().all(|char| char.is_ascii_alphanumeric() || "._-".contains(char));
        let host = host.parse::<Ipv4Addr>().ok().map(IpAddr::V4);
        let host = host.or_else(|| bracketed(text.rsplit_once(':')?.0).map(IpAddr::V6));
        (is_number || is_name).then_some(host?)
    });
    address.map(plain)
}

fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let translated: Ipv6Net = "64:ff9b::/96".parse().expect("a network");
    let [.., a, b, c, d] = v6.octets();
    let is_wrapped = v6.to_ipv4_mapped().is_some() || translated.contains(&v6);
    if is_wrapped { Ipv4Addr::new(a, b, c, d).into() } else { address }
}

fn covers(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| {
        let forms = match (network, address) {
            (IpNet::V6(network), IpAddr::V4(v4)) if network.prefix_len() >= 96 => {
                let [a, b, c, d] = v4.octets();
                let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                vec![
                    IpAddr::V6(v4.to_ipv6_mapped()),
                    IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low)),
                ]
            }
            _ => vec![address],
        };
        forms.iter().any(|form| network.contains(form))
    })
}

fn trim(text: &[u8]) -> &[u8] {
    let is_text = |&byte: &u8| byte != b' ' && byte != b'\t';
    let Some(start) = text.iter().position(is_text) else { return &[] };
    let end = text.iter().rposition(is_text).map_or(start, |last| last + 1);
    &text[start..end]
}
