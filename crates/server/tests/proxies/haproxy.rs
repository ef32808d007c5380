//! `HAProxy` with `tollgate.lua`.

use std::fs;

use tollgate_test_programs::{Program, haproxy};

use crate::scene::{Proxy, Setup, WhenDown};

pub(crate) struct HaProxy;

impl Proxy for HaProxy {
    const PROGRAM: &str = "haproxy";

    fn start(setup: &Setup<'_>) -> Program {
        let deadline = [setup.deadline("DEADLINE = 250\n", "DEADLINE = 60000\n")];
        let script = setup.folder.join("tollgate.lua");
        fs::write(&script, setup.file("haproxy/tollgate.lua", &deadline)).expect("a file");
        let when_down = match setup.when_down {
            WhenDown::Open => "?deny=403 open\n",
            WhenDown::Closed => "?deny=403 closed\n",
        };
        let bind = format!("bind 127.0.0.1:{}\n", setup.port);
        let replacements = [
            ("bind :80\n", &*bind),
            ("?deny=403 open\n", when_down),
            ("/etc/haproxy/tollgate.lua", script.to_str().expect("a path in UTF-8")),
        ];
        haproxy(setup.folder, setup.port, &setup.file("haproxy/haproxy.cfg", &replacements))
    }
}

crate::suite!(super::HaProxy);
