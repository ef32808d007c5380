//! The running service: its limiter, its listeners, and its end.

mod logs;
mod recorder;
mod signals;

use std::io;
use std::path::Path;

use tokio::task::JoinSet;
use tollgate_http::{BuildError, HttpLimiter};

pub use logs::init as init_logs;
pub use signals::until_asked_to_end;

use crate::admin::{Admin, AdminParts, Token, TokenError, Violations};
use crate::net::{ListenAddress, Listener, Shutdown};
use crate::service::Service;
use crate::settings::{ConfigError, ConfigFile, Settings};

/// The running service. It ends when it is told to, or when this is dropped.
#[derive(Debug)]
pub struct Server {
    limiter: HttpLimiter,
    listen: ListenAddress,
    admin: ListenAddress,
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
        let ConfigFile { policy, settings } = config;
        let metrics = recorder::install();
        let token = settings.admin.token_file.as_deref().map(Token::read).transpose()?;
        let violations = Violations::default();
        let noted = violations.clone();
        let mut builder = HttpLimiter::builder(policy)
            .on_violation(move |violation| noted.add(violation.clone()))
            .violations_with_keys(settings.admin.show_keys);
        if let Some(store) = &settings.store {
            let secret = store.key_secret_file.as_deref().map(read_secret).transpose()?;
            builder = builder.store(store.open(secret.as_deref())?).fail_closed(true);
        }
        if let Some(path) = path {
            let path = path.to_owned();
            let paths = std::iter::once(&path).chain(&settings.envoy.files).cloned();
            let paths: Vec<_> = paths.collect();
            builder = builder.watch_with(paths, move || {
                let file = ConfigFile::read(&path).map_err(|ConfigError::Load(error)| error)?;
                Ok(file.policy)
            });
        }
        let limiter = builder.build()?;
        let shutdown = Shutdown::default();
        let checks = bind(&settings.listen).await?;
        let operators = bind(&settings.admin.listen).await?;
        let (listen, admin) = (checks.address().clone(), operators.address().clone());
        let service = Service::new(
            limiter.clone(),
            settings.callers.clone(),
            settings.bounds,
            shutdown.clone(),
        );
        let pages = Admin::new(AdminParts {
            limiter: limiter.clone(),
            violations,
            metrics: metrics.clone(),
            token,
            show_keys: settings.admin.show_keys,
            bounds: settings.bounds,
            shutdown: shutdown.clone(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(checks.serve(service.router(), settings.bounds, shutdown.clone()));
        tasks.spawn(pages.clone().keep_history());
        tasks.spawn(operators.serve(pages.router(), settings.bounds, shutdown.clone()));
        tasks.spawn(recorder::upkeep(metrics, shutdown.clone()));
        tell(settings, &listen, &admin);
        Ok(Self { limiter, listen, admin, shutdown, tasks })
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

fn read_secret(path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path)
        .map(|secret| secret.trim_ascii().to_vec())
        .map_err(|error| StartError::Secret { path: path.display().to_string(), error })
}

fn tell(settings: &Settings, listen: &ListenAddress, admin: &ListenAddress) {
    let store =
        settings.store.as_ref().map_or_else(|| "memory".into(), |store| format!("{:?}", store.url));
    tracing::info!(%listen, %admin, store, "ready");
}
