//! A key's terms as settings: `{ quota = "600/min burst 100", cost = 2 }`, `{ exempt = true }`.

use ::serde::{Deserialize, Deserializer};

use crate::Quota;
use crate::keyed::Terms;

#[derive(Deserialize)]
#[serde(rename = "Terms", deny_unknown_fields)]
struct Form {
    quota: Option<Quota>,
    cost: Option<u64>,
    #[serde(default)]
    exempt: bool,
    #[serde(default)]
    blocked: bool,
}

/// `exempt` and `blocked` exclude each other and the rest; a block that ends is no setting.
impl<'de> Deserialize<'de> for Terms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Form { quota, cost, exempt, blocked } = Form::deserialize(deserializer)?;
        let is_limited = quota.is_some() || cost.is_some();
        match (exempt, blocked) {
            (true, false) if !is_limited => Ok(Self::exempt()),
            (false, true) if !is_limited => Ok(Self::blocked()),
            (false, false) => {
                let terms = Self::default().cost(cost.unwrap_or(1));
                Ok(quota.map_or(terms, |quota| terms.quota(quota)))
            }
            _ => Err(::serde::de::Error::custom(
                "`exempt` and `blocked` need nothing beside them: remove the other fields",
            )),
        }
    }
}
