//! `HAProxy` in front.

use tempfile::TempDir;
use tollgate_http::RateLimitLayer;
use tollgate_http::address::Peer;
use tollgate_http_network_tests::{Program, Server, free_port, haproxy, limiter, needs};

use super::{
    FORGED, a_client_is_counted_by_its_own_address, a_direct_client_is_counted_as_the_peer, ask,
    long_list, policy, site, start,
};

struct Proxy {
    url: String,
    _program: Program,
    _folder: TempDir,
}

/// Starts `HAProxy` with these settings of its frontend, before a server at `to`.
fn start_proxy(settings: &str, to: &str) -> Proxy {
    let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
    let config = format!(
        "defaults\n mode http\n maxconn 256\n timeout connect 60s\n timeout client 60s\n \
         timeout server 60s\nlisten proxy\n bind 127.0.0.1:{port}\n {settings}\n server service {to}\n"
    );
    let program = haproxy(folder.path(), port, &config);
    Proxy { url: format!("http://127.0.0.1:{port}/"), _program: program, _folder: folder }
}

fn needed(test: &str) -> bool {
    needs(test, &["haproxy", "curl"])
}

fn before(service: &Server, settings: &str) -> Proxy {
    start_proxy(settings, &service.address().to_string())
}

/// `HAProxy` appends a line of its own below those of the client.
#[test]
fn x_forwarded_for_of_haproxy() {
    if !needed("haproxy::x_forwarded_for_of_haproxy") {
        return;
    }
    let service = start(
        r#"header = "x-forwarded-for"
        trusted_proxies = ["127.0.0.1/32"]"#,
    );
    let proxy = before(&service, "option forwardfor");
    a_client_is_counted_by_its_own_address(&proxy.url, FORGED);
    a_direct_client_is_counted_as_the_peer(&service);
    let expected = (200, "calls address 127.0.0.5: 9".to_owned());
    assert_eq!(ask(&proxy.url, "127.0.0.5", &[&long_list()]), expected);
}

#[test]
fn one_hop_of_haproxy() {
    if !needed("haproxy::one_hop_of_haproxy") {
        return;
    }
    let service = start(
        r#"header = "x-forwarded-for"
        trusted_hops = 1"#,
    );
    let proxy = before(&service, "option forwardfor");
    a_client_is_counted_by_its_own_address(&proxy.url, FORGED);
}

/// Headers that are no proper `Forwarded`.
const BROKEN: &[&[&str]] = &[
    &["Forwarded: for=\"203.0.113.9"],
    &["Forwarded: for=\"\\"],
    &["Forwarded: ;;,=,\"\""],
    &["Forwarded: for=203.0.113.9;for=127.0.0.1"],
    &["Forwarded: for=127.0.0.1", "Forwarded: for=\""],
];

/// `HAProxy` replaces what the client has sent.
#[test]
fn forwarded_that_is_set() {
    if !needed("haproxy::forwarded_that_is_set") {
        return;
    }
    let service = start(
        r#"header = "forwarded"
        trusted_proxies = ["127.0.0.1/32"]"#,
    );
    let proxy = before(&service, "http-request set-header Forwarded for=%[src];proto=http");
    a_client_is_counted_by_its_own_address(&proxy.url, &[FORGED, BROKEN].concat());
    a_direct_client_is_counted_as_the_peer(&service);
}

/// `HAProxy` appends a line to what the client has sent.
#[test]
fn forwarded_that_is_appended() {
    if !needed("haproxy::forwarded_that_is_appended") {
        return;
    }
    let service = start(
        r#"header = "forwarded"
        trusted_proxies = ["127.0.0.1/32"]"#,
    );
    let proxy = before(&service, "http-request add-header Forwarded for=%[src];by=127.0.0.1");
    a_client_is_counted_by_its_own_address(&proxy.url, FORGED);
    a_direct_client_is_counted_as_the_peer(&service);
}

/// A quote that a client leaves open swallows the line that is appended below it, so that the
/// header says nothing any more: all such clients share the bucket of the proxy. A proxy that sets
/// the header, as above, leaves them their own buckets.
#[test]
fn a_quote_left_open_above_an_appended_line() {
    if !needed("haproxy::a_quote_left_open_above_an_appended_line") {
        return;
    }
    let service = start(
        r#"header = "forwarded"
        trusted_proxies = ["127.0.0.1/32"]"#,
    );
    let proxy = before(&service, "http-request add-header Forwarded for=%[src]");
    for (client, left) in [("127.0.0.2", 9), ("127.0.0.3", 8)] {
        let expected = (200, format!("calls address 127.0.0.1: {left}"));
        assert_eq!(ask(&proxy.url, client, &["Forwarded: for=\""]), expected);
    }
}

#[test]
fn a_unix_socket_behind_haproxy() {
    if !needed("haproxy::a_unix_socket_behind_haproxy") {
        return;
    }
    let client = r#"header = "x-forwarded-for"
        trusted_proxies = ["unix"]"#;
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("service");
    let layer = RateLimitLayer::new(limiter(&policy(client))).peer(|_| Some(Peer::Unix));
    let _service = Server::start_on_unix(&socket, site(layer));
    let proxy = start_proxy("option forwardfor", &format!("unix@{}", socket.display()));
    a_client_is_counted_by_its_own_address(&proxy.url, FORGED);
}
