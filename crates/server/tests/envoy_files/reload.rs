//! Files beside `tollgate.toml`: the policy has both, and a problem names the right file.

use std::fs;

use tollgate_server::settings::ConfigFile;

const EDGE: &str = "domain: edge\ndescriptors:\n- key: user\n  rate_limit: {unit: day, \
                    requests_per_unit: 5}\n";

/// Reads `tollgate.toml` with this policy beside the file `edge.yaml` with that text; returns the
/// policy as TOML, or the problems.
fn read(policy: &str, edge: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tollgate.toml");
    let text = format!("version = 1\n{policy}\n[server.envoy]\nfiles = ['edge.yaml']\n");
    fs::write(&path, text).unwrap();
    fs::write(folder.path().join("edge.yaml"), edge).unwrap();
    let file = ConfigFile::read(&path).map_err(|error| error.to_string());
    let short = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    file.map(|file| file.policy.to_string()).map_err(short)
}

#[test]
fn the_policy_has_both() {
    let policy = "[limits.own]\nquota = '1/s'\n[[descriptors]]\ndomain = 'own'\nentries = ['a']\n\
                  limits = ['own']\n";
    let printed = read(policy, EDGE).unwrap();
    for part in
        ["[limits.own]", "[limits.\"edge.user\"]", "entries = [\"a\"]", "entries = [\"user\"]"]
    {
        assert!(printed.contains(part), "{printed}");
    }
}

#[test]
fn a_name_that_is_there_already_is_an_error_with_both_places() {
    let error = read("[limits.'edge.user']\nquota = '1/s'", EDGE).unwrap_err();
    assert_eq!(
        error,
        "edge.yaml:4:15: the limit `edge.user` is there already, at tollgate.toml:2:9 \
         [duplicate-name]"
    );
    let rule = "[[descriptors]]\ndomain = 'edge'\nentries = ['user']";
    let error = read(rule, EDGE).unwrap_err();
    assert_eq!(
        error,
        "edge.yaml:3:3: these entries have a rule already, at tollgate.toml:4:11: write all of it \
         there [duplicate-name]"
    );
}

#[test]
fn the_problems_of_both_are_told_at_once() {
    let error = read("[limits.own]\nquota = '1'", &EDGE.replace("day", "dya")).unwrap_err();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(lines[0].starts_with("tollgate.toml:3:9: ") && lines[1].starts_with("edge.yaml:4:"));
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tollgate.toml");
    fs::write(&path, "version = 1\n[server.envoy]\nfiles = ['edge.yaml']\n").unwrap();
    let error = ConfigFile::read(&path).unwrap_err().to_string();
    assert!(error.contains("edge.yaml:1:1: the file can't be read: "), "{error}");
}

#[test]
fn a_domain_in_two_files_has_the_descriptors_of_both() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tollgate.toml");
    fs::write(&path, "version = 1\n[server.envoy]\nfiles = ['a.yaml', 'b.yaml']\n").unwrap();
    fs::write(folder.path().join("a.yaml"), EDGE).unwrap();
    fs::write(folder.path().join("b.yaml"), EDGE.replace("user", "address")).unwrap();
    let policy = ConfigFile::read(&path).unwrap().policy;
    assert_eq!(policy.limit_names().collect::<Vec<_>>(), ["edge.user", "edge.address"]);
    let warning = policy.warnings()[0].to_string();
    assert!(warning.contains("b.yaml:1:9: the domain `edge` is also at "), "{warning}");
    // The same descriptor twice is an error, as in ratelimit.
    fs::write(folder.path().join("b.yaml"), EDGE).unwrap();
    let error = ConfigFile::read(&path).unwrap_err().to_string();
    assert!(error.contains("b.yaml:3:3: ratelimit calls this descriptor `user`"), "{error}");
}
