//! A client, a proxy with the files of `deploy/`, tollgate and a backend.

use std::path::Path;

use tempfile::TempDir;
use tollgate_test_programs::{Answer, Program, curl, free_port, needs};

use crate::backend::Backend;
use crate::service::Service;

/// What a proxy does while tollgate does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenDown {
    /// Requests go on without limits.
    Open,
    /// Requests are answered with 503.
    Closed,
}

/// How long a proxy waits for tollgate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As the files of `deploy/` say.
    AsDeployed,
    /// So long that a machine with other work to do changes no count.
    Long,
}

/// What the files of `deploy/` are changed to.
pub(crate) struct Setup<'a> {
    /// An empty folder for the proxy's files.
    pub(crate) folder: &'a Path,
    /// The port of the proxy.
    pub(crate) port: u16,
    /// The port of tollgate.
    pub(crate) tollgate: u16,
    /// The port of the backend.
    pub(crate) backend: u16,
    pub(crate) when_down: WhenDown,
    pub(crate) patience: Patience,
}

impl Setup<'_> {
    /// A file of `deploy/` with other ports, and with these further replacements. Each of them must
    /// be there to be replaced.
    pub(crate) fn file(&self, name: &str, replacements: &[(&str, &str)]) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name);
        let mut text = std::fs::read_to_string(path).expect(name);
        for (from, to) in replacements {
            assert!(text.contains(from), "{name} does not have {from:?}");
            text = text.replace(from, to);
        }
        let (tollgate, backend) = (self.tollgate.to_string(), self.backend.to_string());
        text.replace("127.0.0.1:8080", &format!("127.0.0.1:{tollgate}"))
            .replace("127.0.0.1:9000", &format!("127.0.0.1:{backend}"))
    }

    /// A replacement for a deadline, if it shall be another one.
    pub(crate) fn deadline<'a>(&self, as_deployed: &'a str, long: &'a str) -> (&'a str, &'a str) {
        match self.patience {
            Patience::AsDeployed => (as_deployed, as_deployed),
            Patience::Long => (as_deployed, long),
        }
    }
}

/// A kind of proxy.
pub(crate) trait Proxy {
    /// The name of its program.
    const PROGRAM: &str;
    /// Whether it tells clients of allowed requests what is left, and not only the backend.
    const TELLS_WHAT_IS_LEFT: bool = true;
    /// Whether it resolves `.` and `..` in paths, and drops what is twice, before it asks tollgate.
    const CLEANS_PATHS: bool = false;
    /// The status of its answer while tollgate does not answer.
    const STATUS_WHEN_DOWN: u16 = 503;

    /// Starts it.
    fn start(setup: &Setup<'_>) -> Program;
}

/// A proxy in front of a backend, which asks tollgate.
pub(crate) struct Scene {
    /// The URL of the proxy, without a slash at its end.
    pub(crate) url: String,
    pub(crate) service: Service,
    pub(crate) backend: Backend,
    _proxy: Program,
    _folder: TempDir,
}

/// The table of a policy that believes the proxy.
pub(crate) const CLIENT: &str =
    "[client]\nheader = \"x-forwarded-for\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n";

impl Scene {
    /// Starts all, if the programs are here. The policy can begin with tables only.
    pub(crate) fn start<P: Proxy>(
        test: &str,
        policy: &str,
        when_down: WhenDown,
        patience: Patience,
    ) -> Option<Self> {
        if !needs(&format!("{}::{test}", P::PROGRAM), &[P::PROGRAM, "curl"]) {
            return None;
        }
        let callers = "[server.callers]\nuser = \"x-user\"\napi_key = \"x-api-key\"";
        let service = Service::start(&format!("always = [\"calls\"]\n{CLIENT}{policy}"), callers);
        let (backend, port) = (Backend::start(), free_port());
        let folder = tempfile::tempdir().expect("a folder");
        let (tollgate, path) = (service.port, folder.path());
        let setup =
            Setup { folder: path, port, tollgate, backend: backend.port, when_down, patience };
        let proxy = P::start(&setup);
        let url = format!("http://127.0.0.1:{port}");
        Some(Self { url, service, backend, _proxy: proxy, _folder: folder })
    }

    /// What the client at `address` is answered, with further arguments of curl.
    pub(crate) fn ask(&self, address: &str, path: &str, args: &[&str]) -> Answer {
        ask(&format!("{}{path}", self.url), address, args)
    }
}

/// What the client at `address` is answered for a URL, with further arguments of curl.
pub(crate) fn ask(url: &str, address: &str, args: &[&str]) -> Answer {
    let ours = ["--interface", address, "--path-as-is", "--globoff"];
    curl(&[&ours, args, &[url]].concat())
}
