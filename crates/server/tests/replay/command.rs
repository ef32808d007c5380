//! The command as it is called: what it prints, and its exit codes.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::support::{EXCERPT, arguments};

const POLICY: &str = "version = 1\nalways = ['calls']\n[limits.calls]\nquota = '30/min burst 20'\n\
                      key = 'address'\n";

/// Runs `tollgate replay` with these arguments and this standard input.
fn replay(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .arg("replay")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // A program that ends early reads nothing.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("nothing panics");
    output
}

/// A file for this test alone.
fn file(name: &str, content: &[u8]) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("replay_command");
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    std::fs::write(&path, content).expect("a file");
    path.display().to_string()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_file_and_standard_input_give_the_same_report() {
    let policy = file("good.toml", POLICY.as_bytes());
    let log = file("access.log", EXCERPT);
    let of_file = replay(&[&policy, &log], b"");
    assert_eq!(of_file.status.code(), Some(0), "{}", text(&of_file.stderr));
    assert!(text(&of_file.stdout).contains("30/min burst 33"), "{}", text(&of_file.stdout));
    for input in [&[&*policy][..], &[&policy, "-"]] {
        let of_input = replay(input, EXCERPT);
        assert_eq!(of_input.status.code(), Some(0));
        let expected = text(&of_file.stdout).replace(&log, "standard input");
        assert_eq!(text(&of_input.stdout), expected);
    }
    // No bar where there is no terminal.
    assert_eq!(text(&of_file.stderr), "");
}

#[test]
fn json_is_one_document_and_hashes_hide_keys() {
    let policy = file("json.toml", POLICY.as_bytes());
    let output = replay(&[&policy, "--json", "--top", "1", "--hash-keys"], EXCERPT);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["totals"]["refused"], 13);
    let key = json["keys"][0]["key"].as_str().expect("text");
    assert!(key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    assert!(!text(&output.stdout).contains("75.97.9.59"));
    assert_eq!(json["callers"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_can_not_be_read_ends_with_1() {
    let policy = file("fine.toml", POLICY.as_bytes());
    let bad = file("bad.toml", b"version = 1\n[limits.a]\nquota = '5/fortnight'\n");
    let output = replay(&[&bad], EXCERPT);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("bad.toml:3:9: "), "{}", text(&output.stderr));
    for (arguments, input, message) in [
        (&[&*policy, "/nowhere/access.log"][..], &b""[..], "can't read /nowhere/access.log"),
        (&["/nowhere/policy.toml"], b"", "/nowhere/policy.toml"),
        (&[&policy], b"what is this\n", "`--format`"),
        (&[&policy], b"\x1f\x8bnot gzip", "can't read standard input"),
        (&[&policy], &b"?\n".repeat(1_000), "`--format`"),
    ] {
        let output = replay(arguments, input);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains(message), "{arguments:?}: {}", text(&output.stderr));
    }
    // The report is printed, and then why it can't be trusted.
    let half = [EXCERPT, &b"?\n".repeat(199)].concat();
    let output = replay(&[&policy], &half);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("199 of 398 lines could not be read"));
    assert!(
        text(&output.stdout).contains("(lines 200, 201, 202, ...)"),
        "{}",
        text(&output.stdout)
    );
    assert_eq!(replay(&[&policy, "--max-skipped", "50"], &half).status.code(), Some(0));
}

#[test]
fn wrong_arguments_end_with_2() {
    for wrong in [
        &["--forwarded=middle"][..],
        &["--forwarded=0"],
        &["--max-skipped=101"],
        &["--client"],
        &["--nothing"],
        &["--top=-1"],
    ] {
        let output = replay(&[&["policy.toml"], wrong].concat(), b"");
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", text(&output.stderr));
    }
    assert_eq!(replay(&[], b"").status.code(), Some(2));
    let help = replay(&["--help"], b"");
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("HAProxy"), "{}", text(&help.stdout));
}

#[test]
fn a_place_in_a_list_may_be_counted_from_the_end() {
    assert!(arguments(&["--forwarded", "-2"]).forwarded.is_some());
    assert!(arguments(&["--forwarded", "2", "-"]).forwarded.is_some());
}
