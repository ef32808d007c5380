//! What an operation answered, and whether that is what upstream answers.

use std::fmt;

use num_rational::BigRational;
use serde_json::Value;

use super::exact::as_f64;
use super::vector::integer;

/// The answer of one operation.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// It was done, and there is nothing to tell.
    Done,
    Bool(bool),
    Int(i128),
    /// A real number, exact.
    Real(BigRational),
    /// A number of nanoseconds; `None` is never.
    Nanos(Option<i128>),
    /// A point in time; upstream compares it to the nearest 100 ms.
    At(i128),
    List(Vec<i128>),
    /// Numbers by name; the order is that of a list in their place.
    Fields(Vec<(&'static str, Answer)>),
    /// Refused as invalid: by a typed error, or because the type can't even say it.
    Error,
    /// There is no such operation here.
    Missing,
}

impl Answer {
    /// Whether upstream's answer is this one; `unit` is its unit of time in nanoseconds.
    pub(crate) fn agrees(&self, expect: Option<&Value>, unit: i128) -> bool {
        let Some(expect) = expect else {
            return !matches!(self, Self::Error | Self::Missing);
        };
        match self {
            Self::Done => matches!(expect.as_str(), Some("ok")) || *expect == true,
            Self::Bool(got) => *expect == *got || integer(expect) == Some(i128::from(*got)),
            Self::Int(got) => same_int(*got, expect),
            Self::Real(got) => expect.as_f64().is_some_and(|expect| is_near(got, expect)),
            Self::Nanos(got) => same_nanos(*got, expect, unit),
            Self::At(got) => same_point(*got, expect, unit),
            Self::List(got) => same_list(got, expect),
            Self::Fields(got) => same_fields(got, expect, unit),
            Self::Error => *expect == "error",
            Self::Missing => false,
        }
    }
}

impl Answer {
    /// The wait that was told, if any.
    pub(crate) fn wait(&self) -> Option<i128> {
        match self {
            Self::Nanos(told) => *told,
            Self::Fields(fields) => fields
                .iter()
                .find(|(name, _)| matches!(*name, "wait" | "retry_after" | "slept"))
                .and_then(|(_, answer)| answer.wait()),
            _ => None,
        }
    }

    /// The same answer with a wait that is rounded down.
    pub(crate) fn with_wait_truncated(&self) -> Self {
        match self {
            Self::Nanos(Some(told)) => Self::Nanos(Some(told - 1)),
            Self::Fields(fields) => {
                let truncated = |(name, answer): &(&'static str, Self)| match *name {
                    "wait" | "retry_after" | "slept" => (*name, answer.with_wait_truncated()),
                    name => (name, answer.clone()),
                };
                Self::Fields(fields.iter().map(truncated).collect())
            }
            other => other.clone(),
        }
    }
}

/// Exactly, or within `[low, high]` or `{min, max}`.
fn same_int(got: i128, expect: &Value) -> bool {
    let bounds = match expect {
        Value::Array(bounds) => (bounds.first(), bounds.get(1)),
        Value::Object(bounds) => (bounds.get("min"), bounds.get("max")),
        exactly => (Some(exactly), Some(exactly)),
    };
    let low = bounds.0.and_then(integer);
    let high = bounds.1.and_then(integer);
    (low.is_some() || high.is_some())
        && low.is_none_or(|low| low <= got)
        && high.is_none_or(|high| got <= high)
}

fn is_near(got: &BigRational, expect: f64) -> bool {
    let got = as_f64(got);
    (got - expect).abs() <= 1e-9 * expect.abs().max(1e-9)
}

/// `"never"`, its number and redis-cell's -1 are no time at all.
fn same_nanos(got: Option<i128>, expect: &Value, unit: i128) -> bool {
    let expected = integer(expect).filter(|t| *t != i128::from(i64::MAX) && *t != -1);
    match (got, expected) {
        (None, None) => integer(expect).is_some(),
        // A coarse unit can only say it rounded up.
        (Some(got), Some(expected)) => {
            got.div_euclid(unit) + i128::from(got % unit != 0) == expected
        }
        _ => false,
    }
}

fn same_point(got: i128, expect: &Value, unit: i128) -> bool {
    const STEP: i128 = 100_000_000;
    integer(expect).is_some_and(|expect| {
        let expect = expect * unit;
        // Whatever falls on the unit's grid must be exact.
        if got % unit == 0 { got == expect } else { (got - expect).abs() <= STEP / 2 }
    })
}

fn same_list(got: &[i128], expect: &Value) -> bool {
    let expected = expect.as_array().map(|list| list.iter().map(integer).collect::<Vec<_>>());
    expected.is_some_and(|list| list == got.iter().copied().map(Some).collect::<Vec<_>>())
}

/// Every field that upstream names must be there and agree.
fn same_fields(got: &[(&'static str, Answer)], expect: &Value, unit: i128) -> bool {
    match expect {
        Value::Object(fields) => fields.iter().all(|(name, value)| {
            value.is_null()
                || got
                    .iter()
                    .find(|(field, _)| field == name)
                    .is_some_and(|(_, answer)| answer.agrees(Some(value), unit))
        }),
        Value::Array(values) => {
            values.len() == got.len()
                && got.iter().zip(values).all(|((_, got), value)| got.agrees(Some(value), unit))
        }
        // A bare number or bool is the first field.
        bare => got.first().is_some_and(|(_, answer)| answer.agrees(Some(bare), unit)),
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Bool(got) => write!(f, "{got}"),
            Self::Int(got) | Self::At(got) | Self::Nanos(Some(got)) => write!(f, "{got}"),
            Self::Real(got) => write!(f, "{got}"),
            Self::Nanos(None) => f.write_str("never"),
            Self::List(got) => write!(f, "{got:?}"),
            Self::Fields(got) => {
                for (i, (name, answer)) in got.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{name} {answer}")?;
                }
                Ok(())
            }
            Self::Error => f.write_str("error"),
            Self::Missing => f.write_str("no such operation"),
        }
    }
}
