//! The JSON Schema accepts policies, and finds mistakes of form.
//!
//! The schema uses few keywords, so they are checked here by a few lines. (A library for all
//! keywords would be the largest dependency of the tests.)

use serde_json::{Value, json};
use tollgate_http::policy::json_schema;

#[test]
fn the_sample_is_valid() {
    let sample = include_str!("../data/policies/sample.json");
    let sample: Value = serde_json::from_str(sample).expect("the sample is JSON");
    assert_eq!(wrong(&sample), Vec::<String>::new());
}

#[test]
fn mistakes_of_form_are_not_valid() {
    let limit = |limit: Value| json!({"version": 1, "limits": {"calls": limit}});
    let route = |route: Value| json!({"version": 1, "routes": [route]});
    let subject = |subject: Value| json!({"version": 1, "subjects": [subject]});
    let mistakes = [
        json!({}),
        json!([]),
        json!({"version": 2}),
        json!({"version": 1, "limit": {}}),
        json!({"version": 1, "mode": "on"}),
        json!({"version": 1, "always": "calls"}),
        json!({"version": 1, "client": {"trusted_hops": 0}}),
        json!({"version": 1, "client": {"trusted_hops": 1, "trusted_proxies": ["unix"]}}),
        json!({"version": 1, "penalty": {"block": "1min"}}),
        json!({"version": 1, "response": {"headers": ["rate-limit"]}}),
        limit(json!({})),
        limit(json!({"quota": 10})),
        limit(json!({"qouta": "10/min"})),
        limit(json!({"quota": "10/min", "key": ["user", "user"]})),
        limit(json!({"quota": "10/min", "key": 5})),
        limit(json!({"quota": "10/min", "status": 500})),
        limit(json!({"quota": "10/min", "ipv6_prefix": 129})),
        route(json!({"name": "a"})),
        route(json!({"path": "/", "cost": 0})),
        route(json!({"path": "/", "charge": [600]})),
        route(json!({"path": "/", "method": []})),
        subject(json!({"exempt": true})),
        subject(json!({"user": "a", "address": "10.0.0.1", "exempt": true})),
        subject(json!({"user": "a", "until": "2027-01-01T00:00:00Z"})),
        subject(json!({"user": ""})),
    ];
    for mistake in mistakes {
        assert!(!wrong(&mistake).is_empty(), "{mistake}");
    }
}

/// What the schema says is wrong with a policy.
pub(crate) fn wrong(policy: &Value) -> Vec<String> {
    let root: Value = serde_json::from_str(json_schema()).expect("the schema is JSON");
    let mut wrong = Vec::new();
    check(&root, &root, policy, "", &mut wrong);
    wrong
}

/// Checks the keywords of one schema. It panics at a keyword that it does not know, so that none
/// is passed over in silence. Patterns and formats are for editors only.
fn check(root: &Value, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    let schema = schema.as_object().expect("a schema is an object");
    for (keyword, wanted) in schema {
        let is_valid = |schema: &Value| {
            let mut wrong = Vec::new();
            check(root, schema, value, at, &mut wrong);
            wrong.is_empty()
        };
        let length = match value {
            Value::String(text) => text.chars().count(),
            Value::Array(items) => items.len(),
            Value::Object(entries) => entries.len(),
            _ => 0,
        };
        let bound = || usize::try_from(wanted.as_u64().expect("a number")).expect("a small number");
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "examples" | "pattern"
            | "format" | "propertyNames" => true,
            "$ref" => {
                let path = wanted.as_str().and_then(|path| path.strip_prefix('#'));
                let target = path.and_then(|path| root.pointer(path)).expect("a target");
                check(root, target, value, at, wrong);
                true
            }
            "type" => match wanted.as_str() {
                Some("object") => value.is_object(),
                Some("array") => value.is_array(),
                Some("string") => value.is_string(),
                Some("boolean") => value.is_boolean(),
                Some("integer") => value.is_u64() || value.is_i64(),
                other => panic!("the type {other:?} is not known"),
            },
            "const" => value == wanted,
            "enum" => wanted.as_array().is_some_and(|words| words.contains(value)),
            "minimum" => value.as_u64().is_none_or(|number| Some(number) >= wanted.as_u64()),
            "maximum" => value.as_u64().is_none_or(|number| Some(number) <= wanted.as_u64()),
            "minLength" => !value.is_string() || length >= bound(),
            "maxLength" => !value.is_string() || length <= bound(),
            "minItems" => !value.is_array() || length >= bound(),
            "maxItems" => !value.is_array() || length <= bound(),
            "maxProperties" => !value.is_object() || length <= bound(),
            "uniqueItems" => value.as_array().is_none_or(|items| {
                items.iter().enumerate().all(|(index, item)| !items[..index].contains(item))
            }),
            "not" => !is_valid(wanted),
            "anyOf" => wanted.as_array().is_some_and(|schemas| schemas.iter().any(is_valid)),
            "oneOf" => {
                let schemas = wanted.as_array().expect("a list of schemas");
                schemas.iter().filter(|schema| is_valid(schema)).count() == 1
            }
            "required" => has_all(value, wanted),
            "dependentRequired" => wanted.as_object().is_some_and(|pairs| {
                pairs.iter().all(|(key, keys)| value.get(key).is_none() || has_all(value, keys))
            }),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, wanted, item, &format!("{at}[{index}]"), wrong);
                }
                true
            }
            "properties" => {
                for (key, property) in wanted.as_object().into_iter().flatten() {
                    if let Some(value) = value.get(key) {
                        check(root, property, value, &format!("{at}.{key}"), wrong);
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                let others = value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter(|(key, _)| known.is_none_or(|known| !known.contains_key(*key)));
                let mut all_known = true;
                for (key, value) in others {
                    match wanted {
                        Value::Bool(false) => all_known = false,
                        _ => check(root, wanted, value, &format!("{at}.{key}"), wrong),
                    }
                }
                all_known
            }
            other => panic!("the keyword {other} is not known"),
        };
        if !holds {
            wrong.push(format!("{at}: {keyword}"));
        }
    }
}

fn has_all(value: &Value, keys: &Value) -> bool {
    let mut keys = keys.as_array().into_iter().flatten().filter_map(Value::as_str);
    !value.is_object() || keys.all(|key| value.get(key).is_some())
}
