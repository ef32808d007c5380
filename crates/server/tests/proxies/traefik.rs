//! Traefik with the middleware `forwardAuth`, which can't let requests go on without tollgate.

use std::fs;

use tollgate_test_programs::{Program, curl, traefik, until};

use crate::scene::{Proxy, Setup, WhenDown};

pub(crate) struct Traefik;

impl Proxy for Traefik {
    const PROGRAM: &str = "traefik";
    const TELLS_WHAT_IS_LEFT: bool = false;
    const CLEANS_PATHS: bool = true;
    const STATUS_WHEN_DOWN: u16 = 500;

    fn start(setup: &Setup<'_>) -> Program {
        assert_eq!(setup.when_down, WhenDown::Closed, "there is nothing else");
        let dynamic = setup.folder.join("tollgate.yml");
        fs::write(&dynamic, setup.file("traefik/tollgate.yml", &[])).expect("a file");
        let dynamic = dynamic.to_str().expect("a path in UTF-8");
        let address = format!("\"127.0.0.1:{}\"", setup.port);
        let replacements = [("/etc/traefik/tollgate.yml", dynamic), ("\":80\"", &address)];
        let config = setup.file("traefik/traefik.yml", &replacements);
        let proxy = traefik(setup.folder, setup.port, &config);
        // It listens before it has its routes, and answers with 404 meanwhile. No policy counts a
        // preflight.
        let url = format!("http://127.0.0.1:{}/", setup.port);
        let preflight = [
            ["--request", "OPTIONS"],
            ["--header", "Origin: http://example.com"],
            ["--header", "Access-Control-Request-Method: GET"],
        ];
        until(|| curl(&[preflight.as_flattened(), &[&url]].concat()).status == 200);
        proxy
    }
}

crate::suite!(super::Traefik);
