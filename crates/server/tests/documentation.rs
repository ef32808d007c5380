//! The README: its settings are ones that the reader knows, and their values are the defaults.

use tollgate_server::settings::{ConfigFile, Settings};

const README: &str = include_str!("../README.md");

fn block(kind: &str) -> &'static str {
    let block = README.split(&format!("\n```{kind}\n")).nth(1).expect("the block is there");
    block.split("\n```").next().expect("the block ends")
}

fn read(text: &str) -> Settings {
    ConfigFile::parse("README.toml".as_ref(), text.as_bytes())
        .expect("the settings are right")
        .settings
}

#[test]
fn the_settings_are_the_defaults() {
    let settings = read(block("toml"));
    let default = Settings::default();
    assert_eq!(settings.listen, default.listen);
    assert_eq!(settings.bounds, default.bounds);
    assert_eq!(settings.log, default.log);
    assert_eq!(settings.admin.listen, default.admin.listen);
    assert_eq!(settings.admin.show_keys, default.admin.show_keys);
    assert_eq!(settings.store, default.store);
}

#[test]
fn the_settings_of_a_store_are_the_defaults() {
    let settings = |text: &str| read(&format!("version = 1\n[server]\n{text}")).store;
    let told = settings(block("toml,shared")).expect("a store");
    let default = settings("store = \"redis://127.0.0.1:6379\"").expect("a store");
    assert_eq!((told.deadline, told.on_outage), (default.deadline, default.on_outage));
    assert_eq!((&told.url, &told.prefix), (&default.url, &default.prefix));
}

/// Each setting that the README lists is one that the reader knows, and the other way round.
#[test]
fn all_settings_are_told() {
    let wrong = "version = 1\n[server]\nx = 1\n[server.admin]\nx = 1\n[server.callers]\nx = 1\n\
                 [server.connections]\nx = 1\n[server.log]\nx = 1\n[server.shared]\nx = 1\n";
    let error = ConfigFile::parse("a.toml".as_ref(), wrong.as_bytes()).expect_err("unknown keys");
    let told = format!("{}\n{}", block("toml"), block("toml,shared"));
    let mut seen = 0;
    for known in error.to_string().lines().filter_map(|line| line.split("possible: ").nth(1)) {
        for key in known.split(" [").next().unwrap_or_default().split(", ") {
            let key = key.trim_matches('`');
            let is_told =
                told.contains(&format!("\n{key} = ")) || told.contains(&format!(".{key}]"));
            assert!(is_told || key == "envoy", "`{key}` is not in the README");
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} settings were compared");
}
