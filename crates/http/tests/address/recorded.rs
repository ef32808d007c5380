//! Headers as proxies write them, from the documentation, tests and issues of public projects.
//!
//! Addresses that are masked in a source stand here as ones of RFC 5737.

use http::header::HeaderName;
use tollgate_http::address::{Source, Trust};

use super::{client, config, proxies};

struct Recorded {
    /// Where it stands.
    from: &'static str,
    header: &'static str,
    lines: &'static [&'static str],
    /// The networks of trusted proxies, or one number of hops.
    trusted: &'static [&'static str],
    peer: &'static str,
    client: &'static str,
}

#[test]
fn each_recorded_header_is_read_as_its_proxy_means_it() {
    for case in RECORDED {
        let source = match case.header {
            "x-forwarded-for" => Source::XForwardedFor,
            "forwarded" => Source::Forwarded,
            name => Source::Single(HeaderName::from_static(name)),
        };
        let trust = match case.trusted {
            [hops] if !hops.contains(['.', ':', 'u']) => {
                Trust::Hops(hops.parse().expect("a number"))
            }
            networks => proxies(networks),
        };
        let said = client(&config(source, trust), case.peer, case.lines);
        assert_eq!(said, case.client, "{}: {:?}", case.from, case.lines);
    }
}

/// `header: lines`, from a `peer` that is trusted like the networks or hops, is about `client`.
macro_rules! recorded {
    ($($from:literal: $header:literal $lines:expr, $trusted:expr, $peer:literal => $client:literal;)*) => {
        &[$(Recorded {
            from: $from,
            header: $header,
            lines: &$lines,
            trusted: &$trusted,
            peer: $peer,
            client: $client,
        }),*]
    };
}

const RECORDED: &[Recorded] = recorded! {
    "RFC 7239 section 4":
        "forwarded" ["for=\"_gazonk\""], ["10.0.0.0/8"], "10.0.0.1" => "10.0.0.1";
    "RFC 7239 section 4":
        "forwarded" ["For=\"[2001:db8:cafe::17]:4711\""], ["10.0.0.0/8"], "10.0.0.1" => "2001:db8:cafe::17";
    "RFC 7239 section 4":
        "forwarded" ["for=192.0.2.60;proto=http;by=203.0.113.43"], ["10.0.0.0/8"], "10.0.0.1" => "192.0.2.60";
    "RFC 7239 section 4":
        "forwarded" ["for=192.0.2.43, for=198.51.100.17"], ["10.0.0.0/8"], "10.0.0.1" => "198.51.100.17";
    "RFC 7239 section 4, with the first proxy trusted":
        "forwarded" ["for=192.0.2.43, for=198.51.100.17"], ["10.0.0.0/8", "198.51.100.17/32"], "10.0.0.1" => "192.0.2.43";
    "RFC 7239 section 6":
        "forwarded" ["for=\"192.0.2.43:47011\""], ["10.0.0.0/8"], "10.0.0.1" => "192.0.2.43";
    "RFC 7239 section 6.3":
        "forwarded" ["for=_hidden, for=_SEVKISEK"], ["10.0.0.0/8"], "10.0.0.1" => "10.0.0.1";
    "RFC 7239 section 7.1, one line":
        "forwarded" ["for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown"], ["10.0.0.0/8"], "10.0.0.1" => "10.0.0.1";
    "RFC 7239 section 7.1, two lines":
        "forwarded" ["for=192.0.2.43", "for=\"[2001:db8:cafe::17]\", for=unknown"], ["10.0.0.0/8"], "10.0.0.1" => "10.0.0.1";
    "RFC 7239 section 7.4":
        "x-forwarded-for" ["192.0.2.43, 2001:db8:cafe::17"], ["10.0.0.0/8"], "10.0.0.1" => "2001:db8:cafe::17";
    "RFC 7239 section 7.4":
        "forwarded" ["for=192.0.2.43, for=\"[2001:db8:cafe::17]\""], ["10.0.0.0/8"], "10.0.0.1" => "2001:db8:cafe::17";
    "RFC 7239 section 7.5":
        "forwarded" ["for=192.0.2.43,for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com"], ["203.0.113.60/32"], "203.0.113.60" => "198.51.100.17";

    "HAProxy, regression test of `option forwarded`, default form":
        "forwarded" ["proto=http;for=127.0.0.1"], ["10.0.0.0/8"], "10.0.0.1" => "127.0.0.1";
    "HAProxy, regression test of `option forwarded`, with ports":
        "forwarded" ["by=\"127.0.0.3:10\";for=\"127.0.0.2:_id\""], ["10.0.0.0/8"], "10.0.0.1" => "127.0.0.2";
    "HAProxy, regression test of its converters, IPv6 with a hidden port":
        "forwarded" ["proto=http;for=\"[::1]:_id\""], ["10.0.0.0/8"], "10.0.0.1" => "::1";
    "HAProxy, regression test of its converters, unknown":
        "forwarded" ["for=\"unknown:132\";host=\"[::1]:65535\";by=\"_obfs:_port\";proto=https"], ["10.0.0.0/8"], "10.0.0.1" => "10.0.0.1";
    "HAProxy, regression test of its converters, no for":
        "forwarded" ["fore=\"unknown:132\""], ["10.0.0.0/8"], "10.0.0.1" => "10.0.0.1";
    "HAProxy, regression test of its converters, open quote":
        "forwarded" ["\""], ["10.0.0.0/8"], "10.0.0.1" => "10.0.0.1";
    "OpenShift's router on HAProxy, template of its configuration: IPv6 without brackets and quotes":
        "forwarded" ["for=2001:db8::7;host=example.com;proto=https"], ["10.0.0.0/8"], "10.0.0.1" => "2001:db8::7";

    "nginx, test of the realip module, recursive":
        "x-forwarded-for" ["10.0.1.1, 192.0.2.1, 127.0.0.1"], ["127.0.0.1/32", "10.0.1.0/24"], "127.0.0.1" => "192.0.2.1";
    "nginx, test of the realip module, several lines":
        "x-forwarded-for" ["10.0.1.1", "192.0.2.1", "127.0.0.1"], ["127.0.0.1/32", "10.0.1.0/24"], "127.0.0.1" => "192.0.2.1";
    "nginx, test of the realip module, another header":
        "x-real-ip-custom" ["192.0.2.1"], ["127.0.0.1/32"], "127.0.0.1" => "192.0.2.1";
    "nginx in front of nginx on a Unix socket, Anubis issue 1756":
        "x-real-ip" ["unix:"], ["unix"], "unix" => "unix";
    "nginx, Jetty issue 3630":
        "x-forwarded-for" ["2001:878:302:6:5dcb:8e1:f1c9:c71c"], ["10.0.0.0/8"], "10.0.0.1" => "2001:878:302:6:5dcb:8e1:f1c9:c71c";

    "Envoy, documentation of x-forwarded-for, external proxy":
        "x-forwarded-for" ["50.0.0.1, 40.0.0.1"], ["10.0.0.0/8"], "10.0.0.1" => "40.0.0.1";
    "Envoy, documentation of x-forwarded-for, internal proxy":
        "x-forwarded-for" ["50.0.0.1, 10.0.0.1"], ["10.0.0.0/8"], "10.0.0.2" => "50.0.0.1";
    "Envoy, documentation of trusted client addresses, example 1, seen behind it":
        "x-forwarded-for" ["203.0.113.128, 203.0.113.10, 203.0.113.1, 192.0.2.5"], ["1"], "10.11.12.13" => "192.0.2.5";
    "Envoy, test of the last address, two hops":
        "x-forwarded-for" ["192.0.2.10, 192.0.2.1, 10.0.0.1"], ["2"], "10.0.0.2" => "192.0.2.1";
    "Envoy, test of the last address, too few":
        "x-forwarded-for" ["192.0.2.10, 192.0.2.1, 10.0.0.1"], ["4"], "10.0.0.2" => "10.0.0.2";

    "Traefik, test of the depth strategy":
        "x-forwarded-for" ["10.0.0.4,10.0.0.3,10.0.0.2,10.0.0.1"], ["3"], "192.0.2.1" => "10.0.0.3";
    "Traefik, test of the depth strategy, the first":
        "x-forwarded-for" ["10.0.0.2,10.0.0.1"], ["2"], "192.0.2.1" => "10.0.0.2";
    "Traefik, test of the depth strategy, empty (Traefik: no address)":
        "x-forwarded-for" [""], ["2"], "192.0.2.1" => "192.0.2.1";
    "Traefik, test of excluded networks":
        "x-forwarded-for" ["127.0.0.1,10.0.0.4,10.0.0.3,10.0.0.2,10.0.0.1"], ["10.0.0.0/24"], "10.0.0.9" => "127.0.0.1";
    "Traefik, test of excluded networks, all (Traefik: no address)":
        "x-forwarded-for" ["10.0.0.4,10.0.0.3,10.0.0.2,10.0.0.1"], ["10.0.0.0/24"], "10.0.0.9" => "10.0.0.4";

    "AWS, documentation of Elastic Load Balancing":
        "x-forwarded-for" ["203.0.113.7"], ["10.0.0.0/8"], "10.0.0.1" => "203.0.113.7";
    "AWS, documentation of Elastic Load Balancing, IPv6":
        "x-forwarded-for" ["2001:DB8::21f:5bff:febf:ce22:8a2e"], ["10.0.0.0/8"], "10.0.0.1" => "2001:db8:0:21f:5bff:febf:ce22:8a2e";
    "AWS API Gateway, request-ip issue 70":
        "forwarded" ["for=94.134.90.17;host=public-api.example.org;proto=https"], ["10.0.0.0/8"], "10.0.0.1" => "94.134.90.17";
    "AWS API Gateway, express-session issue 886":
        "forwarded" ["by=1.2.3.4;for=5.6.7.8;host=my.example.com;proto=https"], ["10.0.0.0/8"], "10.0.0.1" => "5.6.7.8";

    "Azure Application Gateway, Gravitee issue 1468":
        "x-forwarded-for" ["1.2.3.4:51008"], ["10.0.0.0/8"], "10.0.0.1" => "1.2.3.4";
    "Azure Application Gateway, django-ipware change 87":
        "x-forwarded-for" ["177.139.233.139:17085, 10.0.0.6"], ["10.0.0.0/8", "192.168.0.0/16"], "192.168.50.44" => "177.139.233.139";
    "Azure Static Web Apps, svelte-adapter-azure-swa change 71":
        "x-forwarded-for" ["8.23.191.142:52987, [fd00::d63d:e0b8:bc35:12be:2e17:f3af]:64909"], ["10.0.0.0/8", "fd00::/8"], "10.0.0.1" => "8.23.191.142";
    "Azure Web Sites, iisnode issue 26":
        "x-forwarded-for" ["unknown, 203.0.113.9:61598"], ["10.0.0.0/8"], "10.0.0.1" => "203.0.113.9";
    "IPv4 in IPv6 with a port but without brackets, ASP.NET BasicMiddleware issue 302":
        "x-forwarded-for" ["::ffff:203.0.113.9:12345"], ["10.0.0.0/8"], "10.0.0.1" => "10.0.0.1";

    "Cloudflare, documentation of request headers":
        "cf-connecting-ip" ["203.0.113.1"], ["198.51.100.0/24"], "198.51.100.9" => "203.0.113.1";
    "Cloudflare, documentation of request headers":
        "true-client-ip" ["203.0.113.1"], ["198.51.100.0/24"], "198.51.100.9" => "203.0.113.1";
    "Cloudflare, documentation of request headers, two proxies before it, of which nobody knows":
        "x-forwarded-for" ["203.0.113.1,198.51.100.101,198.51.100.102"], ["192.0.2.0/24"], "192.0.2.9" => "198.51.100.102";
    "Cloudflare, documentation of request headers, two trusted proxies before it":
        "x-forwarded-for" ["203.0.113.1,198.51.100.101,198.51.100.102"], ["192.0.2.0/24", "198.51.100.0/24"], "192.0.2.9" => "203.0.113.1";

    "Google Cloud load balancer, registry.k8s.io change 61":
        "x-forwarded-for" ["203.0.113.9, 2600:1901:0:a7aa::,203.0.113.9"], ["169.254.0.0/16"], "169.254.1.1" => "203.0.113.9";
    "Google Cloud load balancer, documented form `supplied,client,balancer`":
        "x-forwarded-for" ["6.6.6.6,203.0.113.9,2600:1901:0:a7aa::"], ["2"], "35.191.0.1" => "203.0.113.9";

    "Heroku, answer of its support in citizenos-api issue 217":
        "x-forwarded-for" ["2.2.2.2,3.3.3.3,4.4.4.4, 8.8.8.8"], ["1"], "10.1.2.3" => "8.8.8.8";
    "Heroku behind a firewall, documentation of Expedited Security":
        "x-forwarded-for" ["24.253.155.67, 185.93.229.11"], ["10.0.0.0/8", "185.93.228.0/22"], "10.1.2.3" => "24.253.155.67";

    "idealo's proxies, Spring Cloud Gateway issue 2656: ports without quotes":
        "forwarded" ["by=62.1.2.3:443;for=89.1.2.3:42857;host=www.mysite.com;proto=https"], ["10.0.0.0/8"], "10.0.0.1" => "89.1.2.3";
    "Spring Cloud Gateway, issue 2656":
        "forwarded" ["proto=http;host=www.myintsite.com;for=\"10.1.2.3:36286\""], ["192.168.0.0/16"], "192.168.0.1" => "10.1.2.3";
    "uWebSockets.js, forwarded-parse issue 3":
        "forwarded" ["by=\"[::1]:4430\";for=\"[::1]:57096\";proto=https;host=localhost:4430"], ["10.0.0.0/8"], "10.0.0.1" => "::1";
    "GenHTTP, issue 724: neither quotes nor brackets":
        "forwarded" ["for=::ffff:127.0.0.1;host=::ffff:127.0.0.1:8080;proto=http"], ["10.0.0.0/8"], "10.0.0.1" => "127.0.0.1";
    "Sozu, change 1261: a port but no brackets, which cannot be told from a longer address":
        "forwarded" ["proto=https;for=\"2001:db8::1:8080\";by=\"2001:db8::2\""], ["10.0.0.0/8"], "10.0.0.1" => "2001:db8::1:8080";

    "Squid with `forwarded_for off`, home-assistant issue 108712":
        "x-forwarded-for" ["unknown, 203.0.113.9"], ["10.0.0.0/8"], "10.0.0.1" => "203.0.113.9";
    "Squid, waca issue 182":
        "x-forwarded-for" ["unknown, 1.1.1.1, 2.2.2.2"], ["10.68.0.0/16"], "10.68.16.65" => "2.2.2.2";
    "A client's quotes, ASP.NET Core issue 36537":
        "x-forwarded-for" ["\"2.2.2.2, 1.1.1.1"], ["10.0.0.0/8"], "10.0.0.1" => "1.1.1.1";
    "A client's quotes, ASP.NET Core issue 36537":
        "x-forwarded-for" ["2.2\"2.2, 1.1.1.1"], ["10.0.0.0/8"], "10.0.0.1" => "1.1.1.1";
};
