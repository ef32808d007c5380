//! Real sentinels on this machine, and the servers that they watch.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use super::cluster::wait_until;
use super::server::{Server, commands, free_port};

/// The name under which the sentinels know the master.
pub const NAME: &str = "limits";

/// A master with replicas, and three sentinels.
pub struct Watched {
    /// The first was the master at the beginning.
    pub servers: Vec<Server>,
    pub sentinels: Vec<Sentinel>,
    password: Option<String>,
}

/// A running sentinel.
pub struct Sentinel {
    pub port: u16,
    dir: PathBuf,
    child: Child,
}

impl Watched {
    /// Starts two servers and three sentinels. With a password, all of them require it.
    pub fn start(kind: &'static str, password: Option<&str>) -> Self {
        let mut args = vec!["--repl-diskless-sync-delay", "0"];
        if let Some(password) = password {
            args.extend(["--requirepass", password, "--masterauth", password]);
        }
        let servers: Vec<_> = (0..2).map(|_| Server::start_with(kind, &args)).collect();
        let password = password.map(str::to_string);
        let this = Self { servers, sentinels: Vec::new(), password };
        let port = this.servers[0].port.to_string();
        this.on(this.servers[1].port, &["REPLICAOF", "127.0.0.1", &port]);
        wait_until("the replica follows the master", || {
            this.on(this.servers[1].port, &["INFO", "replication"])
                .contains("master_link_status:up")
        });
        let port = this.servers[0].port;
        let start = |_| Sentinel::start(kind, port, this.password.as_deref(), "");
        let sentinels = (0..3).map(start).collect();
        let this = Self { sentinels, ..this };
        for sentinel in &this.sentinels {
            wait_until("the sentinels know each other and the replica", || {
                let master = this.on(sentinel.port, &["SENTINEL", "MASTER", NAME]);
                let is = |name: &str, value: &str| {
                    let mut lines = master.lines().skip_while(|line| *line != name);
                    lines.nth(2) == Some(value)
                };
                is("num-slaves", "1") && is("num-other-sentinels", "2") && is("flags", "master")
            });
        }
        this
    }

    /// Starts two masters that do not know each other, and a sentinel that watches the first.
    pub fn start_apart(kind: &'static str) -> Self {
        let servers = (0..2).map(|_| Server::start(kind)).collect();
        let mut this = Self { servers, sentinels: Vec::new(), password: None };
        this.sentinels.push(Sentinel::start(kind, this.servers[0].port, None, ""));
        this
    }

    /// Sends a command to a server or a sentinel.
    pub fn on(&self, port: u16, words: &[&str]) -> String {
        let Some(password) = &self.password else {
            return commands(port, &[words]).expect("it answers");
        };
        let reply = commands(port, &[&["AUTH", password], words]).expect("it answers");
        reply.strip_prefix("+OK\r\n").expect("the password is right").to_string()
    }

    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(|it| format!("redis://127.0.0.1:{}", it.port)).collect()
    }
}

impl Sentinel {
    /// Starts a sentinel that watches a master, with more lines in its file of settings.
    pub fn start(kind: &str, master: u16, password: Option<&str>, more: &str) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let name = format!("tollgate-sentinel-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        let port = free_port();
        let mut config = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {NAME} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {NAME} 1000\n\
             sentinel failover-timeout {NAME} 4000\n{more}",
            dir.display()
        );
        if let Some(password) = password {
            let _ = write!(
                config,
                "requirepass {password}\nsentinel sentinel-pass {password}\n\
                 sentinel auth-pass {NAME} {password}\n"
            );
        }
        let file = dir.join("sentinel.conf");
        std::fs::write(&file, config).expect("a file");
        let child = Command::new(kind)
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program was there before");
        let this = Self { port, dir, child };
        wait_until("the sentinel answers", || {
            let authenticate = password.map(|password| ["AUTH", password]);
            let first: &[&str] = authenticate.as_ref().map_or(&["PING"], |words| words);
            commands(port, &[first]).is_some()
        });
        this
    }
}

impl Sentinel {
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().expect("kill");
        assert!(status.success());
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
