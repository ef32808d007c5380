//! Finds the few values that matter in JSON of any length, piece by piece, without keeping the
//! rest.

// The scanner follows strings and brackets. It knows names only at depth 1 and, inside of a few
// objects, at depth 2. What a model has written is deeper or inside of a string, so it cannot be
// taken for a value of the server. JSON with mistakes is read as far as it makes sense.

mod names;

pub(super) use names::Name;
use names::{Inner, LONGEST_NAME, NAMES, PARENTS};

use super::text::{End, Kind, end_of_string, kind, text_length};

/// What is told of the documents that are read.
pub(super) trait Listener {
    /// A value, as JSON. Values longer than [`MOST_KEPT`] are not told.
    fn found(&mut self, name: Name, json: &[u8]);

    /// The document is complete.
    fn ended(&mut self);
}

/// Longer values are not kept.
pub(super) const MOST_KEPT: usize = 16 * 1024;

/// Where the scanner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Outside of strings.
    Outside,
    /// Inside of a string that is a name.
    Key,
    /// Inside of a string that is a value.
    Text,
    /// After a backslash in a string.
    Escaped { in_key: bool },
}

/// Reads JSON piece by piece.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(super) struct Scanner {
    at: At,
    /// How many arrays and objects are open. An array around the documents, as Gemini sends it,
    /// does not count.
    depth: u32,
    in_list: bool,
    /// Whether what is open at depth 1 is an object.
    is_object: bool,
    /// What counts in the object that is open at depth 2.
    inner: Inner,
    /// Whether the next string is a name.
    expects_name: bool,
    /// The first bytes of the name that is being read or was read last, and its whole length.
    key: [u8; LONGEST_NAME],
    key_length: usize,
    /// What the value that comes next is.
    next: Option<Name>,
    next_inner: Inner,
    /// The value that is being kept, and the depth outside of it.
    kept: Option<(Name, u32)>,
    json: Vec<u8>,
    is_too_long: bool,
}

impl Scanner {
    pub(super) fn new() -> Self {
        Self {
            at: At::Outside,
            depth: 0,
            in_list: false,
            is_object: false,
            inner: Inner::Nothing,
            expects_name: false,
            key: [0; LONGEST_NAME],
            key_length: 0,
            next: None,
            next_inner: Inner::Nothing,
            kept: None,
            json: Vec::new(),
            is_too_long: false,
        }
    }

    /// Forgets the document that is being read.
    pub(super) fn reset(&mut self) {
        let mut json = std::mem::take(&mut self.json);
        json.clear();
        *self = Self { json, ..Self::new() };
    }

    /// Reads on.
    pub(super) fn feed(&mut self, bytes: &[u8], listener: &mut impl Listener) {
        let mut position = 0;
        // Where the bytes begin that belong to the kept value and are not in `json` yet.
        let mut from = 0;
        loop {
            position += self.skip(&bytes[position..]);
            let Some(&byte) = bytes.get(position) else { break };
            if self.at == At::Outside && self.ends_here(byte) {
                self.keep(&bytes[from..position]);
                self.tell(listener);
            }
            let (was_keeping, depth_before) = (self.kept.is_some(), self.depth);
            let is_complete = self.read(byte);
            if !was_keeping && self.kept.is_some() {
                from = position;
            }
            position += 1;
            if is_complete {
                self.keep(&bytes[from..position]);
                self.tell(listener);
            }
            if self.depth == 0 && depth_before == 1 {
                listener.ended();
            }
        }
        if self.kept.is_some() {
            self.keep(&bytes[from..]);
        }
    }

    /// The number of bytes that are passed over, because they change nothing that matters.
    #[inline]
    fn skip(&mut self, bytes: &[u8]) -> usize {
        match self.at {
            At::Escaped { .. } => 0,
            At::Key => {
                let length = text_length(bytes);
                self.add_to_key(&bytes[..length]);
                length
            }
            At::Text => text_length(bytes),
            At::Outside if self.depth > self.floor() => self.skip_inside(bytes),
            At::Outside if self.next.is_some() || self.keeps_plain_value() => 0,
            At::Outside => {
                let found = bytes.iter().position(|byte| kind(*byte) != Kind::Other);
                found.unwrap_or(bytes.len())
            }
        }
    }

    /// The depth above which nothing is found: only the end of what is open there matters.
    #[inline]
    fn floor(&self) -> u32 {
        let names = if self.inner == Inner::Nothing { 1 } else { 2 };
        // Names inside of a kept value do not matter.
        self.kept.map_or(names, |(_, depth)| depth)
    }

    /// Passes over what is inside of an object or array that does not matter, up to its end. Most
    /// bytes of most answers are read here.
    fn skip_inside(&mut self, bytes: &[u8]) -> usize {
        let (last, mut depth) = (self.floor() + 1, self.depth);
        let mut position = 0;
        while let Some(&byte) = bytes.get(position) {
            position += 1;
            match kind(byte) {
                Kind::Other | Kind::Comma => {}
                Kind::Quote => match end_of_string(&bytes[position..]) {
                    End::Quote(length) => position += length,
                    End::Open { is_escaped } => {
                        self.at = if is_escaped { At::Escaped { in_key: false } } else { At::Text };
                        position = bytes.len();
                    }
                },
                Kind::Open => depth = depth.saturating_add(1),
                Kind::Close if depth == last => {
                    position -= 1;
                    break;
                }
                Kind::Close => depth -= 1,
            }
        }
        self.depth = depth;
        position
    }

    /// Reads one byte; returns whether the kept value is complete with it.
    fn read(&mut self, byte: u8) -> bool {
        match (self.at, byte) {
            (At::Escaped { in_key }, _) => {
                self.at = if in_key { At::Key } else { At::Text };
                return false;
            }
            (At::Key | At::Text, b'\\') => {
                let in_key = self.at == At::Key;
                if in_key {
                    // A name with an escape is none of ours.
                    self.key_length = usize::MAX;
                }
                self.at = At::Escaped { in_key };
                return false;
            }
            (At::Key, _) => {
                self.at = At::Outside;
                self.look_up_key();
                return false;
            }
            (At::Text, _) => {
                self.at = At::Outside;
            }
            (At::Outside, b'"') if self.expects_name => {
                self.expects_name = false;
                self.key_length = 0;
                self.at = At::Key;
                return false;
            }
            (At::Outside, b'"') => {
                self.begin_value();
                self.at = At::Text;
                return false;
            }
            (At::Outside, b'{' | b'[') => {
                self.open(byte == b'{');
                return false;
            }
            (At::Outside, b'}' | b']') => self.close(),
            (At::Outside, b',') => {
                self.next = None;
                self.expects_name = match self.depth {
                    1 => self.is_object,
                    2 => self.inner != Inner::Nothing,
                    _ => false,
                };
                return false;
            }
            (At::Outside, b':' | b' ' | b'\t' | b'\n' | b'\r') => return false,
            (At::Outside, _) => {
                // A number, `true`, `false` or `null`.
                self.begin_value();
                return false;
            }
        }
        self.kept.is_some_and(|(_, depth)| depth == self.depth)
    }

    fn open(&mut self, is_object: bool) {
        if self.depth == 0 && !is_object && !self.in_list {
            self.in_list = true;
            return;
        }
        if matches!(self.next, Some(Name::Usage | Name::Error)) {
            self.begin_value();
        }
        self.next = None;
        self.depth = self.depth.saturating_add(1);
        self.expects_name = match self.depth {
            1 => {
                self.is_object = is_object;
                is_object
            }
            2 => {
                self.inner = if is_object { self.next_inner } else { Inner::Nothing };
                self.inner != Inner::Nothing
            }
            _ => false,
        };
        self.next_inner = Inner::Nothing;
    }

    fn close(&mut self) {
        if self.depth == 0 {
            self.in_list = false;
        }
        self.depth = self.depth.saturating_sub(1);
        self.expects_name = false;
        self.next = None;
        self.next_inner = Inner::Nothing;
    }

    fn add_to_key(&mut self, bytes: &[u8]) {
        for (place, byte) in self.key.iter_mut().skip(self.key_length).zip(bytes) {
            *place = *byte;
        }
        self.key_length = self.key_length.saturating_add(bytes.len());
    }

    /// Finds out what the value of the name that was just read is.
    fn look_up_key(&mut self) {
        let key = self.key.get(..self.key_length).unwrap_or_default();
        let name = NAMES.iter().find(|(name, _)| *name == key).map(|(_, name)| *name);
        let is_inside = self.depth > 1;
        self.next = name.filter(|name| match self.inner {
            _ if !is_inside => true,
            Inner::UsageAndError => matches!(name, Name::Usage | Name::Error),
            Inner::Usage => *name == Name::Usage,
            Inner::Nothing => false,
        });
        let inner = PARENTS.iter().find(|(name, _)| *name == key).map(|(_, inner)| *inner);
        self.next_inner = inner.filter(|_| !is_inside).unwrap_or(Inner::Nothing);
    }

    fn begin_value(&mut self) {
        if self.kept.is_none() {
            self.kept = self.next.take().map(|name| (name, self.depth));
        }
        self.next = None;
    }

    /// Whether the kept value is a number, `true`, `false` or `null`, which ends where something
    /// else begins.
    fn keeps_plain_value(&self) -> bool {
        self.at == At::Outside && self.kept.is_some_and(|(_, depth)| depth == self.depth)
    }

    fn ends_here(&self, byte: u8) -> bool {
        let is_end = kind(byte) != Kind::Other || byte.is_ascii_whitespace();
        is_end && self.keeps_plain_value()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.is_too_long || self.json.len() + bytes.len() > MOST_KEPT {
            self.is_too_long = true;
            self.json.clear();
        } else {
            self.json.extend_from_slice(bytes);
        }
    }

    fn tell(&mut self, listener: &mut impl Listener) {
        if let Some((name, _)) = self.kept.take()
            && !self.is_too_long
        {
            listener.found(name, &self.json);
        }
        self.json.clear();
        self.is_too_long = false;
    }
}

#[cfg(test)]
mod tests;
