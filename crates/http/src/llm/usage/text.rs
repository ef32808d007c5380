//! Where strings and values of JSON end.

use memchr::memchr2;

/// What a byte means outside of strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Other,
    Quote,
    Open,
    Close,
    Comma,
}

/// What a byte means outside of strings.
#[inline]
pub(super) fn kind(byte: u8) -> Kind {
    KINDS[usize::from(byte)]
}

static KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Other; 256];
    kinds[b'"' as usize] = Kind::Quote;
    kinds[b'{' as usize] = Kind::Open;
    kinds[b'[' as usize] = Kind::Open;
    kinds[b'}' as usize] = Kind::Close;
    kinds[b']' as usize] = Kind::Close;
    kinds[b',' as usize] = Kind::Comma;
    kinds
};

/// The number of bytes up to the next quote or backslash.
#[inline]
pub(super) fn text_length(bytes: &[u8]) -> usize {
    // Most strings are short, and a search with SIMD takes a while to begin.
    const SHORT: usize = 32;
    let mut length = 0;
    while let Some(word) = bytes.get(length..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*word);
        let found = zero_bytes(word ^ each_byte(b'"')) | zero_bytes(word ^ each_byte(b'\\'));
        if found != 0 {
            return length + found.trailing_zeros() as usize / 8;
        }
        length += 8;
        if length == SHORT {
            let rest = memchr2(b'"', b'\\', &bytes[SHORT..]);
            return rest.map_or(bytes.len(), |rest| SHORT + rest);
        }
    }
    let is_end = |byte: &u8| matches!(byte, b'"' | b'\\');
    let rest = &bytes[length..];
    length + rest.iter().position(is_end).unwrap_or(rest.len())
}

const fn each_byte(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Has the highest bit of the first byte that is zero, and none of the bytes before it. What it has
/// of those after it says nothing.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(each_byte(1)) & !word & each_byte(0x80)
}

/// How a string ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a quote, after so many bytes, itself included.
    Quote(usize),
    /// It goes on after the last byte; and that is a backslash, if so.
    Open { is_escaped: bool },
}

/// Where a string ends that begins before these bytes.
#[inline]
pub(super) fn end_of_string(bytes: &[u8]) -> End {
    let mut position = 0;
    loop {
        position += text_length(&bytes[position..]);
        match bytes.get(position) {
            None => return End::Open { is_escaped: false },
            Some(b'"') => return End::Quote(position + 1),
            // A backslash, and the byte after it.
            Some(_) if position + 1 < bytes.len() => position += 2,
            Some(_) => return End::Open { is_escaped: true },
        }
    }
}

/// The length of the object or array with which these bytes begin; `None` if its end is not there.
pub(super) fn value_length(bytes: &[u8]) -> Option<usize> {
    let mut depth: usize = 0;
    let mut position = 0;
    loop {
        let byte = *bytes.get(position)?;
        position += 1;
        match kind(byte) {
            Kind::Other | Kind::Comma => {}
            Kind::Quote => match end_of_string(&bytes[position..]) {
                End::Quote(length) => position += length,
                End::Open { .. } => return None,
            },
            Kind::Open => depth += 1,
            Kind::Close => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(position);
                }
            }
        }
    }
}

/// These bytes without the white space with which they begin.
#[inline]
pub(super) fn skip_blank(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii_start()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_end_where_they_do() {
        for (text, right) in [
            ("{}", Some(2)),
            (r#"{"a":"}\""}, "b":1}"#, Some(11)),
            ("[[],[{}]]]", Some(9)),
            (r#"{"a":"}"#, None),
            (r#"{"a":"\"#, None),
            ("{", None),
            ("}", None),
            ("", None),
        ] {
            assert_eq!(value_length(text.as_bytes()), right, "{text}");
        }
    }

    proptest! {
        #[test]
        fn as_a_plain_search_finds_it(bytes in prop::collection::vec(
            prop::sample::select(vec![b'"', b'\\', b'a', b'!', b'#', b']', b'[', 0x80, 0xff, 0x00]),
            0..80,
        )) {
            let is_end = |byte: &u8| matches!(byte, b'"' | b'\\');
            let right = bytes.iter().position(is_end).unwrap_or(bytes.len());
            prop_assert_eq!(text_length(&bytes), right);
        }
    }
}
