//! `HAProxy` with `tollgate.lua`.

use std::fs;

use tollgate_test_programs::{Program, haproxy};

use crate::scene::{Proxy, Setup, WhenDown};

pub(crate) struct HaProxy;

impl Proxy for HaProxy {
    const PROGRAM: &str = "haproxy";

    fn start(setup: &Setup<'_>) -> Program {
        let script = setup.folder.join("tollgate.lua");
        fs::write(&script, setup.file("haproxy/tollgate.lua", &[])).expect("a file");
        let socket = format!("abns@tollgate-{}", setup.port);
        let when_down = match setup.when_down {
            WhenDown::Open => "abns@tollgate open\n",
            WhenDown::Closed => "abns@tollgate closed\n",
        };
        let bind = format!("bind 127.0.0.1:{}\n", setup.port);
        let replacements = [
            ("bind :80\n", &*bind),
            ("abns@tollgate open\n", when_down),
            ("abns@tollgate", &socket),
            ("/etc/haproxy/tollgate.lua", script.to_str().expect("a path in UTF-8")),
            setup.deadline("100ms", "60s"),
            setup.deadline("250ms", "60s"),
        ];
        haproxy(setup.folder, setup.port, &setup.file("haproxy/haproxy.cfg", &replacements))
    }
}

crate::suite!(super::HaProxy);
crate::suite!(super::HaProxy, while_down);
