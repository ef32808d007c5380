//! From the table `[server]` to [`Settings`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderName;
use tollgate::shared::Outage;
use tollgate_http::policy::{SettingsReader, shown};

use super::{Admin, Callers, Envoy, Log, Settings, StoreSettings, StoreUrl};
use crate::net::{Bounds, ListenAddress};

/// The keys of `[server]`.
pub(super) const SERVER: &[&str] =
    &["listen", "threads", "store", "shared", "admin", "callers", "envoy", "connections", "log"];

/// Reads the table. What is wrong is noted, and the default stands in its place. Paths are those of
/// `folder`, if they are relative.
pub(super) fn settings(server: SettingsReader<'_>, folder: &Path) -> Settings {
    let default = Settings::default();
    let admin = server.table("admin", &["listen", "token_file", "show_keys"]);
    let settings = Settings {
        listen: listen(server).unwrap_or(default.listen),
        threads: server.number("threads", 1..=1024).and_then(|threads| threads.try_into().ok()),
        admin: admin.map_or(default.admin, |admin| read_admin(admin, folder)),
        callers: server
            .table("callers", &["user", "api_key", "tier"])
            .map_or(default.callers, read_callers),
        store: store(server, folder),
        envoy: server
            .table("envoy", &["listen", "files"])
            .map_or(default.envoy, |envoy| read_envoy(envoy, folder)),
        bounds: server.table("connections", CONNECTIONS).map_or(default.bounds, read_bounds),
        log: server.table("log", &["format", "level"]).map_or(default.log, read_log),
    };
    if !settings.admin.listen.is_local() && settings.admin.token_file.is_none() {
        admin.unwrap_or(server).problem(
            "listen",
            "the admin listener is not on a loopback address, so it needs `token_file`, the path \
             of a file with a token",
        );
    }
    settings
}

fn listen(table: SettingsReader<'_>) -> Option<ListenAddress> {
    table.parsed("listen", |text| text.parse::<ListenAddress>().map_err(|error| error.to_string()))
}

fn read_admin(admin: SettingsReader<'_>, folder: &Path) -> Admin {
    Admin {
        listen: listen(admin).unwrap_or_else(|| Admin::default().listen),
        token_file: path(admin, "token_file", folder),
        show_keys: admin.bool("show_keys", false),
    }
}

fn read_callers(callers: SettingsReader<'_>) -> Callers {
    let header = |key| {
        callers.parsed(key, |text| {
            HeaderName::try_from(text).map_err(|_| format!("`{key}` is not the name of a header"))
        })
    };
    Callers { user: header("user"), api_key: header("api_key"), tier: header("tier") }
}

fn read_envoy(envoy: SettingsReader<'_>, folder: &Path) -> Envoy {
    let files = envoy.texts("files").into_iter().map(|file| folder.join(file)).collect();
    Envoy { listen: listen(envoy), files }
}

const CONNECTIONS: &[&str] = &["most", "head", "body", "body_time", "idle_time", "drain_time"];

fn read_bounds(table: SettingsReader<'_>) -> Bounds {
    let default = Bounds::default();
    let size = |key, range, default: usize| {
        table.number(key, range).and_then(|bytes| bytes.try_into().ok()).unwrap_or(default)
    };
    Bounds {
        connections: size("most", 1..=1_000_000, default.connections),
        head: size("head", (8 << 10)..=(1 << 20), default.head),
        body: size("body", (1 << 10)..=(16 << 20), default.body),
        body_time: duration(table, "body_time").unwrap_or(default.body_time),
        idle_time: duration(table, "idle_time").unwrap_or(default.idle_time),
        drain_time: duration(table, "drain_time").unwrap_or(default.drain_time),
    }
}

fn read_log(log: SettingsReader<'_>) -> Log {
    let json = log.parsed("format", |text| match text {
        "json" => Ok(true),
        "text" => Ok(false),
        _ => Err("`format` is not a form of log lines: write `json` or `text`".to_owned()),
    });
    let level = log.parsed("level", |text| {
        if let Some(word) = text.split(',').find(|directive| !is_directive(directive)) {
            return Err(format!(
                "{} is not a level: write `error`, `warn`, `info`, `debug`, `trace` or `off`, or a \
                 module and a level, such as `info,tollgate_http=debug`",
                shown(word)
            ));
        }
        let parsed = text.parse::<tracing_subscriber::EnvFilter>();
        parsed
            .map(|_| text.to_owned())
            .map_err(|error| format!("`level` is not a level such as `info` or `warn`: {error}"))
    });
    let default = Log::default();
    Log { json: json.unwrap_or(default.json), level: level.unwrap_or(default.level) }
}

fn store(server: SettingsReader<'_>, folder: &Path) -> Option<StoreSettings> {
    const SHARED: &[&str] = &["deadline", "on_outage", "prefix", "key_secret_file"];
    let is_memory = server.text("store").is_none_or(|store| store == "memory");
    let shared = server.table("shared", SHARED);
    if is_memory {
        if shared.is_some() {
            server.problem("shared", "`[server.shared]` is about a store: write `store` too");
        }
        return None;
    }
    let url = server.parsed("store", str::parse::<StoreUrl>)?;
    let parsed_outage = |table: SettingsReader<'_>| table.parsed("on_outage", outage);
    Some(StoreSettings {
        url,
        deadline: shared
            .and_then(|shared| duration(shared, "deadline"))
            .unwrap_or(Duration::from_millis(50)),
        on_outage: shared.and_then(parsed_outage).unwrap_or(Outage::LastKnown),
        prefix: shared.and_then(|shared| shared.text("prefix")).unwrap_or("tollgate:").to_owned(),
        key_secret_file: shared.and_then(|shared| path(shared, "key_secret_file", folder)),
    })
}

/// `closed`, `open`, `last-known`, or the share of this process, such as `1/4`.
fn outage(text: &str) -> Result<Outage, String> {
    match text {
        "closed" => return Ok(Outage::Closed),
        "open" => return Ok(Outage::Open),
        "last-known" => return Ok(Outage::LastKnown),
        _ => {}
    }
    let share = text.split_once('/').and_then(|(mine, of)| {
        let (mine, of) = (mine.parse::<u32>().ok()?, of.parse::<u32>().ok()?);
        (1..=of).contains(&mine).then(|| Outage::local_share(mine, of))
    });
    share.ok_or_else(|| {
        "`on_outage` is what to do while the store does not answer: write `closed`, `open`, \
         `last-known`, or this process's share of each quota, such as `1/4`"
            .to_owned()
    })
}

fn path(table: SettingsReader<'_>, key: &str, folder: &Path) -> Option<PathBuf> {
    Some(folder.join(table.text(key)?))
}

fn duration(table: SettingsReader<'_>, key: &str) -> Option<Duration> {
    table.parsed(key, |text| {
        humantime::parse_duration(text)
            .ok()
            .filter(|duration| (Duration::from_millis(1)..=LONGEST).contains(duration))
            .ok_or_else(|| {
                format!("`{key}` is not a time: write `50ms`, `10s` or `2min`, at most `1h`")
            })
    })
}

/// Whether this is a level, or says one for a module. (The crate takes any word for a module.)
fn is_directive(text: &str) -> bool {
    let level = text.rsplit_once('=').map_or(text, |(_, level)| level).trim();
    ["off", "error", "warn", "info", "debug", "trace"].contains(&&*level.to_ascii_lowercase())
}

/// The longest time that can be set.
const LONGEST: Duration = Duration::from_secs(3_600);
