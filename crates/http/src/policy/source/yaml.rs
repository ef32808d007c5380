//! YAML to a tree, through the events of the crate `saphyr-parser`.
//!
//! Plain scalars mean what the core schema says (YAML 1.2.2, section 10.3.2), so `yes` and `on`
//! are texts. Anchors and aliases are refused: a short text could stand for an endless tree.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::{DEEPEST, Entry, Node, Value, add_entry, integer, too_deep};
use crate::policy::code::Code;
use crate::policy::problem::Place;
use crate::policy::problems::Problems;

/// A table or list that is being read.
enum Open {
    List(Vec<Node>, Place),
    Table {
        entries: Vec<Entry>,
        seen: HashMap<String, Place>,
        /// The key whose value comes next.
        key: Option<(String, Place)>,
        place: Place,
    },
}

pub(super) fn read(text: &str, problems: &mut Problems) -> Option<Node> {
    let mut parser = Parser::new_from_str(text);
    let (mut open, mut root): (Vec<Open>, Option<Node>) = (Vec::new(), None);
    let mut documents = 0;
    while let Some(event) = parser.next_event() {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let message = || format!("this is not YAML: {}", error.info());
                problems.add(&place(error.marker()), Code::Syntax, message);
                return None;
            }
        };
        let place = place(&span.start);
        let refuse = |problems: &mut Problems, what: &str| {
            problems.add(&place, Code::Syntax, || what.into());
            None
        };
        let node = match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return refuse(problems, "a policy is one document: remove the others");
                }
                continue;
            }
            Event::Alias(_) => return refuse(problems, "aliases are not read: write the value"),
            Event::Scalar(_, _, 1.., _)
            | Event::SequenceStart(1.., _)
            | Event::MappingStart(1.., _) => {
                return refuse(problems, "anchors are not read: remove the anchor");
            }
            Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                return refuse(problems, "tags are not read: remove the tag");
            }
            Event::Scalar(text, style, _, tag) => {
                let Some(value) = scalar(&text, style, tag.as_deref()) else {
                    return refuse(problems, "tags are not read: remove the tag");
                };
                if let Some(Open::Table { key: key @ None, .. }) = open.last_mut() {
                    *key = Some((text.into_owned(), place));
                    continue;
                }
                Node { value, place }
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if let Some(Open::Table { key: None, .. }) = open.last() {
                    return refuse(problems, "a key must be a text");
                }
                if open.len() >= DEEPEST {
                    too_deep(&place, problems);
                    return None;
                }
                open.push(if matches!(event, Event::SequenceStart(..)) {
                    Open::List(Vec::new(), place)
                } else {
                    Open::Table { entries: Vec::new(), seen: HashMap::new(), key: None, place }
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop()? {
                Open::List(items, place) => Node { value: Value::List(items), place },
                Open::Table { entries, place, .. } => Node { value: Value::Table(entries), place },
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
        };
        match open.last_mut() {
            None => root = Some(node),
            Some(Open::List(items, _)) => items.push(node),
            Some(Open::Table { entries, seen, key, .. }) => {
                let (key, place) = key.take()?;
                add_entry(entries, seen, Entry { key, place, node }, problems);
            }
        }
    }
    if root.is_none() {
        let start = Place::Text { line: 1, column: 1 };
        problems.add(&start, Code::Syntax, || "the text is empty".into());
    }
    root
}

fn place(marker: &Marker) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place::Text { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
}

/// What a scalar means. `None` if its tag says something else.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Option<Value> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => {
            return Some(Value::Text(text.into()));
        }
        Some(_) => return None,
        None => {}
    }
    if style != ScalarStyle::Plain {
        return Some(Value::Text(text.into()));
    }
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).unwrap_or_else(|| Value::Text(text.into())),
    })
}

/// The number that a plain scalar means.
fn number(text: &str) -> Option<Value> {
    let of = |integer| Some(Value::Number { text: text.into(), integer });
    let is_all = |digits: &str, radix| {
        !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix))
    };
    for (start, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(start).filter(|digits| is_all(digits, radix)) {
            return of(Some(integer(digits, radix)));
        }
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if is_all(unsigned, 10) {
        return of(Some(integer(text, 10)));
    }
    let is_float = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit())
        && unsigned.parse::<f64>().is_ok();
    let is_name =
        [".inf", ".Inf", ".INF"].contains(&unsigned) || [".nan", ".NaN", ".NAN"].contains(&text);
    if is_float || is_name { of(None) } else { None }
}
