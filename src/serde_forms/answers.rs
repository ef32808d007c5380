//! What limiters answer. Times are seconds with a fraction; what is unlimited is nothing.

use ::serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{limited, seconds};
use crate::Usage;
use crate::keyed::{Offender, Totals};

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Usage", 8)?;
        fields.serialize_field("quota", &self.quota)?;
        fields.serialize_field("limit", &limited(self.limit))?;
        fields.serialize_field("used", &self.used)?;
        fields.serialize_field("remaining", &limited(self.remaining))?;
        fields.serialize_field("reset_after", &seconds(self.reset_after))?;
        fields.serialize_field("allowed", &self.allowed)?;
        fields.serialize_field("denied", &self.denied)?;
        fields.serialize_field("waiting", &self.waiting)?;
        fields.end()
    }
}

impl Serialize for Totals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Totals", 3)?;
        fields.serialize_field("keys", &self.keys)?;
        fields.serialize_field("allowed", &self.allowed)?;
        fields.serialize_field("denied", &self.denied)?;
        fields.end()
    }
}

impl<K: Serialize> Serialize for Offender<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Offender", 3)?;
        fields.serialize_field("key", &self.key)?;
        fields.serialize_field("denied", &self.denied)?;
        fields.serialize_field("overcount", &self.overcount)?;
        fields.end()
    }
}
