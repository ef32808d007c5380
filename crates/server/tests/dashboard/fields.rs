//! The fields that keep everything foreign out of the page; nothing in it needs an exception.

use http::Request;

use crate::support::{Running, THREE_A_DAY};

const FILES: [(&str, &str); 10] = [
    ("/dashboard", "text/html; charset=utf-8"),
    ("/dashboard/style.css", "text/css; charset=utf-8"),
    ("/dashboard/icon.svg", "image/svg+xml"),
    ("/dashboard/app.js", SCRIPT),
    ("/dashboard/chart.js", SCRIPT),
    ("/dashboard/dom.js", SCRIPT),
    ("/dashboard/feed.js", SCRIPT),
    ("/dashboard/format.js", SCRIPT),
    ("/dashboard/limits.js", SCRIPT),
    ("/dashboard/tables.js", SCRIPT),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

#[tokio::test]
async fn every_file_has_the_fields() {
    let service = Running::with(THREE_A_DAY, "").await;
    for (path, kind) in FILES {
        let answer = service.operator("GET", path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.field("content-type"), Some(kind));
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.field("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.field("cross-origin-resource-policy"), Some("same-origin"));
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        let policy = answer.field("content-security-policy").expect("a policy");
        let rules: Vec<_> = policy.split("; ").collect();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(rules.contains(&rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("data:"), "{policy}");
    }
}

/// Each file that the page asks for is there, and none is of another host.
#[tokio::test]
async fn the_page_has_no_code_in_it_and_needs_nothing_from_elsewhere() {
    let service = Running::with(THREE_A_DAY, "").await;
    let page = service.operator("GET", "/dashboard").await.text();
    assert!(page.matches("<script").count() == 1 && page.contains("<script type=\"module\" src="));
    assert!(!page.contains("<style") && !page.contains(" style="));
    let handlers = page.split(" on").skip(1).filter(|rest| rest.contains("=\"")).find(|rest| {
        rest.split('=')
            .next()
            .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_lowercase()))
    });
    assert_eq!(handlers, None);
    let mut scripts = 0;
    for (path, kind) in FILES {
        let text = service.operator("GET", path).await.text();
        let hosts = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!hosts.contains("http:") && !hosts.contains("https:"), "{path}");
        if kind == SCRIPT {
            scripts += 1;
            for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!text.contains(sink), "{path}: {sink}");
            }
            for import in text.split(" from \"./").skip(1) {
                let file = import.split('"').next().expect("its end");
                let path = format!("/dashboard/{file}");
                assert!(FILES.iter().any(|(known, _)| *known == path), "{path}");
            }
        }
    }
    assert_eq!(scripts, 7);
}

#[tokio::test]
async fn without_the_token_there_is_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "0123456789abcdef").expect("written");
    let server = format!("[server.admin]\ntoken_file = '{}'\n", file.display());
    let service = Running::with(THREE_A_DAY, &server).await;
    for path in FILES.iter().map(|(path, _)| *path).chain(["/dashboard/events"]) {
        let answer = service.operator("GET", path).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.field("www-authenticate").is_some_and(|field| field.starts_with("Basic")));
    }
    let url = format!("{}/dashboard", service.admin());
    let request = Request::get(url).header("authorization", "Bearer 0123456789abcdef");
    assert_eq!(service.send(request, "").await.status, 200);
}
