//! The commands that run to their end.

use std::fs;

use tempfile::tempdir;

use crate::support::{output, text};

#[test]
fn init_writes_a_file_that_check_accepts() {
    let folder = tempdir().expect("a folder");
    let written = output(&["init"], folder.path());
    assert!(written.status.success());
    assert!(text(&written.stdout).contains("tollgate serve --config tollgate.toml"));
    let checked = output(&["check", "--strict", "tollgate.toml"], folder.path());
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).contains("with 3 limits"), "{}", text(&checked.stdout));

    let again = output(&["init"], folder.path());
    assert_eq!(again.status.code(), Some(1), "a file is not replaced");
    assert!(text(&again.stderr).contains("--force"));
    assert!(output(&["init", "--force"], folder.path()).status.success());
    assert!(text(&output(&["init", "-"], folder.path()).stdout).starts_with("# What is limited"));
}

#[test]
fn check_tells_all_problems_of_the_policy_and_of_the_service() {
    let folder = tempdir().expect("a folder");
    let file = "version = 1
always = ['cals']
[limits.calls]
quota = '0/s'
[server]
listn = '127.0.0.1:8080'
store = 'postgres://x'
threads = 0
[server.admin]
listen = '0.0.0.0:1'
[server.log]
format = 'xml'
level = 'verbose'
";
    fs::write(folder.path().join("a.toml"), file).expect("the file is written");
    let checked = output(&["check", "a.toml", "b.toml"], folder.path());
    assert_eq!(checked.status.code(), Some(1));
    let problems = text(&checked.stderr);
    for expected in [
        "a.toml:2:11: ",
        "a.toml:4:9: ",
        "a.toml:6:1: `listn` is not a setting here: did you mean `listen`?",
        "a.toml:7:9: write `memory`, or the URL of a server",
        "a.toml:8:11: `threads` is the number `0`: write a whole number from 1 to 1024",
        "a.toml:10:10: the admin listener is not on a loopback address",
        "a.toml:12:10: `format` is not a form of log lines",
        "a.toml:13:9: `verbose` is not a level",
        "b.toml: the file can't be read",
    ] {
        assert!(problems.contains(expected), "{expected} is not in\n{problems}");
    }
    assert!(!problems.contains("postgres"), "a URL may have a password");
}

#[test]
fn explain_says_what_happens_to_a_request() {
    let folder = tempdir().expect("a folder");
    output(&["init"], folder.path());
    let arguments = ["explain", "tollgate.toml", "--method", "POST", "--path", "/login?next=/"];
    let address = ["--address", "127.0.0.1", "--header", "x-forwarded-for: 203.0.113.7"];
    let explained = output(&[&arguments[..], &address[..]].concat(), folder.path());
    assert!(explained.status.success(), "{}", text(&explained.stderr));
    let table = text(&explained.stdout);
    let words: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(words.contains(&vec!["route:", "login"]), "{table}");
    assert!(words.contains(&vec!["tier:", "free"]), "{table}");
    let login = "login 5/15min the limit 1 5 address 203.0.113.7 its route";
    assert!(words.contains(&login.split(' ').collect()), "{table}");

    let wrong = output(&["explain", "tollgate.toml", "--address", "1.2.3"], folder.path());
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn shells_and_readers_of_the_manual_are_served() {
    let folder = tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish"] {
        let completions = output(&["completions", shell], folder.path());
        assert!(text(&completions.stdout).contains("explain"), "{shell}");
    }
    let manual = text(&output(&["manual"], folder.path()).stdout);
    assert!(manual.starts_with(".ie") || manual.contains(".TH tollgate"), "{manual}");
    assert!(manual.contains("completions"), "{manual}");
}

#[test]
fn a_service_that_cannot_start_says_why() {
    let folder = tempdir().expect("a folder");
    let none = output(&["serve"], folder.path());
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("tollgate.toml: the file can't be read"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let file = format!("version = 1\n[server]\nlisten = '{address}'\n");
    fs::write(folder.path().join("tollgate.toml"), file).expect("the file is written");
    let refused = output(&["serve"], folder.path());
    assert_eq!(refused.status.code(), Some(1));
    let error = text(&refused.stderr);
    assert!(error.contains(&format!("can't listen on {address}")), "{error}");
}
