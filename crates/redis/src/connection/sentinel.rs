//! Sentinels, which know what server is the master at the moment.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, RedisResult, Value};
use tokio::time::timeout;

use super::error;
use super::redirect::Address;
use super::settings::Settings;
use crate::builder::ConnectError;

/// The sentinels of a master. They are asked each time a connection is made, and now and then while
/// it is in use, one after the other, beginning with another one each time, so that none that is
/// wrong is always believed.
#[derive(Clone)]
pub(crate) struct Sentinels {
    /// The master's name.
    name: Arc<str>,
    pub(crate) servers: Vec<Settings>,
    next: Arc<AtomicUsize>,
}

impl Sentinels {
    pub(crate) fn new(name: &str, servers: Vec<Settings>) -> Self {
        Self { name: name.into(), servers, next: Arc::default() }
    }

    /// A connection to the server that is the master now, with the settings of `server` for all but
    /// its address.
    pub(super) async fn connect(
        &self,
        server: &Settings,
    ) -> Result<(MultiplexedConnection, Address), ConnectError> {
        let (host, port) = self.master(server).await?;
        let connect = async {
            let mut connection = server.at(&host, port).connect().await?;
            let role = send(&mut connection, &["ROLE"]).await?;
            Ok((connection, role))
        };
        let (connection, role) = connect.await.map_err(|error| error::of_connect(&error))?;
        if matches!(words(role).first(), Some(Some(role)) if role == "master") {
            return Ok((connection, (host, port)));
        }
        let why = "the server that the sentinels name is not a master (yet)";
        Err(ConnectError::Unreachable(why.into()))
    }

    /// The address of the master. No sentinel is given more than its share of the time that
    /// connecting to the `server` may take.
    pub(super) async fn master(&self, server: &Settings) -> Result<Address, ConnectError> {
        let count = self.servers.len();
        let share = server.connect_deadline / u32::try_from(count + 1).unwrap_or(u32::MAX);
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut why = ConnectError::Settings("at least one sentinel is needed".into());
        for at in 0..count {
            let sentinel = &self.servers[first.wrapping_add(at) % count];
            why = match timeout(share, self.ask(sentinel)).await {
                Ok(Ok(Some(address))) => return Ok(address),
                Ok(Ok(None)) => {
                    let name = &self.name;
                    ConnectError::Refused(format!("the sentinels know no master `{name}`"))
                }
                Ok(Err(error)) => match error::of_connect(&error) {
                    ConnectError::Refused(why) => ConnectError::Refused(format!("sentinel: {why}")),
                    other => other,
                },
                Err(_) => ConnectError::Unreachable("no sentinel answers".into()),
            };
        }
        Err(why)
    }

    async fn ask(&self, sentinel: &Settings) -> RedisResult<Option<Address>> {
        let mut connection = sentinel.connect().await?;
        let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.name];
        let mut address = words(send(&mut connection, &question).await?).into_iter().flatten();
        Ok(address.next().zip(address.next().and_then(|port| port.parse().ok())))
    }
}

async fn send(connection: &mut MultiplexedConnection, words: &[&str]) -> RedisResult<Value> {
    let mut command = Cmd::new();
    for word in words {
        command.arg(word);
    }
    connection.req_packed_command(&command).await?.extract_error()
}

/// The texts of a reply that is a list. What is no text is nothing.
fn words(reply: Value) -> Vec<Option<String>> {
    let Value::Array(parts) = reply else { return Vec::new() };
    parts.into_iter().map(|part| redis::from_redis_value(part).ok()).collect()
}

impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinels")
            .field("name", &self.name)
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}
