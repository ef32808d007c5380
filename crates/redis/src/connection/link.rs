//! A connection that is made again in the background whenever it is lost.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis::{Cmd, Value};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};
use tollgate::shared::store::{Answer, StoreError};

use super::call::Connection;
use super::error;
use super::redirect::Address;
use super::sentinel::Sentinels;
use super::server_clock::ServerClock;
use super::settings::Settings;
use crate::builder::ConnectError;
use crate::events;
use crate::wire::{Call, clock};

/// After so many calls in a row without an answer, the connection is replaced: it may be one that
/// swallows everything.
const SILENT_CALLS: u32 = 2;

/// The pauses between attempts to connect: from the first one on, twice as long each time, up to
/// the second.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(100)];

/// So often are the sentinels asked whether the server is still the master, while it is in use. A
/// master that they have replaced may go on for seconds before they demote it.
const ASK_SENTINELS_EVERY: Duration = Duration::from_secs(1);

/// The connection, if there is one, and what is known of the server.
pub(crate) struct Link {
    settings: Settings,
    /// Who knows where the server is, if that may change.
    sentinels: Option<Sentinels>,
    first_attempt: OnceCell<Result<(), ConnectError>>,
    state: Mutex<State>,
}

struct State {
    connection: Option<Connection>,
    /// Counts the connections: what an old one says is no longer of interest.
    number: u64,
    silent_calls: u32,
    is_connecting: bool,
    /// The master that the sentinels have named, and when.
    named: Option<(Address, Instant)>,
    /// Why there is no connection.
    why: String,
    server_clock: ServerClock,
}

impl Link {
    /// No connection yet.
    pub(super) fn new(settings: Settings, sentinels: Option<Sentinels>) -> Arc<Self> {
        let state = State {
            connection: None,
            number: 0,
            silent_calls: 0,
            is_connecting: false,
            named: None,
            why: "there is no connection yet".into(),
            server_clock: ServerClock::new(),
        };
        let (first_attempt, state) = (OnceCell::new(), Mutex::new(state));
        Arc::new(Self { settings, sentinels, first_attempt, state })
    }

    /// Makes a connection.
    pub(crate) async fn connect(&self) -> Result<(), ConnectError> {
        if Handle::try_current().is_err() {
            return Err(ConnectError::NoRuntime);
        }
        let made = timeout(self.settings.connect_deadline, self.make()).await;
        made.unwrap_or_else(|_| Err(ConnectError::Unreachable("it does not answer".into())))
    }

    async fn make(&self) -> Result<(), ConnectError> {
        let (connection, named) = if let Some(sentinels) = &self.sentinels {
            let (connection, address) = sentinels.connect(&self.settings).await?;
            (connection, Some((address, Instant::now())))
        } else {
            let connection = self.settings.connect().await;
            (connection.map_err(|error| error::of_connect(&error))?, None)
        };
        let connected = async {
            let mut connection = Connection::new(connection).await?;
            // A call without asks answers the server's clock, where it is the one that counts.
            let sent = Instant::now();
            let reply = if self.settings.has_callers_clock {
                Vec::new()
            } else {
                connection.call(&Call::default(), None, false).await?
            };
            Ok((connection, sent, reply))
        };
        let (connection, sent, reply) =
            connected.await.map_err(|error| error::of_connect(&error))?;
        let mut state = self.state();
        state.server_clock = ServerClock::new();
        if let Some(server) = clock(&reply) {
            state.server_clock.note(server, sent, Instant::now());
        }
        state.connection = Some(connection);
        state.named = named;
        state.number += 1;
        state.silent_calls = 0;
        drop(state);
        events::connected();
        Ok(())
    }

    /// Tries to make a connection, unless there is one or that was tried before. If it fails, it
    /// is tried again in the background.
    pub(crate) async fn first_attempt(self: &Arc<Self>) {
        let attempt = async || {
            if self.is_connected() {
                return Ok(());
            }
            let connected = self.connect().await;
            if connected.is_err() {
                self.reconnect();
            }
            connected
        };
        let _ = self.first_attempt.get_or_init(attempt).await;
    }

    /// Why the first attempt to make a connection has failed.
    pub(super) fn why_not(&self) -> Option<ConnectError> {
        self.first_attempt.get().and_then(|attempt| attempt.clone().err())
    }

    /// Makes a connection in the background, unless that is being done. `false` if there is no
    /// runtime for it.
    pub(crate) fn reconnect(self: &Arc<Self>) -> bool {
        let Ok(runtime) = Handle::try_current() else { return false };
        if std::mem::replace(&mut self.state().is_connecting, true) {
            return true;
        }
        // If the runtime drops the task, another call starts it again.
        let attempt = Attempt(Arc::downgrade(self));
        runtime.spawn(async move {
            let mut pause = PAUSES[0];
            while let Some(link) = attempt.0.upgrade() {
                match link.connect().await {
                    Ok(()) => break,
                    Err(why) => link.state().why = why.to_string(),
                }
                drop(link);
                sleep(pause).await;
                pause = (pause * 2).min(PAUSES[1]);
            }
        });
        true
    }

    /// Sends all calls at once, and returns the reply to each. If it `is_asking`, a server of a
    /// cluster does them although their slots are still on their way.
    pub(crate) async fn call_all(
        self: &Arc<Self>,
        calls: &[Call],
        clock: Option<u64>,
        is_asking: bool,
    ) -> Vec<Result<Vec<u8>, StoreError>> {
        // One is by far the most frequent case.
        if let [call] = calls {
            return vec![self.call(call, clock, is_asking).await];
        }
        join_all(calls.iter().map(|call| self.call(call, clock, is_asking))).await
    }

    /// Sends another command than a call.
    pub(super) async fn query(self: &Arc<Self>, command: &Cmd) -> Result<Value, StoreError> {
        let (mut connection, _) = self.current()?;
        let reply = timeout(self.settings.deadline, connection.query(command)).await;
        let reply = reply.map_err(|_| StoreError::Lost("no answer".into()))?;
        reply.map_err(|error| error::of_call(&error))
    }

    async fn call(
        self: &Arc<Self>,
        call: &Call,
        at: Option<u64>,
        is_asking: bool,
    ) -> Result<Vec<u8>, StoreError> {
        let (mut connection, number) = self.current()?;
        let sent = Instant::now();
        let reply = timeout(self.settings.deadline, connection.call(call, at, is_asking)).await;
        let received = Instant::now();
        match reply {
            Ok(Ok(reply)) => {
                let mut state = self.state();
                if state.number == number {
                    state.silent_calls = 0;
                }
                if let (None, Some(server)) = (at, clock(&reply)) {
                    state.server_clock.note(server, sent, received);
                }
                Ok(reply)
            }
            Ok(Err(error)) => {
                let for_ask = error::of_call(&error);
                if error::ends_connection(&error) {
                    self.replace(number, &for_ask.to_string());
                }
                Err(for_ask)
            }
            Err(_) => {
                let mut state = self.state();
                // What an earlier connection does says nothing of this one.
                state.silent_calls += u32::from(state.number == number);
                let is_silent = state.silent_calls >= SILENT_CALLS;
                drop(state);
                let deadline = self.settings.deadline;
                let why = format!("no answer within {deadline:?}");
                if is_silent {
                    self.replace(number, &why);
                }
                Err(StoreError::Lost(why))
            }
        }
    }

    /// Replaces connection `number` if its answers say that it is of no more use.
    pub(crate) fn heed(self: &Arc<Self>, number: u64, answers: &[Result<Answer, StoreError>]) {
        let mut errors = answers.iter().filter_map(|answer| answer.as_ref().err());
        if let Some(error) = errors.find(|error| error::is_useless(error)) {
            self.replace(number, &error.to_string());
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state().connection.is_some()
    }

    /// The number of the connection.
    pub(crate) fn number(&self) -> u64 {
        self.state().number
    }

    /// The latest time that the server's clock may show after `later`, in µs.
    pub(crate) fn server_time_in(&self, later: Duration) -> Option<u64> {
        self.state().server_clock.latest(Instant::now(), later)
    }

    /// The connection and its number.
    fn current(self: &Arc<Self>) -> Result<(Connection, u64), StoreError> {
        let mut state = self.state();
        if let Some(connection) = state.connection.clone() {
            let number = state.number;
            if let Some((_, asked_at)) = &mut state.named
                && asked_at.elapsed() >= ASK_SENTINELS_EVERY
            {
                *asked_at = Instant::now();
                drop(state);
                self.ask_sentinels(number);
            }
            return Ok((connection, number));
        }
        let why = state.why.clone();
        drop(state);
        self.reconnect();
        Err(StoreError::Unreachable(why))
    }

    /// Asks the sentinels in the background whether connection `number` leads to the master still.
    fn ask_sentinels(self: &Arc<Self>, number: u64) {
        let (Ok(runtime), link) = (Handle::try_current(), Arc::clone(self)) else { return };
        runtime.spawn(async move {
            let Some(sentinels) = &link.sentinels else { return };
            let Ok(master) = sentinels.master(&link.settings).await else { return };
            let is_another = link.state().named.as_ref().is_some_and(|(it, _)| *it != master);
            // Another sentinel must say so too: one by itself can be wrong.
            if is_another && sentinels.master(&link.settings).await == Ok(master) {
                link.replace(number, "the sentinels name another master");
            }
        });
    }

    /// Gives connection `number` up, if it is still in use, and makes another.
    fn replace(self: &Arc<Self>, number: u64, why: &str) {
        let mut state = self.state();
        if state.number != number || state.connection.is_none() {
            return;
        }
        let old = state.connection.take();
        state.why = why.to_string();
        drop(state);
        drop(old);
        events::disconnected(why);
        self.reconnect();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt to connect, which ends when this is dropped.
struct Attempt(Weak<Link>);

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(link) = self.0.upgrade() {
            link.state().is_connecting = false;
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("settings", &self.settings)
            .field("sentinels", &self.sentinels)
            .field("is_connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}
