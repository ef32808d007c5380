//! A policy as TOML.

use std::fmt::Write;
use std::time::Duration;

use tollgate::Quota;

use super::build::restored;
use super::policy::NO_NAME;
use super::problems::Problems;
use super::settings::Settings;
use super::source::{Entry, Node, Value};

/// The text of a policy with these settings.
pub(super) fn text(settings: &Settings) -> String {
    // The settings are checked, so no problem is found.
    let root = restored(settings).tree(&mut Problems::new(NO_NAME));
    let mut out = String::new();
    for entry in root.entries() {
        root_entry(&mut out, entry);
    }
    out
}

/// Tables become sections, but for those within a section.
fn root_entry(out: &mut String, entry: &Entry) {
    let (key, node) = (&entry.key, &entry.node);
    match &node.value {
        Value::Table(tables) if matches!(key.as_str(), "limits" | "tiers") => {
            for table in tables {
                section(out, &format!("[{key}.{}]", key_text(&table.key)), &table.node);
            }
        }
        Value::Table(_) => section(out, &format!("[{key}]"), node),
        Value::List(items) if matches!(key.as_str(), "subjects" | "routes" | "descriptors") => {
            for item in items {
                section(out, &format!("[[{key}]]"), item);
            }
        }
        _ => pair(out, key, node),
    }
}

fn section(out: &mut String, header: &str, table: &Node) {
    out.push('\n');
    out.push_str(header);
    out.push('\n');
    for entry in table.entries() {
        pair(out, &entry.key, &entry.node);
    }
}

fn pair(out: &mut String, key: &str, node: &Node) {
    out.push_str(&key_text(key));
    out.push_str(" = ");
    value(out, &node.value);
    out.push('\n');
}

/// A value in one line.
fn value(out: &mut String, of: &Value) {
    match of {
        // No setting is null.
        Value::Null => out.push_str("\"\""),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number { text, .. } | Value::Time(text) => out.push_str(text),
        Value::Text(text) => quoted(out, text),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                value(out, &item.value);
            }
            out.push(']');
        }
        Value::Table(entries) => {
            out.push('{');
            for (index, entry) in entries.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { " " });
                out.push_str(&key_text(&entry.key));
                out.push_str(" = ");
                value(out, &entry.node.value);
            }
            out.push_str(" }");
        }
    }
}

/// A key, in quotes if it needs them.
pub(super) fn key_text(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(is_bare) {
        return key.into();
    }
    let mut out = String::new();
    quoted(&mut out, key);
    out
}

/// A basic string of TOML 1.0.
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if c.is_control() => {
                // A `String` takes everything that is written to it.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// A time span as a policy has it: `1min`, `90s`.
pub(super) fn duration_text(duration: Duration) -> String {
    let text = Quota::every(duration).to_string();
    let period = text.strip_prefix("1/").unwrap_or(&text);
    if period.starts_with(|c: char| c.is_ascii_digit()) {
        period.into()
    } else {
        format!("1{period}")
    }
}

/// Bytes as small hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}
