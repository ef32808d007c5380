//! Envoy's Rate Limit Service: each field by a client of gRPC, and a real Envoy in front of a
//! server. `scripts/server_tests` gets the Envoy; without it, those tests are skipped, and say so.

mod bounds;
mod client;
mod fields;
mod proxied;
mod proxy;
mod server;

/// The policies of the page for operators, and what it says of Envoy's own settings.
#[test]
fn the_page_is_right() {
    let page = include_str!("../../docs/envoy.md");
    let mut policies = 0;
    for block in page.split("\n```toml\n").skip(1) {
        let text = block.split("\n```").next().expect("a block ends");
        let policy: tollgate_http::Policy =
            text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(policy.warnings(), []);
        policies += 1;
    }
    assert_eq!(policies, 4);
    for setting in ["enable_x_ratelimit_headers", "enable_retry_after_header", "failure_mode_deny"]
    {
        assert!(page.contains(setting) && proxy::CONFIGURATION.contains(setting), "{setting}");
    }
}
