//! Who is an operator.

use http::Request;
use tempfile::tempdir;
use tollgate_server::run::{Server, StartError};
use tollgate_server::settings::ConfigFile;

use crate::support::{Running, THREE_A_DAY, config};

const TOKEN: &str = "correct-horse-battery-staple";

async fn guarded() -> Running {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("token");
    std::fs::write(&path, format!("{TOKEN}\n")).expect("the file is written");
    let server = format!("[server.admin]\ntoken_file = '{}'\n", path.display());
    Running::with(THREE_A_DAY, &server).await
}

async fn status(service: &Running, authorization: Option<&str>) -> u16 {
    let mut request = Request::get(format!("{}/rate_limit/config", service.admin()));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    service.send(request, "").await.status.as_u16()
}

#[tokio::test]
async fn the_token_is_needed() {
    let service = guarded().await;
    let refused = service.operator("GET", "/metrics").await;
    assert_eq!(refused.status, 401);
    let challenges: Vec<_> = refused.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, ["Basic realm=\"tollgate\"", "Bearer"]);
    assert_eq!(status(&service, Some(&format!("Bearer {TOKEN}"))).await, 200);
    assert_eq!(status(&service, Some(&format!("bearer  {TOKEN}"))).await, 200);
    // The name `x` and the token, as a browser sends them.
    let basic = "Basic eDpjb3JyZWN0LWhvcnNlLWJhdHRlcnktc3RhcGxl";
    assert_eq!(status(&service, Some(basic)).await, 200);
    for wrong in ["Bearer x", "Bearer", "Basic x", "Digest x", ""] {
        assert_eq!(status(&service, Some(wrong)).await, 401, "{wrong}");
    }
    assert_eq!(service.operator("GET", "/no/such/page").await.status, 401);
    assert_eq!(service.operator("GET", "/healthz").await.status, 200);
    assert_eq!(service.operator("GET", "/readyz").await.status, 200);
}

#[tokio::test]
async fn whoever_guesses_has_to_wait() {
    let service = guarded().await;
    for guess in 0..10 {
        assert_eq!(status(&service, Some(&format!("Bearer {guess}"))).await, 401);
    }
    assert_eq!(status(&service, Some("Bearer 10")).await, 429);
    let right = format!("Bearer {TOKEN}");
    assert_eq!(status(&service, Some(&right)).await, 429, "a guess is not told from a token");
    assert_eq!(service.operator("GET", "/healthz").await.status, 200);
}

#[tokio::test]
async fn a_page_elsewhere_changes_nothing() {
    let service = Running::with(THREE_A_DAY, "").await;
    let url = format!("{}/rate_limit/config", service.admin());
    let post = || Request::post(&url).header("content-type", "application/toml");
    for (name, value) in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")] {
        let answer = service.send(post().header(name, value), "version = 1").await;
        assert_eq!(answer.status, 403, "{value}");
    }
    // A name that its owner lets point to this machine.
    let answer = service.send(Request::get(&url).header("host", "rebound.example:8081"), "").await;
    assert_eq!(answer.status, 403);
    for host in ["localhost:8081", "127.0.0.1", "[::1]:8081"] {
        let answer = service.send(Request::get(&url).header("host", host), "").await;
        assert_eq!(answer.status, 200, "{host}");
    }
    let answer = service.send(post().header("sec-fetch-site", "same-origin"), "version = 1").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_public_address_needs_a_token() {
    let text = "version = 1\n[server.admin]\nlisten = '0.0.0.0:8081'\n";
    let error = ConfigFile::parse("a.toml".as_ref(), text.as_bytes()).expect_err("no token");
    let error = error.to_string();
    assert!(error.starts_with("a.toml:3:10: the admin listener is not on a loopback"), "{error}");
}

#[tokio::test]
async fn a_token_that_can_be_guessed_is_none() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("token");
    let text = config("", &format!("[server.admin]\ntoken_file = '{}'\n", path.display()));
    let config = ConfigFile::parse("a.toml".as_ref(), text.as_bytes()).expect("a configuration");
    let start = async || Server::start(&config, None).await.map(drop);
    assert!(matches!(start().await, Err(StartError::Token(_))), "there is no file");
    std::fs::write(&path, "secret").expect("the file is written");
    let error = start().await.expect_err("the token is short").to_string();
    assert!(error.contains("fewer than 16") && !error.contains("secret"), "{error}");
}
