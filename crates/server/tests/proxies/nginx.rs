//! nginx with `auth_request`.

use std::fs;

use tollgate_test_programs::{Program, nginx};

use crate::scene::{Patience, Proxy, Scene, Setup, WhenDown};

pub(crate) struct Nginx;

impl Proxy for Nginx {
    const PROGRAM: &str = "nginx";

    fn start(setup: &Setup<'_>) -> Program {
        let deadlines = [setup.deadline("100ms", "60s"), setup.deadline("250ms", "60s")];
        for (name, replacements) in
            [("tollgate_check.conf", &[][..]), ("tollgate_locations.conf", &deadlines)]
        {
            let text = setup.file(&format!("nginx/{name}"), replacements);
            fs::write(setup.folder.join(name), text).expect("a file");
        }
        let when_down = match setup.when_down {
            WhenDown::Open => "$tollgate_when_down open;",
            WhenDown::Closed => "$tollgate_when_down closed;",
        };
        let listen = format!("listen 127.0.0.1:{};", setup.port);
        let replacements = [("listen 80;", &*listen), ("$tollgate_when_down open;", when_down)];
        nginx(setup.folder, setup.port, &setup.file("nginx/site.conf", &replacements))
    }
}

crate::suite!(super::Nginx);

/// The location that asks tollgate is not one of the site.
#[test]
fn clients_can_not_ask_tollgate() {
    let policy = "[limits.calls]\nquota = \"5/h\"\nkey = \"address\"";
    let test = "clients_can_not_ask_tollgate";
    let scene = Scene::start::<Nginx>(test, policy, WhenDown::Closed, Patience::Long);
    let Some(scene) = scene else { return };
    assert_eq!(scene.ask("127.0.0.2", "/_tollgate", &[]).status, 404);
    assert_eq!(scene.backend.requests(), 0);
}
