//! What logs tell of a request beside the client and the time.

use std::borrow::Cow;

use tollgate_server::replay::log::client::Addresses;
use tollgate_server::replay::log::layout;
use tollgate_server::replay::log::{Request, common};

use crate::support::file;

/// What the first line of each log with a request tells: method, path, host, user, status.
#[test]
fn the_requests_of_many_servers() {
    for (name, expected) in [
        ("01_vhost_first.log", ["GET", "/", "vhost1.example:80", "", "200"]),
        ("08_two_spaces_before_request.log", ["GET", "/a", "", "", "200"]),
        ("10_apache_ssl_request.log", ["GET", "/x", "", "", ""]),
        ("12_alb.log", ["GET", "/", "www.example.com:80", "", "200"]),
        ("14_nginx.json.log", ["GET", "/", "", "", "200"]),
        ("15_caddy.json.log", ["GET", "/", "localhost", "", "200"]),
        ("20_client_dash_balancer_time.log", ["GET", "/static/a.png", "", "", "404"]),
        ("classic_elb.log", ["GET", "/", "www.example.com:80", "", "200"]),
        ("cloudfront.log", ["GET", "/index.html", "d111111abcdef8.example", "", "200"]),
        ("collectors.log", ["GET", "/", "", "", "200"]),
        ("envoy.json.log", ["GET", "/wrongpath", "", "", "404"]),
        ("haproxy.log", ["GET", "/index.html", "", "", "200"]),
        ("iis.log", ["POST", "/xas/", "", "", "404"]),
        ("istio.log", ["GET", "/status/418", "httpbin:8000", "", "418"]),
        ("s3.log", ["GET", "/awsexamplebucket1", "", "", "200"]),
        ("traefik.json.log", ["GET", "/", "shop.example", "", "200"]),
    ] {
        let log = file(name);
        let found = layout::find(&log, &layout::Hints::default());
        let mut layout = found.unwrap_or_else(|why| panic!("{name}: {why}")).layout;
        let mut requests =
            common::lines(&log).filter_map(|line| layout.request(line, Addresses::default()).ok());
        let request = requests.next().unwrap_or_else(|| panic!("{name}: no request"));
        assert_eq!(told(request), expected, "{name}");
    }
}

#[test]
fn a_given_format_tells_the_rest_of_a_request_too() {
    for (format, line, expected) in [
        (
            "$remote_addr [$time_iso8601] $request_method $host $request_uri $status $remote_user",
            "192.0.2.1 [2015-05-17T10:05:03Z] PUT a.example /b?c 201 alice",
            ["PUT", "/b", "a.example", "alice", "201"],
        ),
        (
            "%a %t %m %U %>s %V",
            "192.0.2.1 [17/May/2015:10:05:03 +0000] GET /b 404 a.example",
            ["GET", "/b", "a.example", "", "404"],
        ),
        (
            "%START_TIME% %REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %RESPONSE_CODE% \
             %REQ(:AUTHORITY)% %DOWNSTREAM_REMOTE_ADDRESS%",
            "2015-05-17T10:05:03Z GET /b?c 503 a.example 192.0.2.1:99",
            ["GET", "/b", "a.example", "", "503"],
        ),
    ] {
        let hints = layout::Hints { format: Some(format.into()), ..layout::Hints::default() };
        let found = layout::find(line.as_bytes(), &hints);
        let mut layout = found.unwrap_or_else(|why| panic!("{line}: {why}")).layout;
        let request = layout.request(line.as_bytes(), Addresses::default());
        let request = request.unwrap_or_else(|why| panic!("{line}: {why:?}"));
        assert_eq!(told(request), expected, "{line}");
    }
}

/// Method, path, host, user, status.
fn told(request: Request<'_>) -> [String; 5] {
    let details = request.details;
    let status = details.status.map_or_else(String::new, |status| status.to_string());
    let text = |text: Cow<'_, [u8]>| String::from_utf8_lossy(&text).into_owned();
    [text(details.method), text(details.path), text(details.host), text(details.user), status]
}
