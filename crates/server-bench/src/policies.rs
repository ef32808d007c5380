//! What the service is configured with, and what it is asked.

use crate::load::Request;

/// Free ports.
pub(crate) const PORTS: &str = "
[server]
listen = '127.0.0.1:0'
[server.admin]
listen = '127.0.0.1:0'
";

/// More than anybody sends.
const WIDE: &str = "100000000/s";

/// One limit for each caller.
pub(crate) fn one_limit() -> String {
    format!(
        "version = 1\nalways = ['calls']\n[limits.calls]\nquota = '{WIDE}'\nkey = 'caller'\n{PORTS}"
    )
}

/// The file that `tollgate init` writes, on free ports. With wide quotas, nothing is refused.
pub(crate) fn sample(is_wide: bool) -> String {
    let output = std::process::Command::new(crate::process::service_file())
        .args(["init", "-"])
        .output()
        .expect("the program starts");
    let mut text = String::from_utf8(output.stdout).expect("the file is text");
    for port in ["127.0.0.1:8080", "127.0.0.1:8081"] {
        text = replaced(&text, port, "127.0.0.1:0");
    }
    if is_wide {
        for quota in ["20/s burst 60", "60/min", "600/min burst 100"] {
            text = replaced(&text, &format!("\"{quota}\""), &format!("\"{WIDE}\""));
        }
    }
    text
}

fn replaced(text: &str, what: &str, with: &str) -> String {
    assert!(text.contains(what), "the file of `tollgate init` has no {what} any more");
    text.replace(what, with)
}

/// A check of a user's request. In the sample it has two limits.
pub(crate) fn check() -> Request {
    let body =
        r#"{"method":"GET","path":"/v1/items?page=2","address":"203.0.113.7","user":"alice"}"#;
    Request {
        method: "POST",
        path: "/v1/check",
        fields: vec![("content-type", "application/json".into())],
        body: body.into(),
        users: None,
    }
}

/// The same request, as a proxy asks for it.
pub(crate) fn forward_auth() -> Request {
    let fields = [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-uri", "/v1/items?page=2"),
        ("x-forwarded-host", "api.example.com"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-user", "alice"),
    ];
    let fields = fields.map(|(name, value)| (name, value.to_owned())).into();
    Request { method: "GET", path: "/v1/forward-auth", fields, body: Vec::new(), users: None }
}
