//! JSON to a tree, through the ranges of the crate `jsonc-parser` in its strict mode.

use std::collections::HashMap;

use jsonc_parser::ast::Value as Json;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::position::Positions;
use super::{DEEPEST, Entry, Node, Value, add_entry, integer, too_deep};
use crate::policy::code::Code;
use crate::policy::problems::Problems;

/// RFC 8259, and nothing that other programs allow.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

pub(super) fn read(text: &str, problems: &mut Problems) -> Option<Node> {
    let positions = Positions::new(text);
    // The crate reads nested values by recursion, so depth is looked at first.
    if let Some(at) = too_deep_at(text) {
        too_deep(&positions.at(at), problems);
        return None;
    }
    match parse_to_ast(text, &CollectOptions::default(), &STRICT) {
        Ok(parsed) => {
            if let Some(value) = parsed.value {
                return Some(Reader { positions, problems }.node(value));
            }
            let place = positions.at(text.len());
            problems.add(&place, Code::Syntax, || "the text is empty".into());
            None
        }
        Err(error) => {
            let place = positions.at(error.range().start);
            problems.add(&place, Code::Syntax, || format!("this is not JSON: {}", error.kind()));
            None
        }
    }
}

/// The first bracket that opens one level too many.
fn too_deep_at(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > DEEPEST {
                    return Some(at);
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

struct Reader<'a> {
    positions: Positions<'a>,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn node(&mut self, json: Json<'_>) -> Node {
        let place = self.positions.at(json.start());
        let value = match json {
            Json::NullKeyword(_) => Value::Null,
            Json::BooleanLit(literal) => Value::Bool(literal.value),
            Json::StringLit(literal) => Value::Text(literal.value.into_owned()),
            Json::NumberLit(literal) => {
                let text = literal.value.to_owned();
                let is_whole = !text.contains(['.', 'e', 'E']);
                let integer = is_whole.then(|| integer(&text, 10));
                Value::Number { text, integer }
            }
            Json::Array(array) => {
                Value::List(array.elements.into_iter().map(|item| self.node(item)).collect())
            }
            Json::Object(object) => {
                let (mut entries, mut seen) = (Vec::new(), HashMap::new());
                for property in object.properties {
                    let place = self.positions.at(property.range.start);
                    let (key, node) = (property.name.into_string(), self.node(property.value));
                    add_entry(&mut entries, &mut seen, Entry { key, place, node }, self.problems);
                }
                Value::Table(entries)
            }
        };
        Node { value, place }
    }
}
