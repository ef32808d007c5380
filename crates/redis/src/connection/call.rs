//! One call of the script.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use crate::script;
use crate::wire::Call;

/// How often a script is sent again that the server has forgotten.
const LOADS: usize = 3;

/// A connection on which the scripts have been sent.
#[derive(Clone)]
pub(super) struct Connection {
    connection: MultiplexedConnection,
    /// The hashes of the script for token buckets alone, and of the one for all rules.
    hashes: [String; 2],
}

impl Connection {
    /// Sends the scripts.
    pub(super) async fn new(mut connection: MultiplexedConnection) -> RedisResult<Self> {
        let mut hashes = [String::new(), String::new()];
        for (hash, source) in hashes.iter_mut().zip(SCRIPTS) {
            *hash = match connection.req_packed_command(&load(source)).await? {
                Value::BulkString(text) => String::from_utf8_lossy(&text).into_owned(),
                Value::SimpleString(text) => text,
                _ => return Err(unexpected()),
            };
        }
        Ok(Self { connection, hashes })
    }

    /// Calls the script. If the server has forgotten the script, it has done nothing; then the
    /// script is sent again together with the call.
    pub(super) async fn call(&mut self, call: &Call, clock: Option<u64>) -> RedisResult<Vec<u8>> {
        let which = usize::from(!call.are_buckets);
        let command = command(&self.hashes[which], call, clock);
        let mut reply = self.connection.req_packed_command(&command).await;
        for _ in 0..LOADS {
            if !reply.as_ref().is_err_and(is_forgotten) {
                break;
            }
            let mut both = redis::Pipeline::with_capacity(2);
            both.add_command(load(SCRIPTS[which])).add_command(command.clone());
            reply = match self.connection.req_packed_commands(&both, 0, 2).await {
                Ok(mut replies) => {
                    replies.pop().ok_or_else(unexpected).and_then(Value::extract_error)
                }
                Err(error) => Err(error),
            };
        }
        match reply? {
            Value::BulkString(bytes) => Ok(bytes),
            _ => Err(unexpected()),
        }
    }
}

const SCRIPTS: [&str; 2] = [script::TOKEN_BUCKETS, script::ALL_RULES];

fn load(source: &str) -> Cmd {
    let mut command = Cmd::new();
    command.arg("SCRIPT").arg("LOAD").arg(source);
    command
}

fn command(hash: &str, call: &Call, clock: Option<u64>) -> Cmd {
    let mut command = Cmd::new();
    command.arg("EVALSHA").arg(hash).arg(call.keys.len());
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
