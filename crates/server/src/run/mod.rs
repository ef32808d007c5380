//! The running service: its limiter, its listeners, and its end.

mod files;
mod limiter;
mod logs;
mod recorder;
mod signals;

use std::io;
use std::path::Path;

use axum::Router;
use tokio::task::JoinSet;
use tollgate_http::{BuildError, HttpLimiter};

pub use files::raise_open_files;
pub use logs::init as init_logs;
pub use signals::until_asked_to_end;

use crate::admin::{Admin, AdminParts, Token, TokenError, Violations};
use crate::envoy;
use crate::net::{Bounds, ListenAddress, Listener, Shutdown};
use crate::service::Service;
use crate::settings::{ConfigFile, Settings};

/// The running service. It ends when it is told to, or when this is dropped: then it answers
/// nothing that is in flight, and its connections are closed.
#[derive(Debug)]
pub struct Server {
    limiter: HttpLimiter,
    listen: ListenAddress,
    admin: ListenAddress,
    envoy: Option<ListenAddress>,
    shutdown: Shutdown,
    tasks: JoinSet<()>,
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The limiter can't be built.
    #[error(transparent)]
    Limiter(#[from] BuildError),
    /// The token of the operators can't be read.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The store can't be opened.
    #[error("`store` can't be opened: {0}")]
    Store(#[from] tollgate_redis::ConnectError),
    /// The secret by which keys are hashed can't be read.
    #[error("{path}: the secret can't be read: {error}")]
    Secret {
        /// The file.
        path: String,
        /// What the operating system says.
        #[source]
        error: io::Error,
    },
    /// The operating system refuses a listener.
    #[error("can't listen on {address}: {error}")]
    Listen {
        /// Where.
        address: ListenAddress,
        /// What the operating system says.
        #[source]
        error: io::Error,
    },
}

impl Server {
    /// Starts the service, in a tokio runtime. If the policy is in the file at `path`, it is read
    /// again when this file or one that adds to it changes, and on SIGHUP.
    ///
    /// # Errors
    ///
    /// If a file can't be read, or the operating system refuses a listener. Nothing then runs.
    pub async fn start(config: &ConfigFile, path: Option<&Path>) -> Result<Self, StartError> {
        let settings = &config.settings;
        let metrics = recorder::install();
        let token = settings.admin.token_file.as_deref().map(Token::read).transpose()?;
        let violations = Violations::default();
        let limiter = limiter::build(config, path, &violations).await?;
        let checks = bind(&settings.listen).await?;
        let operators = bind(&settings.admin.listen).await?;
        let envoys = match &settings.envoy.listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let (shutdown, bounds) = (Shutdown::default(), settings.bounds);
        let service =
            Service::new(limiter.clone(), settings.callers.clone(), bounds, shutdown.clone());
        let pages = Admin::new(AdminParts {
            limiter: limiter.clone(),
            violations,
            metrics: metrics.clone(),
            token,
            show_keys: settings.admin.show_keys,
            bounds,
            shutdown: shutdown.clone(),
        });
        let mut server = Self {
            limiter,
            listen: checks.address().clone(),
            admin: operators.address().clone(),
            envoy: envoys.as_ref().map(|listener| listener.address().clone()),
            shutdown: shutdown.clone(),
            tasks: JoinSet::new(),
        };
        server.serve(checks, service.router(), bounds);
        server.serve(operators, pages.clone().router(), bounds);
        if let Some(listener) = envoys {
            let router = envoy::router(server.limiter.clone(), envoy::Bounds::default());
            server.serve(listener, router, bounds);
        }
        server.tasks.spawn(pages.keep_history());
        server.tasks.spawn(recorder::upkeep(metrics, shutdown));
        server.tell(settings);
        Ok(server)
    }

    /// Where checks are answered.
    #[must_use]
    pub fn listen(&self) -> &ListenAddress {
        &self.listen
    }

    /// Where operators are answered.
    #[must_use]
    pub fn admin(&self) -> &ListenAddress {
        &self.admin
    }

    /// The limiter.
    #[must_use]
    pub fn limiter(&self) -> &HttpLimiter {
        &self.limiter
    }

    /// Where Envoys are answered; `None` for nowhere.
    #[must_use]
    pub fn envoy(&self) -> Option<&ListenAddress> {
        self.envoy.as_ref()
    }

    /// Serves a listener in a task of its own.
    fn serve(&mut self, listener: Listener, router: Router, bounds: Bounds) {
        self.tasks.spawn(listener.serve(router, bounds, self.shutdown.clone()));
    }

    fn tell(&self, settings: &Settings) {
        let (listen, admin, envoy) = (&self.listen, &self.admin, self.envoy.as_ref());
        let store = settings.store.as_ref().map(|store| store.url.to_string());
        let store = store.as_deref().unwrap_or("memory");
        let dashboard = format!("http://{admin}/dashboard");
        let envoy = envoy.map(tracing::field::display);
        tracing::info!(%listen, %admin, envoy, store, dashboard, "ready");
    }

    /// Ends the service: accepts no more connections, and returns once all requests in flight are
    /// answered, or the time for that is over.
    pub async fn stop(mut self) {
        self.shutdown.begin();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn bind(address: &ListenAddress) -> Result<Listener, StartError> {
    let bound = Listener::bind(address).await;
    bound.map_err(|error| StartError::Listen { address: address.clone(), error })
}
