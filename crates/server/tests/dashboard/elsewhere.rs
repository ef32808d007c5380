//! Pages elsewhere in a browser: what they send to a service on its machine takes nothing.

use serde_json::json;
use tollgate_server::net::ListenAddress;
use tollgate_test_programs::needs;

use crate::browser::Browser;
use crate::support::{Running, THREE_A_DAY};

const CHECK: &str = r#"{"method":"GET","path":"/","user":"alice"}"#;

#[tokio::test]
async fn a_page_elsewhere_spends_no_permit() {
    if !needs("elsewhere::a_page_elsewhere_spends_no_permit", &["chromium"]) {
        return;
    }
    let service = Running::with(THREE_A_DAY, "").await;
    // Its `/healthz` is a page without a policy of its own, of another origin.
    let elsewhere = Running::with(THREE_A_DAY, "").await;
    let port = |service: &Running| match service.server.listen() {
        ListenAddress::Tcp(address) => address.port(),
        ListenAddress::Unix(_) => panic!("a port"),
    };
    let (own, other) = (port(&service), port(&elsewhere));
    let mut browser = Browser::start().await;
    // Of the same site, of another site, and a name of the page's own that points to this machine.
    // The page can't read what another origin has answered: then its status is 0.
    for (page, host, status) in [
        (format!("http://127.0.0.1:{other}"), "127.0.0.1", 0),
        (format!("http://127.0.0.1:{other}"), "localhost", 0),
        (format!("http://rebound.localhost:{own}"), "rebound.localhost", 403),
    ] {
        browser.open(&format!("{page}/healthz"), "document.body?.textContent === 'ok\\n'").await;
        let url = format!("http://{host}:{own}/v1/check");
        let sent = format!(
            "fetch({}, {{ method: 'POST', mode: 'no-cors', body: {} }})",
            json!(url),
            json!(CHECK)
        );
        let told = browser.value(&format!("{sent}.then(answer => answer.status)")).await;
        assert_eq!(told, status, "{page} {host}");
    }
    // Headers that are not usual have to be permitted first, and never are.
    browser
        .open(
            &format!("http://127.0.0.1:{other}/healthz"),
            "document.body?.textContent === 'ok\\n'",
        )
        .await;
    let sent = format!(
        "fetch('http://127.0.0.1:{own}/v1/forward-auth', {{ mode: 'cors', headers: {{ \
         'x-forwarded-method': 'GET', 'x-forwarded-uri': '/', 'x-user': 'alice' }} }})"
    );
    let failed = browser.value(&format!("{sent}.then(() => 'sent', () => 'not sent')")).await;
    assert_eq!(failed, "not sent");
    let left = service.check(&serde_json::from_str(CHECK).expect("JSON")).await;
    assert_eq!(left.field("x-ratelimit-remaining"), Some("2"));
}
