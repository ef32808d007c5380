//! TOML to a tree, through the spans of the crate `toml`.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::position::Positions;
use super::{DEEPEST, Entry, Node, Value, duplicate, integer, too_deep};
use crate::policy::code::Code;
use crate::policy::problem::Place;
use crate::policy::problems::Problems;

/// The settings that are lists of tables.
const LISTS: &[&str] = &["subjects", "routes", "descriptors"];

pub(super) fn read(text: &str, problems: &mut Problems) -> Option<Node> {
    let positions = Positions::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    let root = root.into_inner();
    let single = single_tables(text, &root);
    let (mut is_toml, mut last_line) = (true, 0);
    for error in &errors {
        // At the end of the text, no character is at fault.
        let span = error.span().unwrap_or(text.len()..text.len());
        let place = positions.at(span.start);
        if error.message().starts_with("duplicate key") {
            let next = single.partition_point(|(_, table)| table.end <= span.start);
            if single.get(next).is_some_and(|(_, table)| table.contains(&span.start)) {
                continue;
            }
            let key = text.get(span).unwrap_or_default();
            problems.add(&place, Code::DuplicateName, || duplicate(key, None));
            continue;
        }
        is_toml = false;
        // What follows in the same line is often wrong only because its beginning is.
        let Place::Text { line, .. } = place else { continue };
        if line != last_line {
            problems.add(&place, Code::Syntax, || format!("this is not TOML: {}", error.message()));
        }
        last_line = line;
    }
    if !is_toml {
        return None;
    }
    let mut reader = Reader { positions, problems };
    let mut value = reader.table(root, 0)?;
    if let Value::Table(entries) = &mut value {
        // The place of a table that is there several times is that of the first.
        for entry in entries.iter_mut().filter(|entry| LISTS.contains(&&*entry.key)) {
            if let Some((_, first)) = single.iter().find(|(name, _)| *name == entry.key) {
                entry.node.place = reader.place(first);
            }
        }
    }
    Some(Node { value, place: Place::Text { line: 1, column: 1 } })
}

/// Where a list of tables is written as one table, `[routes]`: the name, and the text up to the
/// next header, in the order of the text. Who reads the tree reports that once, so what is there
/// twice because of it is not reported.
fn single_tables<'a>(text: &'a str, root: &DeTable<'_>) -> Vec<(&'a str, Range<usize>)> {
    let is_single = |name: &str| {
        LISTS.contains(&name) && root.get(name).is_some_and(|value| value.get_ref().is_table())
    };
    let mut tables: Vec<(&str, Range<usize>)> = Vec::new();
    if !LISTS.iter().any(|name| is_single(name)) {
        return tables;
    }
    let (mut at, mut is_inside) = (0, false);
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        if let Some(header) = line.trim_start().strip_prefix('[') {
            let name = header.trim_start_matches('[').split(['.', ']']).next().unwrap_or_default();
            is_inside = is_single(name.trim());
            if is_inside {
                tables.push((name.trim(), at + line.find('[').unwrap_or(0)..end));
            }
        }
        if let Some((_, table)) = tables.last_mut().filter(|_| is_inside) {
            table.end = end;
        }
        at = end;
    }
    tables
}

struct Reader<'a> {
    positions: Positions<'a>,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn place(&self, span: &Range<usize>) -> Place {
        self.positions.at(span.start)
    }

    fn table(&mut self, table: DeTable<'_>, depth: usize) -> Option<Value> {
        // The crate sorts keys by name; the order of the file matters to whoever reads a message.
        let mut pairs: Vec<_> = table.into_iter().collect();
        pairs.sort_by_key(|(key, _)| key.span().start);
        let entry = |(key, value): (Spanned<_>, _)| {
            let place = self.place(&key.span());
            let key = std::borrow::Cow::into_owned(key.into_inner());
            Some(Entry { key, place, node: self.node(value, depth + 1)? })
        };
        Some(Value::Table(pairs.into_iter().map(entry).collect::<Option<_>>()?))
    }

    fn node(&mut self, value: Spanned<DeValue<'_>>, depth: usize) -> Option<Node> {
        let place = self.place(&value.span());
        if depth > DEEPEST {
            too_deep(&place, self.problems);
            return None;
        }
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => Value::Number {
                text: number.to_string(),
                integer: Some(integer(number.as_str(), number.radix())),
            },
            DeValue::Float(number) => Value::Number { text: number.to_string(), integer: None },
            DeValue::Boolean(value) => Value::Bool(value),
            DeValue::Datetime(time) => Value::Time(time.to_string()),
            DeValue::Array(items) => {
                let items = items.into_iter().map(|item| self.node(item, depth + 1));
                Value::List(items.collect::<Option<_>>()?)
            }
            DeValue::Table(table) => self.table(table, depth)?,
        };
        Some(Node { value, place })
    }
}
