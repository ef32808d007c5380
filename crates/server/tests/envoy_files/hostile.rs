//! Files that are made to keep a reader busy: each is read or refused soon.

use std::fmt::Write as _;

use crate::policy;

fn refused(text: &str, why: &str) {
    let error = policy(text).expect_err("an error").to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn aliases_that_stand_for_an_endless_tree() {
    let mut text = String::from("domain: d\nmetadata:\n- &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        let _ = writeln!(text, "- &a{level} [{aliases}]");
    }
    refused(&text, "with all aliases replaced, the file is too long");
    // The same with merge keys, and with a long text.
    let mut text = String::from("domain: d\nmetadata:\n- &a0 {x: 1, y: 2}\n");
    for level in 1..40 {
        let alias = format!("*a{}", level - 1);
        let _ = writeln!(text, "- &a{level} {{<<: [{alias}, {alias}], z{level}: 1}}");
    }
    refused(&text, "with all aliases replaced, the file is too long");
    let long = "k".repeat(100_000);
    let aliases = "- *a\n".repeat(10_000);
    let text = format!("domain: d\ndescriptors:\n- &a {{key: {long}}}\n{aliases}");
    refused(&text, "with all aliases replaced, the file is too long");
}

#[test]
fn many_merge_keys_in_a_table_with_many_keys() {
    let mut text = String::from("x: &a {y: 1}\n");
    for number in 0..50_000 {
        let _ = writeln!(text, "k{number}:");
    }
    text += &"<<: *a\n".repeat(50_000);
    refused(&text, "`k0` is not a key of the file");
}

#[test]
fn aliases_inside_of_themselves() {
    refused("domain: d\ndescriptors: &a\n- *a\n", "inside of what it stands for");
    refused("&a {domain: d, <<: *a}\n", "inside of what it stands for");
}

#[test]
fn lists_and_tables_without_end() {
    for item in ["[", "{a: ", "- "] {
        refused(&item.repeat(100), "levels deep");
    }
    // The parser has a limit of its own, further up.
    for item in ["[", "{a: "] {
        refused(&item.repeat(100_000), "recursion limit");
    }
    refused(&"- ".repeat(100_000), "levels deep");
    // Anchors in anchors are no deeper than what is written out.
    let mut text = String::from("domain: d\nmetadata:\n- &a0 x\n");
    for level in 1..100 {
        let _ = writeln!(text, "- &a{level} [*a{}]", level - 1);
    }
    refused(&text, "levels deep");
}

#[test]
fn descriptors_with_too_many_entries() {
    let nested = |depth: usize| {
        let mut text = String::from("domain: d\n");
        for level in 0..depth {
            let pad = "  ".repeat(level);
            let _ = writeln!(text, "{pad}descriptors:\n{pad}- key: a{level}");
        }
        let pad = "  ".repeat(depth);
        text + &format!("{pad}rate_limit: {{unit: day, requests_per_unit: 1}}\n")
    };
    assert!(policy(&nested(32)).is_ok());
    refused(&nested(33), "`entries` has 33 entries");
    refused(&nested(60), "levels deep");
}

#[test]
fn long_lines_and_many_of_them() {
    let long = "x".repeat(1 << 20);
    let text = format!("domain: d\ndescriptors:\n- key: {long}\n  rate_limit: {{unit: {long}}}\n");
    refused(&text, "`unit` is `xxx");
    refused(&format!("domain: d\n{long}"), "not YAML");
    refused(&format!("domain: \"{long}\"\ndescriptors: [{{key: a}}]\n"), "can't be the name of a");
    // A long key of many descriptors makes a long policy.
    let inner = "  - {key: b, value: VALUE}\n";
    let many: String = (0..5_000).map(|n| inner.replace("VALUE", &format!("v{n}"))).collect();
    let long = &long[..10_000];
    refused(&format!("domain: d\ndescriptors:\n- key: {long}\n  descriptors:\n{many}"), "too long");
    // As many mistakes as fit: the first are told, the others are counted.
    let text = format!("domain: d\ndescriptors:\n{}", "- 1\n".repeat(100_000));
    let error = policy(&text).expect_err("an error");
    assert_eq!((error.problems().len(), error.more()), (200, 99_800));
    let text = "#".repeat(5 << 20);
    refused(&text, "at most 4194304 are read");
}

#[test]
fn bytes_that_are_no_text() {
    let files = [("file.yaml", &b"domain: d\nkey: \xff\n"[..])];
    let error =
        tollgate_server::envoy_files::policy(tollgate_server::envoy_files::additions(files));
    let error = error.expect_err("an error").to_string();
    assert_eq!(error, "file.yaml:2:1: this line is not UTF-8 [syntax]");
    refused("", "`domain` is missing");
    refused("\u{feff}# only a comment", "`domain` is missing");
    refused("domain: !binary d", "this tag is not known");
    refused("- a", "the file is a list");
}
