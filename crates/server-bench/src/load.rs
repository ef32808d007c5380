//! The clients: wrk for HTTP/1.1, and h2load for HTTP/2.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) fields: Vec<(&'static str, String)>,
    /// A client that varies it writes one of `users` names instead of `alice`.
    pub(crate) body: Vec<u8>,
    pub(crate) users: Option<u32>,
}

/// The clients, and how many connections and requests they have at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// One thread, and a request at a time on each connection.
    Wrk { connections: u32 },
    /// One thread, and several streams on each connection.
    H2load { connections: u32, streams: u32 },
}

/// What a client tells at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counted {
    pub(crate) requests: u64,
    /// Answers with another status than 2xx.
    pub(crate) refused: u64,
    /// Requests without an answer, and connections that broke.
    pub(crate) errors: u64,
    pub(crate) per_second: f64,
    /// Microseconds; wrk tells them, h2load does not.
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

/// A load that was prepared, and can be started again and again.
#[derive(Debug)]
pub(crate) struct Load {
    client: Client,
    url: String,
    /// The arguments that are the request.
    arguments: Vec<String>,
    _folder: TempDir,
}

impl Load {
    pub(crate) fn new(client: Client, address: SocketAddr, request: &Request) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("the folder can be written");
            path
        };
        let mut arguments = Vec::new();
        for (name, value) in &request.fields {
            arguments.extend(["-H".to_owned(), format!("{name}: {value}")]);
        }
        let body = write("body", &request.body).display().to_string();
        match client {
            Client::Wrk { .. } => {
                let mut script = format!(
                    "wrk.method = \"{}\"\nlocal file = io.open(\"{body}\", \"rb\")\n\
                     wrk.body = file:read(\"*a\")\nfile:close()\n",
                    request.method
                );
                if let Some(users) = request.users {
                    let line = format!(
                        "request = function()\n  local user = \"u\" .. math.random({users})\n  \
                         return wrk.format(nil, nil, nil, (wrk.body:gsub(\"alice\", user)))\nend\n"
                    );
                    script.push_str(&line);
                }
                let script = write("request.lua", script.as_bytes());
                arguments.extend(["-s".to_owned(), script.display().to_string()]);
            }
            // It can't read an empty file.
            Client::H2load { .. } if request.body.is_empty() => {}
            Client::H2load { .. } => arguments.extend(["-d".to_owned(), body]),
        }
        let url = format!("http://{address}{}", request.path);
        Self { client, url, arguments, _folder: folder }
    }

    /// Asks for so many seconds.
    pub(crate) fn run(&self, seconds: u32) -> Counted {
        let (program, own) = match self.client {
            Client::Wrk { connections } => {
                ("wrk", format!("--latency -t1 -c{connections} -d{seconds}s --timeout 10s"))
            }
            Client::H2load { connections, streams } => {
                ("h2load", format!("-t1 -c{connections} -m{streams} -D{seconds} --warm-up-time=0"))
            }
        };
        let mut command = Command::new(program);
        command.args(own.split(' ')).args(&self.arguments).arg(&self.url);
        let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
        let text = String::from_utf8_lossy(&output.stdout);
        let counted = match self.client {
            Client::Wrk { .. } => read_wrk(&text),
            Client::H2load { .. } => read_h2load(&text),
        };
        counted.unwrap_or_else(|| {
            panic!("{program}: {text}\n{}", String::from_utf8_lossy(&output.stderr))
        })
    }
}

fn read_wrk(text: &str) -> Option<Counted> {
    let after = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name));
    let (requests, _) = text.lines().find_map(|line| line.split_once(" requests in "))?;
    let errors = after("Socket errors:").map_or(0, |line| numbers(line).iter().sum());
    let refused = after("Non-2xx or 3xx responses:").map_or(0, |line| numbers(line).iter().sum());
    Some(Counted {
        requests: requests.trim().parse().ok()?,
        refused,
        errors,
        per_second: after("Requests/sec:")?.trim().parse().ok()?,
        median: micros(after("50%")?)?,
        p99: micros(after("99%")?)?,
    })
}

fn read_h2load(text: &str) -> Option<Counted> {
    let after = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    // `finished in 1.00s, 12345.00 req/s, 1.23MB/s`
    let per_second = after("finished in ")?.split(", ").nth(1)?.strip_suffix(" req/s")?;
    // total, started, done, succeeded, failed, errored, timeout
    let requests = numbers(after("requests:")?);
    // 2xx, 3xx, 4xx, 5xx; the digits of these names are not numbers of their own.
    let statuses = after("status codes:")?;
    let [ok, rest @ ..] = &statuses
        .split(',')
        .filter_map(|part| part.split_whitespace().next()?.parse::<u64>().ok())
        .collect::<Vec<_>>()[..]
    else {
        return None;
    };
    let refused: u64 = rest.iter().sum();
    Some(Counted {
        requests: ok + refused,
        refused,
        errors: requests.get(5).copied()?,
        per_second: per_second.trim().parse().ok()?,
        median: f64::NAN,
        p99: f64::NAN,
    })
}

/// The numbers of a line.
fn numbers(line: &str) -> Vec<u64> {
    let digits = line.split(|c: char| !c.is_ascii_digit());
    digits.filter_map(|number| number.parse().ok()).collect()
}

/// `850.00us`, `1.23ms` or `1.02s`.
fn micros(text: &str) -> Option<f64> {
    let text = text.trim();
    let (number, factor) = if let Some(number) = text.strip_suffix("us") {
        (number, 1.0)
    } else if let Some(number) = text.strip_suffix("ms") {
        (number, 1e3)
    } else {
        (text.strip_suffix('s')?, 1e6)
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What wrk 4.1.0 has written.
    const WRK: &str = "\
Running 1s test @ http://127.0.0.1:18480/nothing
  1 threads and 2 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.13ms    1.84ms  19.28ms   86.78%
    Req/Sec    11.60k     1.26k   12.82k    80.00%
  Latency Distribution
     50%  143.00us
     75%    1.53ms
     90%    8.12ms
     99%   40.99ms
  5662 requests in 1.06s, 1.26MB read
  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 5661
Requests/sec:   5348.01
Transfer/sec:      1.19MB
";

    /// What h2load of nghttp2 1.52.0 has written.
    const H2LOAD: &str = "\
Main benchmark duration is over for thread #0. Stopping all clients.
Stopped all clients for thread #0

finished in 1.00s, 3788.00 req/s, 1.34MB/s
requests: 3788 total, 3792 started, 3788 done, 3786 succeeded, 2 failed, 1 errored, 0 timeout
status codes: 3786 2xx, 0 3xx, 1 4xx, 0 5xx
traffic: 1.34MB (1409596) total, 52.13KB (53382) headers (space savings 93.90%), 1.23MB (1287920) data
";

    #[test]
    fn wrk_is_read() {
        let counted = read_wrk(WRK).expect("it is of wrk");
        let Counted { requests, refused, errors, .. } = counted;
        assert_eq!((requests, refused, errors), (5662, 5661, 7));
        assert!((counted.per_second - 5348.01).abs() < 1e-6, "{counted:?}");
        assert!((counted.median - 143.0).abs() < 1e-6, "{counted:?}");
        assert!((counted.p99 - 40_990.0).abs() < 1e-6, "{counted:?}");
        assert!(read_wrk("unable to connect to 127.0.0.1:18480 Connection refused").is_none());
    }

    #[test]
    fn h2load_is_read() {
        let counted = read_h2load(H2LOAD).expect("it is of h2load");
        let Counted { requests, refused, errors, .. } = counted;
        assert_eq!((requests, refused, errors), (3787, 1, 1));
        assert!((counted.per_second - 3788.0).abs() < 1e-6, "{counted:?}");
        assert!(read_h2load("").is_none());
    }
}
