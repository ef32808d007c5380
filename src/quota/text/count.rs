//! Numbers of permits: `600`, `1_000`, `1k`, `10r`, `100 requests`.

/// Nouns that may follow a number of permits and are ignored.
const NOUNS: [&str; 27] = [
    "r",
    "req",
    "reqs",
    "request",
    "requests",
    "permit",
    "permits",
    "token",
    "tokens",
    "call",
    "calls",
    "hit",
    "hits",
    "query",
    "queries",
    "q",
    "time",
    "times",
    "message",
    "messages",
    "event",
    "events",
    "op",
    "ops",
    "operations",
    "attempt",
    "attempts",
];

/// A decimal number: `digits` / 10^`places`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: u128,
    places: u32,
}

/// Why a text is not a number of permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadCount {
    Missing,
    TooLarge,
    /// A number, but not a whole number.
    Fraction(Decimal),
    /// A number with commas, which could also separate two limits.
    Commas,
    /// A number with the suffix `m`, which could mean a million or a thousandth.
    Million,
    NotANumber,
}

impl BadCount {
    /// The message for `text`, without the rate that the user should write.
    pub(super) fn message(self, text: &str) -> String {
        match self {
            Self::Missing => "the number of permits is missing: write it, such as `10/s`".into(),
            Self::TooLarge => format!("`{text}` is too large: at most {} permits", u64::MAX),
            Self::Commas => {
                format!("`{text}` has commas: write the thousands as `1000` or `1_000`")
            }
            Self::Million => format!("`{text}` is unclear: write a million as `1M` or `1_000_000`"),
            Self::Fraction(_) => format!("`{text}` is not a whole number of permits"),
            Self::NotANumber => format!(
                "`{text}` is not a whole number of permits: write it in digits, such as `10/s`"
            ),
        }
    }
}

impl Decimal {
    /// Reads `12`, `1_000` and `0.25`. There must be a digit before and after the point, and
    /// underscores only between digits. Returns `None` for anything else, and for a number with too
    /// many digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let digits = push_digits(0, whole)?;
        match fraction {
            None => Some(Self { digits, places: 0 }),
            Some(fraction) => {
                let places = fraction.bytes().filter(u8::is_ascii_digit).count();
                let places = u32::try_from(places).ok().filter(|&places| places <= 18)?;
                Some(Self { digits: push_digits(digits, fraction)?, places })
            }
        }
    }

    /// This number times `factor`, as a fraction in lowest terms. `None` if it does not fit.
    pub(super) fn times(self, factor: u128) -> Option<(u128, u128)> {
        let (above, below) = (self.digits.checked_mul(factor)?, 10_u128.pow(self.places));
        let divisor = greatest_common_divisor(above, below);
        Some((above / divisor, below / divisor))
    }
}

/// Reads the number of permits in `text`.
pub(super) fn parse(text: &str) -> Result<u64, BadCount> {
    let text = text.trim();
    if text.is_empty() {
        return Err(BadCount::Missing);
    }
    let length = text.bytes().take_while(|byte| b"0123456789_.,".contains(byte)).count();
    let (number, rest) = text.split_at(length);
    if number.is_empty() {
        return Err(if is_noun(text) { BadCount::Missing } else { BadCount::NotANumber });
    }
    let (factor, noun) = match rest.as_bytes() {
        [b'k' | b'K', after @ ..] if !starts_with_letter(after) => (1_000, &rest[1..]),
        [b'M', after @ ..] if !starts_with_letter(after) => (1_000_000, &rest[1..]),
        [b'm', after @ ..] if !starts_with_letter(after) => return Err(BadCount::Million),
        _ => (1, rest),
    };
    let noun = noun.trim();
    if !(noun.is_empty() || is_noun(noun)) {
        return Err(BadCount::NotANumber);
    }
    if number.contains(',') {
        return Err(BadCount::Commas);
    }
    let Some(decimal) = Decimal::parse(number) else {
        let only_digits = number.bytes().all(|byte| byte.is_ascii_digit());
        return Err(if only_digits { BadCount::TooLarge } else { BadCount::NotANumber });
    };
    match decimal.times(factor) {
        Some((permits, 1)) => u64::try_from(permits).map_err(|_| BadCount::TooLarge),
        Some(_) => Err(BadCount::Fraction(decimal)),
        None => Err(BadCount::TooLarge),
    }
}

fn is_noun(text: &str) -> bool {
    NOUNS.iter().any(|noun| noun.eq_ignore_ascii_case(text))
}

fn starts_with_letter(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
}

/// `value` with the digits of `text` appended.
fn push_digits(value: u128, text: &str) -> Option<u128> {
    if text.is_empty() || text.starts_with('_') || text.ends_with('_') || text.contains("__") {
        return None;
    }
    text.bytes().filter(|&byte| byte != b'_').try_fold(value, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u128::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

fn greatest_common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}
