//! A quota as text, `"600/min burst 100"`, or in parts, `{ permits = 600, period = "1min", burst =
//! 100 }`.

use std::fmt;

use ::serde::de::value::MapAccessDeserializer;
use ::serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use ::serde::ser::{Serialize, Serializer};

use crate::Quota;

impl Serialize for Quota {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The parts are those of the text, and are read by the same parser.
#[derive(::serde::Deserialize)]
#[serde(rename = "Quota", deny_unknown_fields)]
struct Parts {
    permits: u64,
    period: String,
    burst: Option<u64>,
}

struct TextOrParts;

impl<'de> Visitor<'de> for TextOrParts {
    type Value = Quota;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quota such as \"600/min burst 100\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quota, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, parts: A) -> Result<Quota, A::Error> {
        let Parts { permits, period, burst } =
            Parts::deserialize(MapAccessDeserializer::new(parts))?;
        let text = match burst {
            Some(burst) => format!("{permits}/{period} burst {burst}"),
            None => format!("{permits}/{period}"),
        };
        self.visit_str(&text)
    }
}

impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Other formats do not say what comes next.
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(TextOrParts)
        } else {
            deserializer.deserialize_str(TextOrParts)
        }
    }
}
