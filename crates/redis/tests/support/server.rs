//! Real servers, which each test starts for itself and which end with it.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The servers that are tested, as far as they are installed.
pub fn kinds() -> Vec<&'static str> {
    ["redis-server", "valkey-server"].into_iter().filter(|kind| is_installed(kind)).collect()
}

/// Whether a server is installed. Where it is not, its tests are skipped, which is said; in CI
/// (with the environment variable `CI`) that is a failure.
pub fn is_installed(kind: &str) -> bool {
    let is_there = Command::new(kind).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !is_there {
        eprintln!("NO {kind} HERE: ITS TESTS ARE SKIPPED. `scripts/redis_servers` installs it.");
        assert!(std::env::var_os("CI").is_none(), "{kind} must be installed in CI");
    }
    is_there
}

/// A running server.
pub struct Server {
    pub kind: &'static str,
    pub port: u16,
    dir: PathBuf,
    args: Vec<String>,
    child: Child,
}

impl Server {
    pub fn start(kind: &'static str) -> Self {
        Self::start_with(kind, &[])
    }

    /// Starts a server on a free port, with more arguments.
    pub fn start_with(kind: &'static str, more: &[&str]) -> Self {
        // Another program may take the port first.
        let started = (0..20).find_map(|_| Self::try_start(kind, free_port(), more));
        started.unwrap_or_else(|| panic!("{kind} does not start with {more:?}"))
    }

    pub fn start_on(kind: &'static str, port: u16) -> Self {
        Self::try_start(kind, port, &[]).unwrap_or_else(|| panic!("{kind} does not start"))
    }

    fn try_start(kind: &'static str, port: u16, more: &[&str]) -> Option<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let dir = std::env::temp_dir().join(format!("tollgate-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        let args: Vec<_> = more.iter().map(ToString::to_string).collect();
        let child = spawn(kind, port, &dir, &args);
        let mut server = Self { kind, port, dir, args, child };
        server.is_up().then_some(server)
    }

    /// Waits until the server answers. `false` if it has ended.
    fn is_up(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if self.child.try_wait().expect("a child").is_some() {
                return false;
            }
            if command(self.port, &["PING"]).is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A port that was given as an argument.
    pub fn argument(&self, name: &str) -> Option<u16> {
        let mut args = self.args.iter().skip_while(|arg| *arg != name);
        args.nth(1).and_then(|port| port.parse().ok())
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Sends a command on a connection of its own, and returns what the server says, in its
    /// protocol.
    pub fn command(&self, words: &[&str]) -> String {
        command(self.port, words).expect("the server answers")
    }

    /// A command whose answer is a whole number.
    pub fn number(&self, words: &[&str]) -> i64 {
        let reply = self.command(words);
        let number = reply.trim().strip_prefix(':').and_then(|it| it.parse().ok());
        number.unwrap_or_else(|| panic!("{words:?}: {reply}"))
    }

    /// Waits until a replica has everything that this server has now.
    pub fn wait_for_replica(&self, replica: &Self) {
        let offset = |server: &Self, name: &str| {
            let info = server.command(&["INFO", "replication"]);
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|offset| offset.trim().parse::<u64>().ok())
        };
        let until = Instant::now() + Duration::from_secs(60);
        let mine = offset(self, "master_repl_offset:").expect("an offset");
        while offset(replica, "slave_repl_offset:").is_none_or(|theirs| theirs < mine) {
            assert!(Instant::now() < until, "the replica never has everything");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How many of the keys would stay for ever.
    pub fn keys_without_expiry(&self) -> i64 {
        const COUNT: &str = "local n = 0
            for _, key in ipairs(redis.call('KEYS', '*')) do
              if redis.call('PTTL', key) == -1 then n = n + 1 end
            end
            return n";
        self.number(&["EVAL", COUNT, "0"])
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().expect("kill");
        assert!(status.success());
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts the server again on the same port, empty.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.kind, self.port, &self.dir, &self.args);
        assert!(self.is_up(), "{} starts again", self.kind);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn spawn(kind: &str, port: u16, dir: &Path, more: &[String]) -> Child {
    Command::new(kind)
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .arg("--dir")
        .arg(dir)
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program was there before")
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Sends a command to a server on this machine, and returns what it says.
pub fn command(port: u16, words: &[&str]) -> Option<String> {
    let mut stream = send(port, &[words, &["QUIT"]])?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).ok()?;
    let reply = String::from_utf8_lossy(&reply).into_owned();
    Some(reply.strip_suffix("+OK\r\n")?.to_string())
}

/// Sends commands on one connection, and returns what a server, which may be a sentinel, says to
/// all of them. Sentinels know no `QUIT`.
pub fn commands(port: u16, commands: &[&[&str]]) -> Option<String> {
    let mut stream = send(port, &[commands, &[&["PING"]]].concat())?;
    let (mut reply, mut bytes) = (String::new(), [0; 4_096]);
    while !reply.ends_with("+PONG\r\n") {
        match stream.read(&mut bytes).ok()? {
            0 => return None,
            n => reply += &String::from_utf8_lossy(&bytes[..n]),
        }
    }
    Some(reply.strip_suffix("+PONG\r\n")?.to_string())
}

fn send(port: u16, commands: &[&[&str]]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut text = String::new();
    for words in commands {
        let _ = write!(text, "*{}\r\n", words.len());
        for word in *words {
            let _ = write!(text, "${}\r\n{word}\r\n", word.len());
        }
    }
    stream.write_all(text.as_bytes()).ok()?;
    Some(stream)
}
