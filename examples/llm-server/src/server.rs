//! The server: it listens, and keeps the accounts.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::account::{Account, Tally, Verdict};
use crate::answer::{self, Body};
use crate::chat::Chat;
use crate::fault::{self, Fault};
use crate::plan::Plan;

/// A model API on a free port of loopback. Clones are the same server. It ends with the runtime.
///
/// ```
/// use tollgate_llm_server::{Fault, Plan, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = Server::start(&[("sk-1", Plan::per_minute(600, 60_000))]).await?;
/// println!("a client's base URL is {}", server.base_url());
/// server.fail_next("sk-1", Fault::Overloaded, 3); // the next three requests
/// assert_eq!(server.tally("sk-1").unwrap_or_default().served, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    accounts: Arc<Mutex<HashMap<String, Account>>>,
    address: SocketAddr,
    thinks: Duration,
    per_word: Duration,
}

impl Server {
    /// Starts a server with these keys, in the background.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub async fn start(plans: &[(&str, Plan)]) -> io::Result<Self> {
        // A model's pace, ten times as fast as real ones.
        Self::start_paced(plans, Duration::from_millis(30), Duration::from_micros(500)).await
    }

    /// Starts a server whose model thinks for so long before the first word, and then takes so long
    /// for each word.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub async fn start_paced(
        plans: &[(&str, Plan)],
        thinks: Duration,
        per_word: Duration,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let accounts = plans.iter().map(|(key, plan)| ((*key).to_owned(), Account::new(*plan)));
        let accounts = Arc::new(Mutex::new(accounts.collect()));
        let server = Self { accounts, address: listener.local_addr()?, thinks, per_word };
        tokio::spawn(server.clone().listen(listener));
        Ok(server)
    }

    async fn listen(self, listener: TcpListener) {
        while let Ok((socket, _)) = listener.accept().await {
            let server = self.clone();
            let service = service_fn(move |request| {
                let server = server.clone();
                async move { Ok::<_, Infallible>(server.answer(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service);
            tokio::spawn(connection);
        }
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for a client, which adds `/chat/completions`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Lets the next requests with this key go wrong. Replaces an earlier order; with 0 requests,
    /// the key works again.
    pub fn fail_next(&self, key: &str, fault: Fault, requests: u64) {
        self.change(key, |account| account.order(fault, requests));
    }

    /// Answers this key with 401 from now on.
    pub fn revoke(&self, key: &str) {
        self.change(key, Account::revoke);
    }

    /// Refuses this key with 429 for a while, whatever its limits say.
    pub fn close_for(&self, key: &str, pause: Duration) {
        self.change(key, |account| account.close_for(pause));
    }

    /// What became of the requests with this key; `None` if there is no such key.
    #[must_use]
    pub fn tally(&self, key: &str) -> Option<Tally> {
        self.change(key, |account| account.tally)
    }

    /// The tokens that could have been used with this key since `then`; `None` if there is no such
    /// key.
    #[must_use]
    pub fn quota_since(&self, key: &str, then: Instant) -> Option<f64> {
        self.change(key, |account| account.quota(then))
    }

    fn change<R>(&self, key: &str, act: impl FnOnce(&mut Account) -> R) -> Option<R> {
        self.lock().get_mut(key).map(act)
    }

    /// A panic elsewhere leaves the accounts usable.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let Some(chat) = Chat::read(request).await else {
            return answer::error(&fault::unreadable());
        };
        let (key, cost) = (chat.key.clone(), chat.reserve());
        let Some(verdict) = self.change(&key, |account| account.admit(cost)) else {
            return answer::error(&Fault::Unauthorized.told());
        };
        let mut response = match verdict {
            Verdict::Served { breaks_off } => self.serve(chat, breaks_off).await,
            Verdict::TooMany { retry_after } => answer::error(&fault::limited(Some(retry_after))),
            Verdict::Failed(fault) => answer::error(&fault.told()),
        };
        // Who is not known is told no limits.
        if response.status() != hyper::StatusCode::UNAUTHORIZED {
            response.headers_mut().extend(self.headers(&key, cost));
        }
        response
    }

    async fn serve(&self, chat: Chat, breaks_off: bool) -> Response<Body> {
        let mut in_flight = InFlight { server: self.clone(), chat, written: 0, is_finished: false };
        if in_flight.chat.stream {
            tokio::time::sleep(self.thinks).await;
            // Ten words in a chunk's time would be too fast to be seen.
            return answer::events(in_flight, self.per_word * 10, breaks_off);
        }
        if breaks_off {
            return answer::error(&Fault::Overloaded.told());
        }
        let words = in_flight.chat.written();
        tokio::time::sleep(self.thinks + self.per_word * words).await;
        in_flight.wrote(words);
        answer::whole(&in_flight.chat)
    }

    fn headers(&self, key: &str, cost: u32) -> HeaderMap {
        self.change(key, |account| account.headers(cost.into())).unwrap_or_default()
    }
}

/// A request that is being answered. When it ends, also because the client has gone away, the
/// account gets back what was reserved and not used.
#[derive(Debug)]
pub(crate) struct InFlight {
    server: Server,
    chat: Chat,
    written: u32,
    is_finished: bool,
}

impl InFlight {
    pub(crate) fn chat(&self) -> &Chat {
        &self.chat
    }

    pub(crate) fn wrote(&mut self, words: u32) {
        self.written = words;
    }

    /// Gives back what was not used, once.
    pub(crate) fn finish(&mut self) {
        if !std::mem::replace(&mut self.is_finished, true) {
            let used = self.chat.prompt.saturating_add(self.written);
            let reserved = self.chat.reserve();
            self.server.change(&self.chat.key, |account| account.finish(reserved, used));
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.finish();
    }
}
