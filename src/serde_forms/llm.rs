//! The limits of an account as settings, and their usage as an answer.

use std::fmt;

use ::serde::de::{self, Deserialize, Deserializer, Visitor};
use ::serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{limited, seconds};
use crate::llm::{Burst, Counted, LimitKind, LimitUsage, Limits, Period, Usage};

/// The names of the limits in settings are those of the builder's methods.
#[derive(::serde::Deserialize, ::serde::Serialize)]
#[serde(rename = "Limits", default, deny_unknown_fields)]
#[derive(Default)]
struct Form {
    requests_per_minute: Option<u64>,
    tokens_per_minute: Option<u64>,
    input_tokens_per_minute: Option<u64>,
    output_tokens_per_minute: Option<u64>,
    requests_per_second: Option<u64>,
    tokens_per_second: Option<u64>,
    requests_per_hour: Option<u64>,
    tokens_per_hour: Option<u64>,
    requests_per_day: Option<u64>,
    tokens_per_day: Option<u64>,
    max_concurrent: Option<u64>,
    /// Limits over other periods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<Other>,
    burst: Burst,
    keep_back_percent: u8,
}

/// A limit over a period that has no name of its own.
#[derive(::serde::Deserialize, ::serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Other {
    counted: Counted,
    per_seconds: u32,
    limit: u64,
}

/// In settings, an absent limit and a limit of 0 mean unlimited.
impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = Form::deserialize(deserializer)?;
        let of = |count: Option<u64>| count.unwrap_or(0);
        let mut limits = Self::new()
            .requests_per_minute(of(form.requests_per_minute))
            .tokens_per_minute(of(form.tokens_per_minute))
            .input_tokens_per_minute(of(form.input_tokens_per_minute))
            .output_tokens_per_minute(of(form.output_tokens_per_minute))
            .requests_per_second(of(form.requests_per_second))
            .tokens_per_second(of(form.tokens_per_second))
            .requests_per_hour(of(form.requests_per_hour))
            .tokens_per_hour(of(form.tokens_per_hour))
            .requests_per_day(of(form.requests_per_day))
            .tokens_per_day(of(form.tokens_per_day))
            .max_concurrent(of(form.max_concurrent))
            .burst(form.burst)
            .keep_back(form.keep_back_percent);
        for other in form.others {
            let period = Period::seconds(other.per_seconds).ok_or_else(|| {
                let given = de::Unexpected::Unsigned(other.per_seconds.into());
                de::Error::invalid_value(given, &"from 1 second to 10 years")
            })?;
            limits = limits.with(other.counted.per(period), other.limit);
        }
        Ok(limits)
    }
}

impl Serialize for Limits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut form = Form {
            max_concurrent: self.get(LimitKind::Concurrency),
            burst: self.burst_mode(),
            keep_back_percent: self.kept_back(),
            ..Form::default()
        };
        for (kind, limit) in self.iter() {
            let Some((counted, period)) = kind.metered() else { continue };
            match form.named(counted, period) {
                Some(field) => *field = Some(limit),
                None => form.others.push(Other { counted, per_seconds: period.as_secs(), limit }),
            }
        }
        form.serialize(serializer)
    }
}

impl Form {
    /// The field with a name of its own for a limit, if there is one.
    fn named(&mut self, counted: Counted, period: Period) -> Option<&mut Option<u64>> {
        Some(match (counted, period) {
            (Counted::Requests, Period::SECOND) => &mut self.requests_per_second,
            (Counted::Requests, Period::MINUTE) => &mut self.requests_per_minute,
            (Counted::Requests, Period::HOUR) => &mut self.requests_per_hour,
            (Counted::Requests, Period::DAY) => &mut self.requests_per_day,
            (Counted::Tokens, Period::SECOND) => &mut self.tokens_per_second,
            (Counted::Tokens, Period::MINUTE) => &mut self.tokens_per_minute,
            (Counted::Tokens, Period::HOUR) => &mut self.tokens_per_hour,
            (Counted::Tokens, Period::DAY) => &mut self.tokens_per_day,
            (Counted::InputTokens, Period::MINUTE) => &mut self.input_tokens_per_minute,
            (Counted::OutputTokens, Period::MINUTE) => &mut self.output_tokens_per_minute,
            _ => return None,
        })
    }
}

/// `"full"`, `"strict"`, or a percentage such as `"10%"`.
impl<'de> Deserialize<'de> for Burst {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Burst;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"full\", \"strict\", or a percentage from \"0%\" to \"100%\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Burst, E> {
                let percent = text.strip_suffix('%').filter(|number| !number.starts_with('+'));
                let percent = percent.and_then(|number| number.parse().ok());
                match (text, percent) {
                    ("full", _) => Ok(Burst::Full),
                    ("strict", _) => Ok(Burst::Strict),
                    (_, Some(percent @ 0..=100)) => Ok(Burst::Percent(percent)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl Serialize for Burst {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Full => serializer.serialize_str("full"),
            Self::Percent(percent) => serializer.collect_str(&format_args!("{percent}%")),
            Self::Strict => serializer.serialize_str("strict"),
        }
    }
}

impl Serialize for LimitUsage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("LimitUsage", 5)?;
        fields.serialize_field("kind", &self.kind)?;
        fields.serialize_field("limit", &limited(self.limit))?;
        fields.serialize_field("used", &self.used)?;
        fields.serialize_field("remaining", &limited(self.remaining))?;
        fields.serialize_field("reset_after", &seconds(self.reset_after))?;
        fields.end()
    }
}

/// The kind in words, as messages name it.
impl Serialize for LimitKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Usage", 5)?;
        fields.serialize_field("limits", &self.limits)?;
        fields.serialize_field("in_flight", &self.in_flight)?;
        fields.serialize_field("max_in_flight", &self.max_in_flight)?;
        fields.serialize_field("paused_for", &self.paused_for.map(seconds))?;
        fields.serialize_field("waiting", &self.waiting)?;
        fields.end()
    }
}
