//! Programs of the system: found, started, waited for, and killed when they are dropped.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::{DEADLINE, until};

/// Says something to whoever runs the tests, also if the test passes: unlike that of `eprintln`,
/// this output is not captured.
pub fn say(text: &str) {
    // There is nobody to tell if standard error is closed.
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Where a program is: in a folder of `PATH`, or where Debian keeps servers.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Whether all these programs are here. If not, says loudly that `test` is skipped; with the
/// environment variable `CI`, a missing program is a failure.
#[must_use]
pub fn needs(test: &str, programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|name| find(name).is_none()).copied().collect();
    if missing.is_empty() {
        return true;
    }
    let missing = missing.join(", ");
    assert!(std::env::var_os("CI").is_none(), "{test} needs {missing}: see the folder scripts");
    say(&format!("SKIPPED: {test}, because of missing programs: {missing}"));
    false
}

/// A port on which nobody listens now. Its number is below those that the kernel hands out for
/// port 0, so no other connection takes it before the program that it is for.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 18_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two test runs at the same time begin at different places.
    let start = u16::try_from(std::process::id() % 180).unwrap_or(0) * 100;
    (0..COUNT)
        .map(|_| {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            FIRST + start.wrapping_add(next) % COUNT
        })
        .find(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok())
        .expect("a free port")
}

/// Whether this machine has the loopback address of IPv6.
#[must_use]
pub fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

/// What a program that ends by itself has written to its standard output.
#[must_use]
pub fn output(name: &str, args: &[&str]) -> String {
    let file = find(name).unwrap_or_else(|| panic!("{name} is missing"));
    let output = Command::new(file).args(args).stdin(Stdio::null()).output().expect(name);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {args:?}: {}\n{text}\n{errors}", output.status);
    text
}

/// A program that runs until it is dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a program, given by its name or its absolute path. What it writes goes into the file
    /// `log` in `folder`, which is the program's own, and is shown if the test fails.
    #[must_use]
    pub fn start(name: &str, args: &[&str], folder: &Path) -> Self {
        let file = find(name).unwrap_or_else(|| panic!("{name} is missing"));
        let log = folder.join("log");
        let out = File::create(&log).expect("a log file");
        let child = Command::new(file)
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a log file"))
            .stderr(out)
            .spawn()
            .expect(name);
        Self { name: name.to_owned(), child, log }
    }

    /// Waits until the program accepts connections.
    #[must_use]
    pub fn listening(mut self, address: SocketAddr) -> Self {
        self.wait_for(|_| TcpStream::connect_timeout(&address, DEADLINE).ok());
        self
    }

    /// Waits until the program has written a line, and returns its first one.
    #[must_use]
    pub fn first_line(&mut self) -> String {
        self.wait_for(|log| {
            let text = fs::read_to_string(log).ok()?;
            text.split_once('\n').map(|(line, _)| line.to_owned())
        })
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).expect("the program runs");
    }

    /// Stops the program until `Signal::CONT`, and waits until none of its threads runs any more.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let tasks = Path::new("/proc").join(self.child.id().to_string()).join("task");
        let is_stopped = |task: io::Result<fs::DirEntry>| -> io::Result<bool> {
            let stat = fs::read_to_string(task?.path().join("stat"))?;
            // The state is behind the name, which is in parentheses.
            Ok(stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" T ")))
        };
        until(|| {
            let mut tasks = fs::read_dir(&tasks).expect("the threads of the program");
            tasks.all(|task| is_stopped(task).unwrap_or(true))
        });
    }

    /// Kills the program, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("the program runs");
        self.child.wait().expect("its status");
    }

    /// Waits until the program has ended by itself, and says whether it was a success.
    #[must_use]
    pub fn ends_well(&mut self) -> bool {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its status") {
                return status.success();
            }
            assert!(start.elapsed() < DEADLINE, "{} does not end", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the program has written by now.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn wait_for<T>(&mut self, what: impl Fn(&Path) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = what(&self.log) {
                return found;
            }
            if let Some(status) = self.child.try_wait().expect("its status") {
                panic!("{} has ended: {status}", self.name);
            }
            assert!(start.elapsed() < DEADLINE, "{} is not ready", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Errors mean that the program has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            eprintln!("== log of {}\n{log}", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_killed_when_its_test_panics() {
        let folder = tempfile::tempdir().expect("a folder");
        let args = ["-c", "echo $$; exec sleep 1000"];
        let mut pid = String::new();
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut program = Program::start("sh", &args, folder.path());
            pid = program.first_line();
            assert!(Path::new("/proc/self").exists() == Path::new("/proc").join(&pid).exists());
            panic!("the test fails");
        }));
        assert!(panic.is_err());
        assert!(!Path::new("/proc").join(&pid).exists(), "{pid} is alive");
    }

    #[test]
    fn free_ports_differ() {
        let ports: std::collections::BTreeSet<_> = (0..20).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 20);
    }
}
