//! What the limiter is measured against: other calls through the same client crate.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Cmd, Script, Value};
use tokio::runtime::Runtime;

use crate::server::Server;

/// A connection that all tasks share, as the limiter's is.
fn connection(runtime: &Runtime, server: &Server) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).expect("a URL");
    // A busy machine can be late. By default, it is half a second.
    let deadline = Some(Duration::from_secs(5));
    let config = AsyncConnectionConfig::new().set_response_timeout(deadline);
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    runtime.block_on(connection).expect("the server is there")
}

/// The GCRA, one script call per decision.
#[derive(Clone)]
pub(crate) struct Gcra {
    connection: MultiplexedConnection,
    script: Script,
}

impl Gcra {
    pub(crate) fn new(runtime: &Runtime, server: &Server) -> Self {
        let connection = connection(runtime, server);
        Self { connection, script: Script::new(include_str!("gcra.lua")) }
    }

    /// Whether one permit of 1,000 a second was there.
    pub(crate) async fn allow(&self, key: &str) -> bool {
        let mut connection = self.connection.clone();
        let mut call = self.script.key(key);
        call.arg(1000).arg(1000).arg(1).arg(1);
        let answer: (u64, u64, String, String) =
            call.invoke_async(&mut connection).await.expect("an answer");
        answer.0 > 0
    }
}

/// `GET`, which decides nothing.
#[derive(Clone)]
pub(crate) struct Get(MultiplexedConnection);

impl Get {
    pub(crate) fn new(runtime: &Runtime, server: &Server) -> Self {
        Self(connection(runtime, server))
    }

    pub(crate) async fn get(&self, key: &str) {
        let mut connection = self.0.clone();
        let mut command = Cmd::new();
        command.arg("GET").arg(key);
        let reply = connection.req_packed_command(&command).await.expect("an answer");
        assert!(matches!(reply, Value::Nil | Value::BulkString(_)));
    }
}

/// The limiter's own script without the limiter: one call with prepared arguments.
#[derive(Clone)]
pub(crate) struct Bare {
    connection: MultiplexedConnection,
    hash: String,
    quotas: Vec<u8>,
    asks: Vec<u8>,
}

impl Bare {
    pub(crate) fn new(runtime: &Runtime, server: &Server) -> Self {
        let mut connection = connection(runtime, server);
        let script = Script::new(include_str!("../../../redis/src/script/plain.lua"));
        runtime.block_on(script.load_async(&mut connection)).expect("the script");
        // 1,000 permits a second: one unit a µs, and 1,000 units a permit.
        let number = |number: f64| number.to_le_bytes();
        let mut quotas = vec![0];
        quotas.extend([1.0, 1e6, 0.0].into_iter().flat_map(number));
        quotas.extend([1, 2, 3]);
        // Take one permit, without patience, however late.
        let mut asks = vec![0, 1];
        asks.extend([1.0, 0.0, 0.0].into_iter().flat_map(number));
        asks.push(0);
        asks.extend([1000.0, 0.0].into_iter().flat_map(number));
        Self { connection, hash: script.get_hash().to_owned(), quotas, asks }
    }

    pub(crate) async fn call(&self, key: &str) {
        let mut connection = self.connection.clone();
        let mut command = Cmd::new();
        command.arg("EVALSHA").arg(&self.hash).arg(1).arg(key);
        command.arg(&self.quotas).arg(&self.asks).arg("");
        let reply = connection.req_packed_command(&command).await.expect("an answer");
        assert!(matches!(reply, Value::BulkString(_)));
    }
}
