//! Servers as processes of their own: started, waited for, measured, and ended by their number.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything is waited for before the program gives up.
const DEADLINE: Duration = Duration::from_secs(60);

/// A server; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Where it is asked.
    pub(crate) address: SocketAddr,
    /// Where operators ask it, if it is the service.
    pub(crate) admin: Option<SocketAddr>,
    /// Where Envoy asks it, if it listens for Envoy.
    pub(crate) envoy: Option<SocketAddr>,
    /// Its configuration, if it is the service. It watches the file, so each has a folder.
    folder: Option<TempDir>,
}

impl Process {
    /// The service.
    pub(crate) fn service(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("tollgate.toml"), config).expect("the folder can be written");
        let mut command = Command::new(service_file());
        command.arg("serve").current_dir(folder.path()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the service starts");
        let log = child.stderr.take().expect("it is piped");
        let ready = ready(log);
        let address = |name: &str| ready[name].as_str().and_then(|text| text.parse().ok());
        let listen = address("listen").expect("the service listens");
        Self {
            child,
            address: listen,
            admin: address("admin"),
            envoy: address("envoy"),
            folder: Some(folder),
        }
    }

    /// This program in another role, which writes its address first.
    pub(crate) fn role(arguments: &[&str]) -> Self {
        let program = std::env::current_exe().expect("this program has a file");
        let mut command = Command::new(program);
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).spawn().expect("the role starts");
        let mut line = String::new();
        let mut output: BufReader<ChildStdout> =
            BufReader::new(child.stdout.take().expect("it is piped"));
        output.read_line(&mut line).expect("the role writes its address");
        let address = line.trim().parse().expect("an address");
        Self { child, address, admin: None, envoy: None, folder: None }
    }

    /// Another program, which will listen on an address that it was told.
    pub(crate) fn other(command: &mut Command, address: SocketAddr) -> Self {
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("the program starts");
        wait_for(address);
        Self { child, address, admin: None, envoy: None, folder: None }
    }

    /// The file of the service.
    pub(crate) fn file_of_service(&self) -> PathBuf {
        self.folder.as_ref().expect("it is the service").path().join("tollgate.toml")
    }

    /// The CPU time of the process so far.
    pub(crate) fn cpu_time(&self) -> Duration {
        // The fields after the name, which is in brackets and may have blanks: the third one of the
        // line is the first here, so `utime` (14) and `stime` (15) are the 12th and 13th.
        let stat = self.file("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let ticks = ticks(11).zip(ticks(12)).map(|(user, kernel)| user + kernel);
        // Linux counts 100 of them in a second, whatever the kernel's own tick is.
        Duration::from_millis(ticks.expect("utime and stime") * 10)
    }

    /// The memory that the process has in RAM, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        self.number("status", "VmRSS:")
    }

    /// How many files and sockets the process has open.
    pub(crate) fn open_files(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(folder).expect("the process is there").count()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the process is there");
    }

    /// Waits for the end of the process; returns whether it succeeded.
    pub(crate) fn ended(&mut self) -> bool {
        self.child.wait().expect("the process ends").success()
    }

    /// Whether the process runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_none()
    }

    fn number(&self, file: &str, name: &str) -> u64 {
        let text = self.file(file);
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
        let number = line.split_whitespace().next().and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("{name} is not in {file}"))
    }

    fn file(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(path).expect("the process is there")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads log lines until the service says where it listens. Further ones are read and forgotten.
fn ready(log: ChildStderr) -> Value {
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    let mut before = Vec::new();
    let ready = lines.by_ref().find_map(|line| {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        before.push(line);
        (event["message"] == "ready").then_some(event)
    });
    let ready = ready.unwrap_or_else(|| panic!("the service does not start: {before:?}"));
    std::thread::spawn(move || lines.for_each(drop));
    ready
}

/// The file of the service: beside that of this program, where cargo has put it.
pub(crate) fn service_file() -> PathBuf {
    let program = std::env::current_exe().expect("this program has a file");
    let file = program.with_file_name("tollgate");
    assert!(file.is_file(), "build the service: cargo build --release -p tollgate-server");
    file
}

/// Waits until somebody listens.
pub(crate) fn wait_for(address: SocketAddr) {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < DEADLINE, "nobody listens on {address}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A port on which nobody listens now.
pub(crate) fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

/// Sends a request on a connection of its own; returns the whole answer.
pub(crate) fn ask(address: SocketAddr, head: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    let rest = format!("host: localhost\r\nconnection: close\r\ncontent-length: {length}");
    stream.write_all(format!("{head}\r\n{rest}\r\n\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
