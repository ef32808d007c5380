//! From bytes of a text to lines and columns.

use crate::policy::problem::Place;

/// A place is remembered every so many bytes.
const STEP: usize = 256;

/// Finds the line and column of any byte of a text without reading the text from its beginning.
pub(super) struct Positions<'a> {
    text: &'a str,
    /// The byte, line and column from which to count, one for each `STEP` bytes.
    marks: Vec<(usize, u32, u32)>,
}

impl<'a> Positions<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut marks = vec![(0, 1, 1)];
        let (mut line, mut column) = (1, 1);
        for (at, c) in text.char_indices() {
            if at >= marks.len() * STEP {
                marks.push((at, line, column));
            }
            (line, column) = after(c, line, column);
        }
        Self { text, marks }
    }

    /// The place of the character that contains or follows the byte `at`.
    pub(super) fn at(&self, at: usize) -> Place {
        let mark = self.marks.get(at / STEP).or(self.marks.last());
        let &(mut start, mut line, mut column) = mark.unwrap_or(&(0, 1, 1));
        if start > at {
            // The mark stands behind a character of several bytes; the one before it does not.
            (start, line, column) =
                *self.marks.get((at / STEP).saturating_sub(1)).unwrap_or(&(0, 1, 1));
        }
        for (index, c) in self.text.get(start..).unwrap_or_default().char_indices() {
            if start + index >= at {
                break;
            }
            (line, column) = after(c, line, column);
        }
        Place::Text { line, column }
    }
}

/// The place of the character after `c`.
fn after(c: char, line: u32, column: u32) -> (u32, u32) {
    if c == '\n' { (line.saturating_add(1), 1) } else { (line, column.saturating_add(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_the_place_that_counting_from_the_beginning_gives() {
        let text = "aä\n€uro\r\n".repeat(100) + &"ü".repeat(400) + "\n\nend";
        let positions = Positions::new(&text);
        let (mut line, mut column) = (1, 1);
        for (at, c) in text.char_indices() {
            assert_eq!(positions.at(at), Place::Text { line, column }, "byte {at}");
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        assert_eq!(positions.at(text.len()), Place::Text { line, column });
        assert_eq!(positions.at(usize::MAX), Place::Text { line, column });
    }
}
