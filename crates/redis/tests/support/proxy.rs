//! A proxy that damages what it passes on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Damage {
    None,
    /// Nothing is passed on, in neither direction, and the connection stays.
    Swallow,
    /// The connection is closed instead of an answer.
    Reset,
    /// A byte a millisecond.
    Drip,
    /// Half of the reply, and then the connection is closed.
    Truncate,
    /// Every byte is another.
    Garble,
    /// Replies of the right form, with other contents.
    Replace,
}

/// All kinds of damage.
pub const DAMAGES: [Damage; 6] = [
    Damage::Swallow,
    Damage::Reset,
    Damage::Drip,
    Damage::Truncate,
    Damage::Garble,
    Damage::Replace,
];

/// A proxy in front of a server on this machine.
pub struct Proxy {
    address: SocketAddr,
    server_port: Arc<AtomicU16>,
    damage: Arc<AtomicU8>,
    connections: Arc<AtomicU64>,
}

impl Proxy {
    pub async fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (damage, connections) = (Arc::new(AtomicU8::new(0)), Arc::new(AtomicU64::new(0)));
        let (shared, count) = (Arc::clone(&damage), Arc::clone(&connections));
        let server_port = Arc::new(AtomicU16::new(server_port));
        let port = Arc::clone(&server_port);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let port = port.load(Ordering::SeqCst);
                tokio::spawn(pass_on(client, port, Arc::clone(&shared)));
            }
        });
        Self { address, server_port, damage, connections }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Passes new connections on to another server.
    pub fn lead_to(&self, server_port: u16) {
        self.server_port.store(server_port, Ordering::SeqCst);
    }

    pub fn set(&self, damage: Damage) {
        self.damage.store(damage as u8, Ordering::SeqCst);
    }

    /// How many connections were made.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn pass_on(mut client: TcpStream, port: u16, damage: Arc<AtomicU8>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => match read? {
                0 => return Ok(()),
                _ if is(&damage, Damage::Swallow) => {}
                n => server.write_all(&from_client[..n]).await?,
            },
            read = server.read(&mut from_server) => match read? {
                0 => return Ok(()),
                n => if !reply(&mut client, &from_server[..n], &damage).await? {
                    return Ok(());
                },
            },
        }
    }
}

fn is(damage: &AtomicU8, which: Damage) -> bool {
    damage.load(Ordering::SeqCst) == which as u8
}

/// Passes a reply on, or what becomes of it. Returns whether the connection stays.
async fn reply(client: &mut TcpStream, bytes: &[u8], damage: &AtomicU8) -> std::io::Result<bool> {
    if is(damage, Damage::Reset) {
        return Ok(false);
    }
    if is(damage, Damage::Truncate) {
        client.write_all(&bytes[..bytes.len() / 2]).await?;
        return Ok(false);
    }
    if is(damage, Damage::Drip) {
        for byte in bytes {
            client.write_all(&[*byte]).await?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    } else if is(damage, Damage::Garble) {
        let other: Vec<_> = bytes.iter().map(|byte| byte.wrapping_mul(167) ^ 0x5a).collect();
        client.write_all(&other).await?;
    } else if is(damage, Damage::Replace) {
        client.write_all(b"$5\r\nhello\r\n").await?;
    } else if !is(damage, Damage::Swallow) {
        client.write_all(bytes).await?;
    }
    Ok(true)
}
