//! Text from outside, without anything that a terminal might obey.

/// Longer texts, which no address and few users have, are cut.
const LONGEST: usize = 64;

/// The text with its control characters, and those that change the direction of a line, escaped.
pub(super) fn text(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns || c == '\\' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        if shown.chars().count() > LONGEST {
            let end = shown.char_indices().nth(LONGEST - 3).map_or(shown.len(), |(at, _)| at);
            shown.truncate(end);
            shown.push_str("...");
            break;
        }
    }
    shown
}
