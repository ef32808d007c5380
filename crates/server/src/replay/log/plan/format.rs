//! A format as a server is told it, cut into literal texts and fields.

/// A piece of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A text that is the same in each line.
    Literal(Vec<u8>),
    /// A field, by its name.
    Field(String),
}

/// The format itself, without the directive of the configuration around it.
fn directive(text: &str) -> String {
    let text = text.trim().trim_end_matches(';').trim_end();
    let Some(name) = text.split_whitespace().next() else { return String::new() };
    if !(name.eq_ignore_ascii_case("log_format") || name.eq_ignore_ascii_case("logformat")) {
        return text.replace("\\\"", "\"");
    }
    // The texts in quotes, one behind the other.
    let (mut format, mut quote, mut escaped) = (String::new(), None, false);
    for c in text.chars() {
        match quote {
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {}
            Some(_) if escaped => {
                if c != '"' && c != '\'' {
                    format.push('\\');
                }
                format.push(c);
                escaped = false;
            }
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => format.push(c),
        }
    }
    format
}

/// The pieces of a format, with or without the directive of the configuration around it.
pub(super) fn pieces(format: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let format = directive(format);
    let mut rest = &*format;
    while let Some(c) = rest.chars().next() {
        let (field, after) = match c {
            '$' => nginx(&rest[1..]),
            '%' => percent(&rest[1..]),
            _ => None,
        }
        .map_or((None, &rest[c.len_utf8()..]), |(name, after)| (Some(name), after));
        match field.as_deref() {
            None => literal(&mut pieces, &rest[..rest.len() - after.len()]),
            Some("%") => literal(&mut pieces, "%"),
            // Apache and Envoy: only the former writes brackets around it.
            Some("t") => {
                literal(&mut pieces, "[");
                pieces.push(Piece::Field("t".into()));
                literal(&mut pieces, "]");
            }
            Some(name) => pieces.push(Piece::Field(name.to_owned())),
        }
        rest = after;
    }
    if pieces.iter().all(|piece| matches!(piece, Piece::Literal(_))) {
        return Err("the format has no fields such as `$remote_addr` or `%h`".into());
    }
    Ok(pieces)
}

fn literal(pieces: &mut Vec<Piece>, text: &str) {
    // Apache writes a tab as `\t`.
    let text = text.as_bytes();
    match pieces.last_mut() {
        Some(Piece::Literal(before)) => {
            before.extend(text);
            if before.ends_with(b"\\t") {
                before.truncate(before.len() - 2);
                before.push(b'\t');
            }
        }
        _ => pieces.push(Piece::Literal(text.to_owned())),
    }
}

/// The name of a field after `$`, and what follows it.
fn nginx(text: &str) -> Option<(String, &str)> {
    if let Some(text) = text.strip_prefix('{') {
        let (name, after) = text.split_once('}')?;
        return Some((name.to_owned(), after));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

/// The name of a field after `%`, and what follows it: Envoy's `NAME(...)%`, Apache's
/// `{name}i` and `>s`.
fn percent(text: &str) -> Option<(String, &str)> {
    if let Some(after) = text.strip_prefix('%') {
        return Some(("%".into(), after));
    }
    if let Some((name, after)) = text.split_once('%') {
        let upper = name.split('(').next().unwrap_or(name);
        let is_name = upper.len() > 1 && upper.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        if is_name {
            let argument = name.split_once('(').and_then(|(_, text)| text.split_once(')'));
            let name = match (upper, argument) {
                ("REQ" | "RESP" | "TRAILER", Some((argument, _))) => {
                    argument.split('?').next().unwrap_or(argument)
                }
                _ => upper,
            };
            return Some((name.to_owned(), after));
        }
    }
    // Conditions on the status, as in `%!200,304{Referer}i`, and the choice of the request.
    let text = text.trim_start_matches(|c: char| "!<>,".contains(c) || c.is_ascii_digit());
    let (argument, rest) = match text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        Some((argument, rest)) => (Some(argument), rest),
        None => (None, text),
    };
    let rest = rest.strip_prefix('^').map_or(rest, |rest| rest.get(1..).unwrap_or(rest));
    let letter = rest.chars().next().filter(char::is_ascii_alphabetic)?;
    let after = &rest[1..];
    Some((
        match (argument, letter) {
            (Some(argument), 'i' | 'o' | 'e' | 'n') => argument.to_owned(),
            (Some(argument), letter) => format!("{argument} {letter}"),
            (None, letter) => letter.to_string(),
        },
        after,
    ))
}
