//! A Redis of the example's own.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::AnyError;

/// A running `redis-server` or `valkey-server`, which keeps nothing on disk.
pub(crate) struct RedisServer {
    program: &'static str,
    port: u16,
    child: Child,
}

impl RedisServer {
    /// Starts the first program that is installed.
    pub(crate) fn start() -> Result<Self, AnyError> {
        let port = free_port()?;
        for program in ["redis-server", "valkey-server"] {
            if let Ok(child) = spawn(program, port) {
                let server = Self { program, port, child };
                server.wait_until_it_answers()?;
                return Ok(server);
            }
        }
        Err("neither redis-server nor valkey-server is installed: `apt-get install redis-server`"
            .into())
    }

    pub(crate) fn program(&self) -> &'static str {
        self.program
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends the server at once, as a crash would.
    pub(crate) fn kill(&mut self) -> Result<(), AnyError> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts the server again, without its data.
    pub(crate) fn restart(&mut self) -> Result<(), AnyError> {
        self.child = spawn(self.program, self.port)?;
        self.wait_until_it_answers()
    }

    fn wait_until_it_answers(&self) -> Result<(), AnyError> {
        for _ in 0..500 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return Ok(());
            }
            sleep(Duration::from_millis(10));
        }
        Err(format!("{} does not answer", self.program).into())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.kill();
    }
}

fn spawn(program: &str, port: u16) -> std::io::Result<Child> {
    Command::new(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
}

/// A port that is free now.
pub(crate) fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
