//! What messages show of a policy, and what they suggest.

/// A text as it is shown in messages about a policy: in backticks, on one line, and not too long.
#[must_use]
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut short: String = text
        .chars()
        .take(LONGEST)
        .flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    format!("`{short}`")
}

/// The word that `found` is a misspelling of, if one is near.
pub(crate) fn nearest<'a>(found: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 100;
    if found.len() > LONGEST {
        return None;
    }
    words
        .map(|word| (strsim::damerau_levenshtein(found, word), word))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, word)| *distance <= (word.chars().count() / 2).clamp(1, 3))
        .map(|(_, word)| word)
}

/// The end of a message about a word out of a set: the nearest word, or all of them.
///
/// ```
/// use tollgate_http::policy::instead;
/// assert_eq!(instead("minuet", &["second", "minute"]), "did you mean `minute`?");
/// assert_eq!(instead("week", &["second", "minute"]), "possible: `second`, `minute`");
/// ```
#[must_use]
pub fn instead(found: &str, words: &[&str]) -> String {
    const MOST_WORDS: usize = 12;
    match nearest(found, words.iter().copied()) {
        Some(word) => format!("did you mean {}?", shown(word)),
        None if words.is_empty() => "there is none".into(),
        None => {
            let mut list: Vec<String> =
                words.iter().take(MOST_WORDS).map(|word| shown(word)).collect();
            if words.len() > MOST_WORDS {
                list.push("…".into());
            }
            format!("possible: {}", list.join(", "))
        }
    }
}
