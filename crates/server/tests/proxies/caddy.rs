//! Caddy: the long form of `forward_auth`, and the short one.

use tollgate_test_programs::{Program, caddy, free_port};

use crate::scene::{Patience, Proxy, Scene, Setup, WhenDown};

pub(crate) struct Caddy;

impl Proxy for Caddy {
    const PROGRAM: &str = "caddy";

    fn start(setup: &Setup<'_>) -> Program {
        // There is a site for each of the two.
        let other = free_port();
        let (closed, open) = match setup.when_down {
            WhenDown::Closed => (setup.port, other),
            WhenDown::Open => (other, setup.port),
        };
        let (closed, open) = (format!("\n:{closed} {{\n"), format!("\n:{open} {{\n"));
        let replacements = [
            ("\n:80 {\n", &*closed),
            ("\n:81 {\n", &*open),
            setup.deadline("100ms", "60s"),
            setup.deadline("250ms", "60s"),
        ];
        caddy(setup.folder, setup.port, &setup.file("caddy/Caddyfile", &replacements))
    }
}

crate::suite!(super::Caddy);
crate::suite!(super::Caddy, while_down);

/// Caddy with nothing but its `forward_auth`, as people write it at first.
struct ShortForm;

impl Proxy for ShortForm {
    const PROGRAM: &str = "caddy";

    fn start(setup: &Setup<'_>) -> Program {
        let Setup { folder, port, tollgate, backend, .. } = setup;
        let site = format!(
            ":{port} {{\n\
             \tforward_auth 127.0.0.1:{tollgate} {{\n\t\turi /v1/forward-auth\n\t}}\n\
             \treverse_proxy 127.0.0.1:{backend}\n}}\n"
        );
        caddy(folder, *port, &site)
    }
}

/// In this form, Caddy appends the client's query to the question.
#[test]
fn the_query_of_the_client_does_not_change_the_answer() {
    let policy = "[limits.calls]\nquota = \"3/h\"\nkey = \"address\"";
    let test = "the_query_of_the_client_does_not_change_the_answer";
    let scene = Scene::start::<ShortForm>(test, policy, WhenDown::Closed, Patience::Long);
    let Some(scene) = scene else { return };
    let queries = ["/?a=b&c", "/?deny=404", "/?x[]=%ff"];
    for query in queries {
        let answer = scene.ask("127.0.0.2", query, &[]);
        assert_eq!(answer.status, 200, "{query}");
        assert!(answer.body.starts_with(&format!("GET {query}\n")), "{answer:?}");
    }
    for (query, status) in [("/?a=b&c", 429), ("/?deny=404", 404), ("/?deny=200", 400)] {
        assert_eq!(scene.ask("127.0.0.2", query, &[]).status, status, "{query}");
    }
    assert_eq!(scene.backend.requests(), queries.len());
}
