//! What a server of a cluster answers instead of executing a command.

/// The host and the port of a server.
pub(crate) type Address = (String, u16);

/// Where, or when, to send a command that was not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// Another server has the slot now.
    Moved { slot: u16, to: Address },
    /// The slot is on its way to another server, which has the key already.
    Ask { to: Address },
    /// The server can't tell now, and can in a while.
    Later,
}

/// What such refusals begin with.
const LATER: [&str; 4] = ["TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN"];

/// What a script is told if its key expires, or its slot changes hands, between the command that
/// calls the script and the script's own commands.
const NOT_HERE: &str = "non local key";

impl Redirect {
    /// Reads the text of a refusal by the server at `host`, which is meant if no other is named.
    pub(crate) fn read(refusal: &str, host: &str) -> Option<Self> {
        let mut words = refusal.split_ascii_whitespace();
        let code = words.next()?;
        if LATER.contains(&code) || refusal.contains(NOT_HERE) {
            return Some(Self::Later);
        }
        if !matches!(code, "MOVED" | "ASK") {
            return None;
        }
        let slot = words.next()?.parse().ok()?;
        let (named, port) = words.next()?.rsplit_once(':')?;
        // A server that does not know how another is reached says so with a question mark.
        let host = match named {
            "?" => return None,
            "" => host,
            named => named.trim_start_matches('[').trim_end_matches(']'),
        };
        let to = (host.to_string(), port.parse().ok()?);
        Some(if code == "MOVED" { Self::Moved { slot, to } } else { Self::Ask { to } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_as_servers_write_them() {
        let to = |host: &str, port| (host.to_string(), port);
        let read = |text| Redirect::read(text, "asked.example");
        let moved = |slot, to| Some(Redirect::Moved { slot, to });
        assert_eq!(read("MOVED 3999 127.0.0.1:6381"), moved(3999, to("127.0.0.1", 6381)));
        assert_eq!(read("MOVED 3999 :6381"), moved(3999, to("asked.example", 6381)));
        assert_eq!(read("MOVED 16383 ::1:6381"), moved(16383, to("::1", 6381)));
        assert_eq!(read("MOVED 1 [::1]:6381"), moved(1, to("::1", 6381)));
        assert_eq!(read("ASK 1 a.example:1"), Some(Redirect::Ask { to: to("a.example", 1) }));
        for later in ["TRYAGAIN x", "CLUSTERDOWN The cluster is down", "LOADING", "MASTERDOWN x"] {
            assert_eq!(read(later), Some(Redirect::Later), "{later}");
        }
        let script = "ERR Script attempted to access a non local key in a cluster node";
        assert_eq!(read(script), Some(Redirect::Later));
        for other in
            ["", "MOVED", "MOVED x y", "MOVED 1 ?:7", "MOVED 1 a:x", "MOVED 70000 a:1", "OOM x"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
