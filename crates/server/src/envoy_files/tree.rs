//! YAML to a tree in which each value has its place, as the library of envoyproxy/ratelimit
//! understands it: Go's `yaml.v2`.
//!
//! Anchors, aliases and merge keys work. An alias shares the memory of its anchor, and whatever
//! stands for too many values is refused, so a short text can't keep anybody busy.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

/// How deeply lists and tables may be nested: two levels for each entry of a descriptor, of which
/// a policy has at most 32.
const DEEPEST: usize = 80;

/// The longest text that a file may stand for once its aliases are replaced, in bytes: of each
/// value its own, and some for what holds it.
const LONGEST: usize = 32 << 20;

/// What each value counts beside its text.
const EACH: usize = 16;

/// The number of a line and of a character in it; both begin with 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Spot {
    /// The beginning of a file.
    pub(super) const START: Self = Self { line: 1, column: 1 };

    fn of(marker: &Marker) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
    }
}

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) spot: Spot,
    /// How many bytes it stands for.
    size: usize,
    /// How many lists and tables are nested in it.
    depth: usize,
}

#[derive(Debug)]
pub(super) enum Value {
    Scalar {
        text: String,
        /// Whether the text can be something else, such as a number.
        plain: bool,
    },
    List(Vec<Rc<Node>>),
    Table(Vec<(Rc<Node>, Rc<Node>)>),
}

/// What a text says.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) root: Rc<Node>,
    /// Where the next document begins; it is not read.
    pub(super) next: Option<Spot>,
}

/// Why a text has no tree.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) spot: Spot,
    pub(super) message: String,
}

/// A list or table that is being read, and the number of its anchor; 0: none.
struct Open {
    items: Vec<Rc<Node>>,
    is_table: bool,
    spot: Spot,
    anchor: usize,
}

/// The first document of a text. An empty text is `None`.
pub(super) fn read(text: &str) -> Result<Option<Document>, SyntaxError> {
    let mut reader = Reader { open: Vec::new(), anchors: HashMap::new(), root: None, size: 0 };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| SyntaxError {
            spot: Spot::of(error.marker()),
            message: format!("this is not YAML: {}", error.info()),
        })?;
        let spot = Spot::of(&span.start);
        if let (Event::DocumentStart(_), Some(root)) = (&event, &reader.root) {
            return Ok(Some(Document { root: Rc::clone(root), next: Some(spot) }));
        }
        reader.event(event, spot).map_err(|message| SyntaxError { spot, message })?;
    }
    Ok(reader.root.map(|root| Document { root, next: None }))
}

struct Reader {
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
    /// The size of all that was read.
    size: usize,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, spot: Spot) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = is_plain(style, tag.as_deref())?;
                self.add(Value::Scalar { text: text.into_owned(), plain }, spot, anchor)
            }
            Event::SequenceStart(anchor, tag) => self.open(false, spot, anchor, tag.as_deref()),
            Event::MappingStart(anchor, tag) => self.open(true, spot, anchor, tag.as_deref()),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let value = if open.is_table {
                    Value::Table(pairs(open.items))
                } else {
                    Value::List(open.items)
                };
                self.add(value, open.spot, open.anchor)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err("this alias stands inside of what it stands for".into());
                };
                let node = Rc::clone(node);
                self.size += node.size;
                self.push(node)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(
        &mut self,
        is_table: bool,
        spot: Spot,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), String> {
        is_plain(ScalarStyle::Plain, tag)?;
        if self.open.len() >= DEEPEST {
            return Err(too_deep());
        }
        self.open.push(Open { items: Vec::new(), is_table, spot, anchor });
        Ok(())
    }

    fn add(&mut self, value: Value, spot: Spot, anchor: usize) -> Result<(), String> {
        let own = match &value {
            Value::Scalar { text, .. } => text.len() + EACH,
            Value::List(_) | Value::Table(_) => EACH,
        };
        self.size += own;
        let (mut size, mut depth) = (own, 0);
        for inner in inner(&value) {
            size += inner.size;
            depth = depth.max(inner.depth + 1);
        }
        let node = Rc::new(Node { value, spot, size, depth });
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.push(node)
    }

    fn push(&mut self, node: Rc<Node>) -> Result<(), String> {
        if self.size > LONGEST {
            return Err("with all aliases replaced, the file is too long up to here".into());
        }
        if self.open.len() + node.depth > DEEPEST {
            return Err(too_deep());
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.root = Some(node),
        }
        Ok(())
    }
}

/// What a value consists of.
fn inner(value: &Value) -> Box<dyn Iterator<Item = &Node> + '_> {
    match value {
        Value::Scalar { .. } => Box::new(std::iter::empty()),
        Value::List(items) => Box::new(items.iter().map(|item| &**item)),
        Value::Table(pairs) => Box::new(pairs.iter().flat_map(|(key, value)| [&**key, &**value])),
    }
}

fn too_deep() -> String {
    format!("lists and tables are nested more than {DEEPEST} levels deep")
}

/// Keys and values, which follow each other.
fn pairs(items: Vec<Rc<Node>>) -> Vec<(Rc<Node>, Rc<Node>)> {
    let mut items = items.into_iter();
    let mut pairs = Vec::new();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

/// Whether a scalar can be something else than a text.
fn is_plain(style: ScalarStyle, tag: Option<&Tag>) -> Result<bool, String> {
    const KNOWN: [&str; 6] = ["bool", "float", "int", "map", "null", "seq"];
    match tag {
        None => Ok(style == ScalarStyle::Plain),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() && KNOWN.contains(&&*tag.suffix) => Ok(true),
        Some(_) => Err("this tag is not known: remove it".into()),
    }
}
