//! Values of JSON that may have another type than expected, which makes them unknown, and does not
//! make the whole unreadable.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A number of at least 0; fractions are rounded up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count(pub(super) Option<u64>);

/// A text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) Option<Cow<'a, str>>);

/// Whether a value is `true`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flag(pub(super) bool);

/// What a value becomes: each method is for one type, and the default is "unknown".
trait Lenient<'de>: Default {
    fn of_number(_: u64) -> Self {
        Self::default()
    }

    fn of_flag(_: bool) -> Self {
        Self::default()
    }

    fn of_text(_: Cow<'de, str>) -> Self {
        Self::default()
    }
}

impl Lenient<'_> for Count {
    fn of_number(number: u64) -> Self {
        Self(Some(number))
    }
}

impl<'de> Lenient<'de> for Text<'de> {
    fn of_text(text: Cow<'de, str>) -> Self {
        Self(Some(text))
    }
}

impl Lenient<'_> for Flag {
    fn of_flag(flag: bool) -> Self {
        Self(flag)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyType(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyType(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyType(std::marker::PhantomData))
    }
}

/// Accepts a value of any type.
struct AnyType<L>(std::marker::PhantomData<L>);

impl<'de, L: Lenient<'de>> Visitor<'de> for AnyType<L> {
    type Value = L;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_u64<E>(self, number: u64) -> Result<L, E> {
        Ok(L::of_number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<L, E> {
        Ok(u64::try_from(number).map(L::of_number).unwrap_or_default())
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    fn visit_f64<E>(self, number: f64) -> Result<L, E> {
        Ok(if number >= 0.0 { L::of_number(number.ceil() as u64) } else { L::default() })
    }

    fn visit_bool<E>(self, flag: bool) -> Result<L, E> {
        Ok(L::of_flag(flag))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<L, E> {
        Ok(L::of_text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<L, E> {
        Ok(L::of_text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<L, E> {
        Ok(L::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<L, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(L::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<L, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(L::default())
    }
}
