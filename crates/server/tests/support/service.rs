//! `tollgate serve` as a program.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use tempfile::TempDir;
use tollgate_test_programs::{Answer, Program, curl, free_port, until};

/// `tollgate serve`, which runs until it is dropped.
pub(crate) struct Service {
    /// The program: it can be killed, or sent a signal.
    pub(crate) program: Program,
    /// The port on which checks are answered.
    pub(crate) port: u16,
    /// The port on which operators are answered.
    pub(crate) admin: u16,
    /// The file with the policy.
    pub(crate) config: PathBuf,
    folder: TempDir,
}

impl Service {
    /// Starts a service with a policy, and with further settings of the table `[server]`. The
    /// version of the policy, and the listeners, are added.
    #[allow(dead_code, reason = "not each test needs nothing but a file")]
    pub(crate) fn start(policy: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, admin) = (free_port(), free_port());
        let config = folder.path().join("tollgate.toml");
        fs::write(&config, text(policy, port, admin, settings)).expect("a file");
        Self::run(folder, config, port, admin)
    }

    /// Starts a service whose file is at `config`, and is made by `publish` from its text.
    #[allow(dead_code, reason = "not each test publishes its file in a way of its own")]
    pub(crate) fn start_at(config: PathBuf, policy: &str, publish: impl FnOnce(&str)) -> Self {
        let (port, admin) = (free_port(), free_port());
        publish(&text(policy, port, admin, ""));
        Self::run(tempfile::tempdir().expect("a folder"), config, port, admin)
    }

    fn run(folder: TempDir, config: PathBuf, port: u16, admin: u16) -> Self {
        let args = ["serve", "--config", config.to_str().expect("a path in UTF-8")];
        let program = Program::start(env!("CARGO_BIN_EXE_tollgate"), &args, folder.path());
        let program = program.listening(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Self { program, port, admin, config, folder }
    }

    /// Kills the service, and starts it again on the same ports, with the same file.
    #[allow(dead_code, reason = "not each test restarts it")]
    pub(crate) fn restart(self) -> Self {
        let Self { program, port, admin, config, folder } = self;
        drop(program);
        Self::run(folder, config, port, admin)
    }

    /// Waits until the service has a connection to its store: before that, a request is decided as
    /// in an outage.
    #[allow(dead_code, reason = "not each test has a store")]
    pub(crate) fn connected(self) -> Self {
        until(|| self.program.log().contains("connected to the store"));
        self
    }

    /// The answer to a check with this body.
    #[allow(dead_code, reason = "not each test asks the service itself")]
    pub(crate) fn check(&self, body: &str) -> Answer {
        curl(&["--data", body, &format!("http://127.0.0.1:{}/v1/check", self.port)])
    }

    /// What operators are answered for a path.
    #[allow(dead_code, reason = "not each test asks as an operator")]
    pub(crate) fn operator(&self, path: &str) -> Answer {
        curl(&[&format!("http://127.0.0.1:{}{path}", self.admin)])
    }
}

/// The text of a file: a policy, and the settings of the service.
pub(crate) fn text(policy: &str, port: u16, admin: u16, settings: &str) -> String {
    format!(
        "version = 1\n{policy}\n\
         [server]\nlisten = \"127.0.0.1:{port}\"\n{settings}\n\
         [server.admin]\nlisten = \"127.0.0.1:{admin}\"\n"
    )
}
