//! A client that keeps a server busy over connections that stay open.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Enough that the server always has something to do.
const CONNECTIONS: u32 = 32;
const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nhost: localhost\r\nuser-agent: bench\r\naccept: */*\r\n\r\n";
const END: &[u8] = b"\r\n\r\nhello";

/// Connections to one server.
pub(crate) struct Client {
    connections: Vec<TcpStream>,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn of(server: SocketAddr) -> Self {
        let connect = |_| {
            let stream = TcpStream::connect(server).expect("a connection");
            stream.set_nodelay(true).expect("a TCP connection");
            stream
        };
        Self { connections: (0..CONNECTIONS).map(connect).collect(), buffer: vec![0; 4_096] }
    }

    /// Sends a request on each connection, reads all responses, and returns how many there were.
    ///
    /// # Panics
    ///
    /// If a response is not `200 OK` with `hello`.
    pub(crate) fn ask_on_all(&mut self) -> u32 {
        for connection in &mut self.connections {
            connection.write_all(REQUEST).expect("the server reads");
        }
        for connection in &mut self.connections {
            let mut len = 0;
            while !self.buffer[..len].ends_with(END) {
                let more = connection.read(&mut self.buffer[len..]).expect("the server answers");
                assert!(more > 0, "the response ends too early, or is too long");
                len += more;
            }
            assert!(self.buffer.starts_with(b"HTTP/1.1 200 OK\r\n"), "an error");
        }
        CONNECTIONS
    }
}
