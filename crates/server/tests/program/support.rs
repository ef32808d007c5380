//! The program, and a client that asks it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use serde_json::Value;

/// The program with these arguments, in a folder.
pub(crate) fn tollgate(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(arguments).current_dir(folder);
    command
}

/// Runs the program to its end.
pub(crate) fn output(arguments: &[&str], folder: &Path) -> Output {
    tollgate(arguments, folder).output().expect("the program starts")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the output is text")
}

/// A running service; it is killed when this is dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) checks: SocketAddr,
    pub(crate) admin: SocketAddr,
    events: Receiver<Value>,
    reader: Option<JoinHandle<String>>,
}

impl Service {
    /// Starts the service with `tollgate.toml` in a folder, and waits until it is ready.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut command = tollgate(&["serve"], folder);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let (sender, events) = channel();
        let reader = std::thread::spawn(move || {
            let mut all = String::new();
            for line in lines.map_while(Result::ok) {
                all.push_str(&line);
                all.push('\n');
                // Nobody waits for events any more when the test ends.
                let _ = serde_json::from_str(&line).map(|event| sender.send(event));
            }
            all
        });
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let reader = Some(reader);
        let mut service = Self { child, checks: unknown, admin: unknown, events, reader };
        let ready = service.event("ready");
        let address = |name: &str| ready[name].as_str().and_then(|text| text.parse().ok());
        service.checks = address("listen").expect("an address");
        service.admin = address("admin").expect("an address");
        service
    }

    /// Waits for the event with this message.
    pub(crate) fn event(&self, message: &str) -> Value {
        loop {
            let event = self.events.recv().expect("the service writes this event before it ends");
            if event["message"] == message {
                return event;
            }
        }
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the process is there");
    }

    /// Waits for the end of the process; returns whether it succeeded, and everything it has
    /// written.
    pub(crate) fn end(mut self) -> (bool, String) {
        let status = self.child.wait().expect("the process ends");
        let reader = self.reader.take().expect("the reader is joined once");
        (status.success(), reader.join().expect("the reader ends"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request on a connection of its own; returns the whole answer.
pub(crate) fn ask(address: SocketAddr, head: &str, body: &str) -> std::io::Result<String> {
    ask_on(TcpStream::connect(address)?, head, body)
}

/// Sends a request on a new connection; returns the whole answer.
pub(crate) fn ask_on(mut stream: TcpStream, head: &str, body: &str) -> std::io::Result<String> {
    let length = body.len();
    write!(
        stream,
        "{head}\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
