//! One call of the script.

use std::sync::Arc;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};

use crate::script;
use crate::wire::Call;

/// A connection on which the scripts have been sent.
#[derive(Clone)]
pub(super) struct Connection {
    connection: MultiplexedConnection,
    /// The hashes of the scripts.
    hashes: Arc<[String; 2]>,
}

impl Connection {
    /// Sends the scripts.
    pub(super) async fn new(mut connection: MultiplexedConnection) -> RedisResult<Self> {
        let mut hashes = [String::new(), String::new()];
        for (hash, source) in hashes.iter_mut().zip(SCRIPTS) {
            let mut load = Cmd::new();
            load.arg("SCRIPT").arg("LOAD").arg(source);
            let reply = connection.req_packed_command(&load).await?.extract_error()?;
            *hash = match reply {
                Value::BulkString(text) => String::from_utf8_lossy(&text).into_owned(),
                Value::SimpleString(text) => text,
                _ => return Err(unexpected()),
            };
        }
        Ok(Self { connection, hashes: Arc::new(hashes) })
    }

    /// Calls the script. If the server has forgotten the script, it has done nothing; then the
    /// whole script is sent with the call.
    ///
    /// If it `is_asking`, a server of a cluster does it although the slot is still on its way.
    pub(super) async fn call(
        &mut self,
        call: &Call,
        clock: Option<u64>,
        is_asking: bool,
    ) -> RedisResult<Vec<u8>> {
        let which = usize::from(!call.is_plain);
        let hash = command("EVALSHA", &self.hashes[which], call, clock);
        let mut reply = self.send(hash, is_asking).await;
        if reply.as_ref().is_err_and(is_forgotten) {
            reply = self.send(command("EVAL", SCRIPTS[which], call, clock), is_asking).await;
        }
        match reply? {
            Value::BulkString(bytes) => Ok(bytes),
            _ => Err(unexpected()),
        }
    }

    async fn send(&mut self, command: Cmd, is_asking: bool) -> RedisResult<Value> {
        if !is_asking {
            return self.query(&command).await;
        }
        let mut both = Pipeline::new();
        both.cmd("ASKING").add_command(command);
        let replies = self.connection.req_packed_commands(&both, 0, 2).await?;
        let mut last = Err(unexpected());
        for reply in replies {
            last = Ok(reply.extract_error()?);
        }
        last
    }

    /// Sends another command than a call.
    pub(super) async fn query(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.connection.req_packed_command(command).await.and_then(Value::extract_error)
    }
}

/// The script of the usual asks, and the one of all asks.
const SCRIPTS: [&str; 2] = [script::PLAIN, script::ANY];

fn command(name: &str, script: &str, call: &Call, clock: Option<u64>) -> Cmd {
    let keys = call.keys.iter().map(Vec::len).sum::<usize>();
    let size = name.len() + script.len() + keys + call.quotas.len() + call.asks.len() + 40;
    let mut command = Cmd::with_capacity(call.keys.len() + 6, size);
    command.arg(name).arg(script).arg(call.keys.len());
    for key in &call.keys {
        command.arg(&key[..]);
    }
    command.arg(&call.quotas[..]).arg(&call.asks[..]);
    match clock {
        Some(micros) => command.arg(micros),
        None => command.arg(""),
    };
    command
}

fn is_forgotten(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

fn unexpected() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "the reply is not of the type that the script returns").into()
}
