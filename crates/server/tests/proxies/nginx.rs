//! nginx with `auth_request`.

use std::fs;

use tollgate_test_programs::{Program, free_port, needs, nginx};

use crate::backend::Backend;
use crate::redis::Redis;
use crate::scene::{CLIENT, Patience, Proxy, Scene, Setup, WhenDown, ask};
use crate::service::Service;

pub(crate) struct Nginx;

impl Proxy for Nginx {
    const PROGRAM: &str = "nginx";

    fn start(setup: &Setup<'_>) -> Program {
        start(setup, &[setup.tollgate])
    }
}

/// Starts nginx before several services.
fn start(setup: &Setup<'_>, services: &[u16]) -> Program {
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
    let services: Vec<_> =
        services.iter().map(|port| format!("server 127.0.0.1:{port};\n")).collect();
    let services = services.concat();
    let replacements = [
        ("server 127.0.0.1:8080;\n", &*services),
        ("listen 80;", &*listen),
        ("$tollgate_when_down open;", when_down),
    ];
    nginx(setup.folder, setup.port, &setup.file("nginx/site.conf", &replacements))
}
crate::suite!(super::Nginx);
crate::suite!(super::Nginx, while_down);

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

/// nginx asks the other of two services over one Redis if one of them is killed, and nobody gets a
/// permit more or less.
#[test]
fn one_of_two_services_is_killed() {
    if !needs("nginx::one_of_two_services_is_killed", &["nginx", "redis-server", "curl"]) {
        return;
    }
    let redis = Redis::start();
    let policy = "[limits.calls]\nquota = \"20/day\"\nkey = \"address\"";
    let policy = format!("always = [\"calls\"]\n{CLIENT}{policy}");
    let service = || Service::start(&policy, &redis.settings("30s", "closed")).connected();
    let (mut killed, other, backend) = (service(), service(), Backend::start());
    let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
    let setup = Setup {
        folder: folder.path(),
        port,
        tollgate: other.port,
        backend: backend.port,
        when_down: WhenDown::Closed,
        patience: Patience::Long,
    };
    let _proxy = start(&setup, &[killed.port, other.port]);
    let url = format!("http://127.0.0.1:{port}/");
    let statuses = |n| (0..n).map(|_| ask(&url, "127.0.0.2", &[]).status).collect::<Vec<_>>();
    assert_eq!(statuses(10), [200; 10]);
    killed.program.kill();
    assert_eq!(statuses(14), [[200; 10].as_slice(), &[429; 4]].concat());
    assert_eq!(backend.requests(), 20);
}
