//! The settings of the service: the table `[server]` of its file, beside the policy.
//!
//! ```
//! use tollgate_server::settings::ConfigFile;
//!
//! let text = "
//! version = 1
//! always = ['flood']
//! [limits.flood]
//! quota = '20/s burst 60'
//! key = 'address'
//!
//! [server]
//! listen = '127.0.0.1:8080'
//! store = 'redis://127.0.0.1'
//! [server.admin]
//! listen = '127.0.0.1:8081'
//! ";
//! let file = ConfigFile::parse("tollgate.toml".as_ref(), text.as_bytes())?;
//! assert_eq!(file.settings.listen.to_string(), "127.0.0.1:8080");
//! # Ok::<(), tollgate_server::settings::ConfigError>(())
//! ```

mod callers;
mod file;
mod read;
mod store;

use std::path::PathBuf;

pub use callers::Callers;
pub(crate) use callers::only_text;
pub use file::{ConfigError, ConfigFile};
pub use store::{StoreSettings, StoreUrl};

use crate::net::{Bounds, ListenAddress};

/// The settings of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where checks are answered.
    pub listen: ListenAddress,
    /// How many threads serve requests; `None` for one for each core.
    pub threads: Option<usize>,
    /// What only operators may see and do.
    pub admin: Admin,
    /// Who the caller of a forwarded request is.
    pub callers: Callers,
    /// Where the buckets are; `None` for the memory of this process.
    pub store: Option<StoreSettings>,
    /// Envoy's protocol.
    pub envoy: Envoy,
    /// What a client can make the service hold.
    pub bounds: Bounds,
    /// What is written to the standard error output.
    pub log: Log,
}

/// What only operators may see and do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where.
    pub listen: ListenAddress,
    /// The file with the token that requests must have. Without it, everybody who can connect is
    /// an operator, so the address must be a local one.
    pub token_file: Option<PathBuf>,
    /// Whether keys are shown as they are, and not only as hashes.
    pub show_keys: bool,
}

/// Envoy's protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envoy {
    /// Where; `None` for nowhere.
    pub listen: Option<ListenAddress>,
    /// Files in the format of envoyproxy/ratelimit, whose limits join those of the policy.
    pub files: Vec<PathBuf>,
}

/// What is written to the standard error output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Whether lines are JSON objects, and not text for people.
    pub json: bool,
    /// Which events are written: a level, or directives of the crate `tracing-subscriber`.
    pub level: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: ListenAddress::Tcp(([127, 0, 0, 1], 8080).into()),
            threads: None,
            admin: Admin::default(),
            callers: Callers::default(),
            store: None,
            envoy: Envoy::default(),
            bounds: Bounds::default(),
            log: Log::default(),
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        let listen = ListenAddress::Tcp(([127, 0, 0, 1], 8081).into());
        Self { listen, token_file: None, show_keys: false }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { json: true, level: "info".into() }
    }
}
