//! The fields of a line: words, texts in quotes, texts in brackets, and lists.

/// The fields of `line`, without their quotes and brackets.
///
/// Spaces and tabs separate fields. A text in quotes is one field, in which a backslash escapes the
/// next byte; so is a text in brackets, and so is a list such as `192.0.2.1, 192.0.2.2`.
pub fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = skip_blanks(rest);
        let (field, after) = first(rest)?;
        rest = after;
        Some(field)
    })
}

/// What stands after a text in quotes, in which a backslash escapes the next byte; `None` if there
/// is no such text, or no end of it.
#[must_use]
pub fn after_quoted(line: &[u8]) -> Option<&[u8]> {
    after_text(line.strip_prefix(b"\"")?)
}

/// What stands after the quote that ends the text at the start of `rest`.
pub(super) fn after_text(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let at = memchr::memchr2(b'"', b'\\', rest)?;
        if rest[at] == b'"' {
            return Some(&rest[at + 1..]);
        }
        rest = rest.get(at + 2..)?;
    }
}

/// What stands after the first `count` fields.
pub(super) fn after_fields(line: &[u8], count: usize) -> &[u8] {
    let mut rest = line;
    for _ in 0..count {
        match first(skip_blanks(rest)) {
            Some((_, after)) => rest = after,
            None => return b"",
        }
    }
    rest
}

/// The line without the blanks at its start.
#[must_use]
pub fn skip_blanks(line: &[u8]) -> &[u8] {
    let blanks = line.iter().take_while(|&&byte| is_blank(byte)).count();
    &line[blanks..]
}

/// What stands before the first blank, and what stands after it.
#[must_use]
pub fn word(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr2(b' ', b'\t', line) {
        Some(end) => (&line[..end], &line[end + 1..]),
        None => (line, b""),
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn first(line: &[u8]) -> Option<(&[u8], &[u8])> {
    match line.first()? {
        b'"' => {
            let after = after_quoted(line).unwrap_or(b"");
            let text = &line[1..line.len() - after.len()];
            Some((text.strip_suffix(b"\"").unwrap_or(text), after))
        }
        b'[' => match memchr::memchr(b']', line) {
            // `[2001:db8::1]:443` is a word.
            Some(end) if line.get(end + 1).is_none_or(|&byte| is_blank(byte)) => {
                Some((&line[1..end], &line[end + 1..]))
            }
            _ => Some(list(line)),
        },
        _ => Some(list(line)),
    }
}

/// A word, and as long as it ends in a comma, the next one too.
#[must_use]
pub fn list(line: &[u8]) -> (&[u8], &[u8]) {
    let mut end = word(line).0.len();
    while line[..end].ends_with(b",") {
        let next = skip_blanks(&line[end..]);
        let next_word = word(next).0.len();
        if next_word == 0 {
            break;
        }
        end = line.len() - next.len() + next_word;
    }
    line.split_at(end)
}
