//! The JSON Schema of policies.

/// The JSON Schema of policies, draft 2020-12, for editors that complete and check while one
/// writes: with taplo for TOML, with yaml-language-server for YAML.
///
/// Write it to a file, and name the file in the first line of the policy: `#:schema
/// ./policy.schema.json` in TOML, `# yaml-language-server: $schema=./policy.schema.json` in YAML.
///
/// The schema knows all settings and their types. What depends on several settings, such as a
/// limit that is not there, only [`Policy`](crate::policy::Policy) finds.
///
/// ```
/// let schema = tollgate_http::policy::json_schema();
/// assert!(schema.contains("https://json-schema.org/draft/2020-12/schema"));
/// ```
#[must_use]
pub fn json_schema() -> &'static str {
    include_str!("../../policy.schema.json")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use crate::policy::read::{self, answer, client, descriptor, limit, route, subject};
    use crate::policy::settings::{
        Algorithm, BodyForm, Dialect, Missing, Mode, ResetForm, WhenFull,
    };
    use crate::policy::words::{self, Word};

    fn schema() -> Value {
        serde_json::from_str(super::json_schema()).expect("the schema is JSON")
    }

    #[test]
    fn the_schema_has_the_keys_that_the_reader_knows() {
        let schema = schema();
        let root = [read::POLICY, read::OTHERS].concat();
        let tables = [
            ("", root.as_slice()),
            ("/properties/client", client::CLIENT),
            ("/properties/response", answer::RESPONSE),
            ("/properties/penalty", answer::PENALTY),
            ("/$defs/limit", limit::LIMIT),
            ("/$defs/subject", subject::SUBJECT),
            ("/$defs/route", route::ROUTE),
            ("/$defs/descriptor", descriptor::DESCRIPTOR),
            ("/$defs/entry", descriptor::ENTRY),
        ];
        for (at, known) in tables {
            let table = schema.pointer(at).expect("the table is in the schema");
            assert_eq!(table["additionalProperties"], false, "{at}");
            let properties = table["properties"].as_object().expect("a table of properties");
            let keys: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
            assert_eq!(keys, known.iter().copied().collect(), "{at}");
            for (key, setting) in properties {
                let is_described = setting.get("description").or(setting.get("$ref")).is_some();
                assert!(is_described, "{at}: {key} has no description");
            }
        }
    }

    #[test]
    fn the_schema_has_the_words_that_the_reader_knows() {
        fn words<W: Word>() -> Vec<&'static str> {
            W::WORDS.iter().map(|(word, _)| *word).collect()
        }
        let schema = schema();
        let sets = [
            ("/properties/mode/enum", words::<Mode>()),
            ("/$defs/limit/properties/missing/enum", words::<Missing>()),
            ("/$defs/limit/properties/algorithm/enum", words::<Algorithm>()),
            ("/$defs/limit/properties/when_full/enum", words::<WhenFull>()),
            ("/properties/response/properties/headers/items/enum", words::<Dialect>()),
            ("/properties/response/properties/x_ratelimit_reset/enum", words::<ResetForm>()),
            ("/properties/response/properties/body/enum", words::<BodyForm>()),
            ("/$defs/part/anyOf/0/enum", words::key::WORDS.iter().map(|(word, _)| *word).collect()),
        ];
        for (at, words) in sets {
            assert_eq!(schema.pointer(at), Some(&Value::from(words)), "{at}");
        }
        let of_limits = schema.pointer("/$defs/limit/properties/mode/enum");
        assert_eq!(of_limits, Some(&Value::from(vec!["enforce", "shadow"])));
    }
}
