//! Redis as a program.

use std::net::{Ipv4Addr, SocketAddr};

use tempfile::TempDir;
use tollgate_test_programs::{Program, free_port};

/// A Redis that keeps its buckets in memory only.
pub(crate) struct Redis {
    /// It can be killed.
    pub(crate) program: Program,
    port: u16,
    folder: TempDir,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::start_on(free_port())
    }

    fn start_on(port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let number = port.to_string();
        let args = ["--bind", "127.0.0.1", "--port", &number, "--save", "", "--appendonly", "no"];
        let program = Program::start("redis-server", &args, folder.path());
        let program = program.listening(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Self { program, port, folder }
    }

    /// Another Redis in the place of this one, which is empty.
    #[allow(dead_code, reason = "not each test restarts it")]
    pub(crate) fn restart(self) -> Self {
        let Self { program, port, folder } = self;
        drop((program, folder));
        Self::start_on(port)
    }

    /// The settings of `[server]` that let a service keep its buckets here.
    pub(crate) fn settings(&self, deadline: &str, on_outage: &str) -> String {
        format!(
            "store = \"redis://127.0.0.1:{}\"\n\
             [server.shared]\ndeadline = \"{deadline}\"\non_outage = \"{on_outage}\"",
            self.port
        )
    }
}
