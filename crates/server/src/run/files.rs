//! How many files, and so connections, the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::net::Bounds;

/// Files beside connections: logs, stores, the policy, and the runtime's own.
const BESIDE: u64 = 100;

/// Raises the limit of open files of this process as far as it may: most shells, and systemd, begin
/// programs with 1,024. A limit that is too low for all connections is told.
pub fn raise_open_files(bounds: Bounds) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let possible = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let wanted = u64::try_from(bounds.connections).unwrap_or(u64::MAX).saturating_add(BESIDE);
    if let Some(possible) = possible.filter(|possible| *possible < wanted) {
        tracing::warn!(
            possible,
            wanted,
            "the operating system allows too few open files for all connections: raise the limit \
             (LimitNOFILE, `ulimit -n`) or lower `most` in [server.connections]"
        );
    }
}
