//! Keys as a page may show them. Their values come from clients, so they may be long, and may have
//! characters that no font draws or that turn the direction of the text around them.

/// The most characters of a key that are shown.
const LONGEST: usize = 200;

/// The text with such characters as escapes, and cut off if it is too long.
pub(super) fn text(key: &str) -> String {
    let mut shown = String::new();
    let mut characters = key.chars();
    for character in characters.by_ref().take(LONGEST) {
        if is_hidden(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters, and those that only change how others are drawn.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_stays() {
        for key in ["user alice", "user <b>é漢</b> \"'&", ""] {
            assert_eq!(text(key), key);
        }
    }

    #[test]
    fn what_hides_or_turns_text_is_escaped() {
        assert_eq!(text("a\u{202e}b\n\u{7f}\u{200b}"), "a\\u{202e}b\\u{a}\\u{7f}\\u{200b}");
    }

    #[test]
    fn a_long_key_is_cut_off() {
        let long = "é".repeat(LONGEST);
        assert_eq!(text(&long), long);
        assert_eq!(text(&format!("{long}x")), format!("{long}…"));
    }
}
