//! nginx in front.

use tempfile::TempDir;
use tollgate_http::RateLimitLayer;
use tollgate_http::address::Peer;
use tollgate_http_network_tests::{
    Program, Server, free_port, has_ipv6, limiter, needs, nginx, say,
};

use super::{
    FORGED, a_client_is_counted_by_its_own_address, a_direct_client_is_counted_as_the_peer, ask,
    gets_ten_requests, long_list, policy, site, start,
};

/// The headers that nginx sends on, as its users set them.
const HEADERS: &str = "proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";

/// A `server` block that sends all to `to`, with `more` settings.
fn server(listen: &str, to: &str, more: &str) -> String {
    format!(
        "server {{ listen {listen}; location / {{ proxy_pass http://{to}; {HEADERS} {more} }} }}"
    )
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn one_hop(test: &str, client: &str) -> Option<(Server, String, Program, TempDir)> {
    if !needs(test, &["nginx", "curl"]) {
        return None;
    }
    let (service, folder, port) = (start(client), folder(), free_port());
    let block = server(&format!("127.0.0.1:{port}"), &service.address().to_string(), "");
    let proxy = nginx(folder.path(), port, &block);
    Some((service, format!("http://127.0.0.1:{port}/"), proxy, folder))
}

#[test]
fn x_forwarded_for_of_nginx() {
    let client = r#"header = "x-forwarded-for"
        trusted_proxies = ["127.0.0.1/32"]"#;
    let test = "nginx::x_forwarded_for_of_nginx";
    let Some((service, url, _proxy, _folder)) = one_hop(test, client) else { return };
    a_client_is_counted_by_its_own_address(&url, FORGED);
    a_direct_client_is_counted_as_the_peer(&service);
    let expected = (200, "calls address 127.0.0.5: 9".to_owned());
    assert_eq!(ask(&url, "127.0.0.5", &[&long_list()]), expected);
}

#[test]
fn x_real_ip_of_nginx() {
    let client = r#"header = "x-real-ip"
        trusted_proxies = ["127.0.0.1/32"]"#;
    let test = "nginx::x_real_ip_of_nginx";
    let Some((service, url, _proxy, _folder)) = one_hop(test, client) else { return };
    a_client_is_counted_by_its_own_address(&url, FORGED);
    a_direct_client_is_counted_as_the_peer(&service);
}

#[test]
fn one_trusted_hop() {
    let client = r#"header = "x-forwarded-for"
        trusted_hops = 1"#;
    let test = "nginx::one_trusted_hop";
    let Some((_service, url, _proxy, _folder)) = one_hop(test, client) else { return };
    a_client_is_counted_by_its_own_address(&url, FORGED);
}

/// nginx sends the requests of all clients through a few connections that it keeps.
#[test]
fn clients_that_share_a_connection() {
    if !needs("nginx::clients_that_share_a_connection", &["nginx", "curl"]) {
        return;
    }
    let service = start(
        r#"header = "x-forwarded-for"
        trusted_proxies = ["127.0.0.1/32"]"#,
    );
    let (folder, port) = (folder(), free_port());
    let upstream = format!("upstream service {{ server {}; keepalive 1; }}", service.address());
    let keep = "proxy_http_version 1.1; proxy_set_header Connection '';";
    let block = server(&format!("127.0.0.1:{port}"), "service", keep);
    let _proxy = nginx(folder.path(), port, &format!("{upstream} {block}"));
    let url = format!("http://127.0.0.1:{port}/");
    for left in (0..10).rev() {
        for client in ["127.0.0.2", "127.0.0.3"] {
            let expected = (200, format!("calls address {client}: {left}"));
            assert_eq!(ask(&url, client, &["X-Forwarded-For: 127.0.0.4"]), expected);
        }
    }
    assert_eq!(ask(&url, "127.0.0.2", &[]).0, 429);
}

/// The service believes nobody, so all that comes through nginx is counted as nginx.
#[test]
fn nginx_that_is_not_trusted_is_the_client() {
    let client = r#"header = "x-forwarded-for"
        trusted_proxies = ["192.0.2.0/24"]"#;
    let test = "nginx::nginx_that_is_not_trusted_is_the_client";
    let Some((_service, url, _proxy, _folder)) = one_hop(test, client) else { return };
    for (address, left) in [("127.0.0.2", 9), ("127.0.0.3", 8)] {
        let expected = (200, format!("calls address 127.0.0.1: {left}"));
        assert_eq!(ask(&url, address, &[]), expected);
    }
}

/// Two proxies, each with an address of its own.
fn two_hops(test: &str, client: &str) {
    if !needs(test, &["nginx", "curl"]) {
        return;
    }
    let (service, folder) = (start(client), folder());
    let (outer, inner) = (free_port(), free_port());
    let blocks = [
        server(
            &format!("127.0.0.1:{outer}"),
            &format!("127.0.0.1:{inner}"),
            "proxy_bind 127.0.1.1;",
        ),
        server(
            &format!("127.0.0.1:{inner}"),
            &service.address().to_string(),
            "proxy_bind 127.0.1.2;",
        ),
    ];
    let _proxy = nginx(folder.path(), outer, &blocks.concat());
    let url = format!("http://127.0.0.1:{outer}/");
    a_client_is_counted_by_its_own_address(&url, FORGED);
}

#[test]
fn two_nginx_whose_network_is_trusted() {
    let client = r#"header = "x-forwarded-for"
        trusted_proxies = ["127.0.1.0/24"]"#;
    two_hops("nginx::two_nginx_whose_network_is_trusted", client);
}

#[test]
fn two_trusted_hops() {
    let client = r#"header = "x-forwarded-for"
        trusted_hops = 2"#;
    two_hops("nginx::two_trusted_hops", client);
}

fn over_unix(test: &str, client: &str) -> Option<(Server, String, Program, TempDir)> {
    if !needs(test, &["nginx", "curl"]) {
        return None;
    }
    let (folder, port) = (folder(), free_port());
    let socket = folder.path().join("service");
    let layer = RateLimitLayer::new(limiter(&policy(client))).peer(|_| Some(Peer::Unix));
    let service = Server::start_on_unix(&socket, site(layer));
    let block = server(&format!("127.0.0.1:{port}"), &format!("unix:{}", socket.display()), "");
    let proxy = nginx(folder.path(), port, &block);
    Some((service, format!("http://127.0.0.1:{port}/"), proxy, folder))
}

#[test]
fn a_unix_socket_behind_nginx() {
    let client = r#"header = "x-forwarded-for"
        trusted_proxies = ["unix"]"#;
    let test = "nginx::a_unix_socket_behind_nginx";
    let Some((_service, url, _proxy, _folder)) = over_unix(test, client) else { return };
    a_client_is_counted_by_its_own_address(&url, FORGED);
}

#[test]
fn a_unix_socket_that_is_not_trusted() {
    let client = r#"header = "x-forwarded-for"
        trusted_proxies = ["127.0.0.1/32"]"#;
    let test = "nginx::a_unix_socket_that_is_not_trusted";
    let Some((_service, url, _proxy, _folder)) = over_unix(test, client) else { return };
    for (address, left) in [("127.0.0.2", 9), ("127.0.0.3", 8)] {
        assert_eq!(ask(&url, address, &[]), (200, format!("calls address unix: {left}")));
    }
}

/// A service that nginx reaches by IPv6, and a client that reaches nginx by IPv6.
#[test]
fn ipv6_behind_and_in_front() {
    let test = "nginx::ipv6_behind_and_in_front";
    if !needs(test, &["nginx", "curl"]) {
        return;
    }
    if !has_ipv6() {
        say(&format!("SKIPPED: {test}, because this machine has no ::1"));
        return;
    }
    for (service, proxy) in [("[::1]:0", "::1/128"), ("127.0.0.1:0", "127.0.0.1/32")] {
        let client = format!("header = \"x-forwarded-for\"\ntrusted_proxies = [\"{proxy}\"]");
        let layer = RateLimitLayer::new(limiter(&policy(&client)));
        let service = Server::start_on(service, site(layer));
        let (folder, port) = (folder(), free_port());
        let listen = format!("127.0.0.1:{port}; listen [::1]:{port}");
        let block = server(&listen, &service.address().to_string(), "");
        let _proxy = nginx(folder.path(), port, &block);
        a_client_is_counted_by_its_own_address(&format!("http://127.0.0.1:{port}/"), FORGED);
        if proxy == "127.0.0.1/32" {
            // Its /64 network is its key.
            gets_ten_requests(&format!("http://[::1]:{port}/"), "::1", "::/64", FORGED);
        }
    }
}

/// Subjects of the policy are told apart by the client's address, which no header changes.
#[test]
fn blocked_and_exempt_clients() {
    let client = r#"header = "x-forwarded-for"
        trusted_proxies = ["127.0.0.1/32"]
        [[subjects]]
        address = "127.0.0.8"
        blocked = true
        [[subjects]]
        address = "127.0.0.9"
        exempt = true"#;
    let test = "nginx::blocked_and_exempt_clients";
    let Some((_service, url, _proxy, _folder)) = one_hop(test, client) else { return };
    for forged in ["127.0.0.8", "127.0.0.9", "127.0.0.2", "127.0.0.1"] {
        let forged = format!("X-Forwarded-For: {forged}");
        assert_eq!(ask(&url, "127.0.0.8", &[&forged]).0, 403, "{forged}");
        for _ in 0..5 {
            assert_eq!(ask(&url, "127.0.0.9", &[&forged]), (200, String::new()), "{forged}");
        }
    }
    let forged = &["X-Forwarded-For: 127.0.0.9", "X-Real-IP: 127.0.0.8"];
    gets_ten_requests(&url, "127.0.0.2", "127.0.0.2", &[forged]);
}
