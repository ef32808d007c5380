//! What a scalar means to Go's `yaml.v2`, which reads YAML 1.1.

use tollgate_http::policy::shown;

use super::tree::{Node, Value};

/// What a value is: as what `yaml.v2` would read it, and for messages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    Null,
    Bool(bool),
    /// A whole number. What does not fit is the largest one.
    Integer(i128),
    /// A number with a fraction or an exponent.
    Float,
    Text,
    List,
    Table,
}

const TRUE: [&str; 11] = ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];

const FALSE: [&str; 11] =
    ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];

pub(super) fn meaning(node: &Node) -> Meaning {
    match &node.value {
        Value::List(_) => Meaning::List,
        Value::Table(_) => Meaning::Table,
        Value::Scalar { plain: false, .. } => Meaning::Text,
        Value::Scalar { text, .. } => match text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
            word if TRUE.contains(&word) => Meaning::Bool(true),
            word if FALSE.contains(&word) => Meaning::Bool(false),
            word => integer(word)
                .map(Meaning::Integer)
                .or_else(|| is_float(word).then_some(Meaning::Float))
                .unwrap_or(Meaning::Text),
        },
    }
}

/// A whole number as Go writes it: decimal, `0x10`, `0b10`, `0o17` or `017`, with `_` anywhere.
fn integer(word: &str) -> Option<i128> {
    let digits = word.replace('_', "");
    let (sign, unsigned) = match digits.strip_prefix(['-', '+']) {
        Some(rest) => (if digits.starts_with('-') { -1 } else { 1 }, rest),
        None => (1, digits.as_str()),
    };
    let lower = unsigned.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, lower.get(2..)?),
        Some("0b") => (2, lower.get(2..)?),
        Some("0o") => (8, lower.get(2..)?),
        Some(start) if start.starts_with('0') => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    Some(i128::from_str_radix(digits, radix).unwrap_or(i128::MAX).saturating_mul(sign))
}

fn is_float(word: &str) -> bool {
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit())
        && unsigned.parse::<f64>().is_ok();
    let is_name =
        [".inf", ".Inf", ".INF"].contains(&unsigned) || [".nan", ".NaN", ".NAN"].contains(&word);
    is_number || is_name
}

/// What kind of value it is, for a message.
pub(super) fn found(node: &Node) -> String {
    let text = match &node.value {
        Value::Scalar { text, .. } => shown(text),
        Value::List(_) | Value::Table(_) => String::new(),
    };
    match meaning(node) {
        Meaning::Null => "empty".into(),
        Meaning::Bool(_) => text,
        Meaning::Integer(_) | Meaning::Float => format!("the number {text}"),
        Meaning::Text => format!("the text {text}"),
        Meaning::List => "a list".into(),
        Meaning::Table => "a table".into(),
    }
}
