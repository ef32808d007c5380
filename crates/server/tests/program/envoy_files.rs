//! Files of envoyproxy/ratelimit: checked, printed, and read again by a running service.

use std::fs;

use tempfile::{TempDir, tempdir};

use crate::support::{Service, ask, output, text};

const EDGE: &str = "domain: edge\ndescriptors:\n- key: user\n  detailed_metric: true\n  rate_limit: \
                    {unit: day, requests_per_unit: 5}\n";

fn folder(edge: &str) -> TempDir {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("edge.yaml"), edge).expect("the file is written");
    folder
}

#[test]
fn check_tells_what_is_wrong_and_what_has_no_effect() {
    let folder_with = folder(EDGE);
    let check = ["check", "--envoy", "edge.yaml"];
    let checked = output(&check, folder_with.path());
    assert!(checked.status.success());
    let warning = "warning: edge.yaml:4:20: `detailed_metric`: metrics have the name of the limit";
    assert!(text(&checked.stderr).starts_with(warning), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).starts_with("edge.yaml: policy "));
    let strict = output(&[&check[..], &["--strict"]].concat(), folder_with.path());
    assert_eq!(strict.status.code(), Some(1));

    let wrong = output(&check, folder(&EDGE.replace("unit", "unti")).path());
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("edge.yaml:5:16: `unti` is not a key of `rate_limit`"));
    let missing = output(&["check", "--envoy", "other.yaml"], folder_with.path());
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).starts_with("other.yaml:1:1: the file can't be read"));
    let nothing = output(&["check"], folder_with.path());
    assert_eq!(nothing.status.code(), Some(1));
    assert!(text(&nothing.stderr).starts_with("tollgate.toml: the file can't be read"));
}

/// Each command that reads a file of tollgate says what else the file is, and nothing of settings
/// that tollgate does not know.
#[test]
fn a_file_of_ratelimit_in_the_place_of_one_of_tollgate_is_named() {
    let folder_with = folder(EDGE);
    let commands: [&[&str]; 4] = [
        &["check", "edge.yaml"],
        &["serve", "--config", "edge.yaml"],
        &["explain", "edge.yaml", "--method", "GET", "--path", "/"],
        &["replay", "edge.yaml", "access.log"],
    ];
    for command in commands {
        let told = output(command, folder_with.path());
        assert_eq!(told.status.code(), Some(1), "{command:?}");
        let error = text(&told.stderr);
        for expected in ["edge.yaml: ", "envoyproxy/ratelimit", "tollgate check --envoy edge.yaml"]
        {
            assert!(error.contains(expected), "{command:?}: {expected} is not in\n{error}");
        }
        assert!(!error.contains("is not a setting here"), "{error}");
    }
    // A policy with mistakes is none, also if it has a setting of that name.
    let policy = "domain: edge\nlimits:\n  calls:\n    quota: 1/s\n";
    let told = output(&["check", "edge.yaml"], folder(policy).path());
    let error = text(&told.stderr);
    assert!(error.contains("`domain` is not a setting here"), "{error}");
    assert!(!error.contains("--envoy"), "{error}");
}

#[test]
fn the_printed_policy_is_one() {
    let folder = folder(EDGE);
    let printed = output(&["check", "--envoy", "edge.yaml", "--print"], folder.path());
    fs::write(folder.path().join("printed.toml"), &printed.stdout).expect("the file is written");
    let checked = output(&["check", "--strict", "printed.toml"], folder.path());
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).contains("with 1 limits"));
}

#[test]
fn a_running_service_reads_them_again() {
    let folder = folder(EDGE);
    let file = "version = 1\n[server]\nlisten = '127.0.0.1:0'\n[server.admin]\n\
                listen = '127.0.0.1:0'\n[server.envoy]\nfiles = ['edge.yaml']\n";
    fs::write(folder.path().join("tollgate.toml"), file).expect("the file is written");
    let service = Service::start(folder.path());
    let policy = || ask(service.admin, "GET /rate_limit/config HTTP/1.1", "").expect("an answer");
    assert!(policy().contains("5/day"), "{}", policy());

    let edge = folder.path().join("edge.yaml");
    let replace = |text: &str| {
        let new = edge.with_extension("new");
        fs::write(&new, text).expect("the file is written");
        fs::rename(&new, &edge).expect("the file is replaced");
    };
    replace(&EDGE.replace(": 5", ": 7"));
    let replaced = service.event("the policy was replaced");
    assert_eq!(replaced["changes"], "limits: 1 kept; quota of `edge.user`: 5/day -> 7/day");
    assert!(policy().contains("7/day"), "{}", policy());

    replace(&EDGE.replace("day", "dya"));
    let refused = service.event("the policy was not replaced, the old one stays in force");
    let error = refused["error"].as_str().unwrap_or_default();
    assert!(
        error.ends_with("edge.yaml:5:22: `unit` is `dya`: did you mean `day`? [bad-value]"),
        "{error}"
    );
    assert!(policy().contains("7/day"), "{}", policy());
}
