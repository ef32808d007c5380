//! What the unit in `deploy/systemd` relies on: notifications, SIGHUP and SIGTERM.

#[path = "support/service.rs"]
mod service;

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use tollgate_test_programs::{
    DEADLINE, Program, Signal, curl, find, free_port, needs, output, say, until,
};

/// The unit as it is deployed.
fn unit() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/systemd/tollgate.service");
    fs::read_to_string(path).expect("the unit")
}

/// A policy of so many requests an hour.
fn policy(quota: u32) -> String {
    format!("always = [\"calls\"]\n[limits.calls]\nquota = \"{quota}/h\"")
}

#[test]
fn the_service_says_when_it_is_ready_and_when_it_ends() {
    if !needs("systemd", &["curl"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&socket).expect("a socket");
    systemd.set_read_timeout(Some(DEADLINE)).expect("a time");
    let notified = || {
        let mut buffer = [0; 1024];
        let length = systemd.recv(&mut buffer).expect("a notification");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let (port, admin) = (free_port(), free_port());
    let config = folder.path().join("tollgate.toml");
    let write = |quota| fs::write(&config, service::text(&policy(quota), port, admin, ""));
    write(5).expect("a file");
    let notify = format!("NOTIFY_SOCKET={}", socket.display());
    let tollgate = env!("CARGO_BIN_EXE_tollgate");
    let args = [&notify, tollgate, "serve", "--config", config.to_str().expect("UTF-8")];
    let mut program = Program::start("env", &args, folder.path());

    assert!(unit().contains("\nType=notify\n"));
    assert_eq!(notified().trim(), "READY=1");
    // It listens when it says so.
    for port in [port, admin] {
        TcpStream::connect(("127.0.0.1", port)).expect("a listener");
    }

    // A mistake in the file changes nothing, and the service goes on.
    assert!(unit().contains("\nExecReload=/bin/kill -HUP $MAINPID\n"));
    fs::write(&config, "version = 2").expect("a file");
    program.signal(Signal::HUP);
    let page = |path| curl(&[&format!("http://127.0.0.1:{admin}{path}")]).body;
    // How often it was read is open: who watches the file may have seen it before the signal.
    until(|| page("/metrics").contains("\ntollgate_policy_last_reload_successful 0\n"));
    assert!(page("/rate_limit/config").contains("quota = \"5/h\""));
    write(7).expect("a file");
    program.signal(Signal::HUP);
    until(|| page("/rate_limit/config").contains("quota = \"7/h\""));

    program.signal(Signal::TERM);
    assert_eq!(notified().trim(), "STOPPING=1");
    assert!(program.ends_well(), "{}", program.log());
}

/// systemd reads the unit without a complaint.
#[test]
fn systemd_reads_the_unit() {
    if find("systemd-analyze").is_none() {
        say("SKIPPED: systemd_reads_the_unit, because there is no systemd here");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tollgate.service");
    let unit = unit().replace("/usr/local/bin/tollgate", env!("CARGO_BIN_EXE_tollgate"));
    fs::write(&file, unit).expect("a file");
    let file = file.to_str().expect("a path in UTF-8");
    // What it does not know is a warning for it.
    let said = output("sh", &["-c", "exec systemd-analyze verify \"$0\" 2>&1", file]);
    let about_ours: Vec<_> = said.lines().filter(|line| line.contains("tollgate")).collect();
    assert!(about_ours.is_empty(), "{said}");
}
