//! A body that is read at once is read as it is in pieces.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_http::llm::AnswerReader;

use super::data;

fn in_pieces(body: &[u8]) -> AnswerReader {
    let mut reader = AnswerReader::new();
    body.chunks(7).for_each(|piece| reader.feed(piece));
    reader
}

#[test]
fn recorded_bodies() {
    let bodies = data::answers().into_iter().chain(data::errors());
    for body in bodies.map(|recorded| recorded.body) {
        let (whole, pieces) = (AnswerReader::whole(body.as_bytes()), in_pieces(body.as_bytes()));
        assert_eq!(whole.spent(), pieces.spent(), "{body}");
        assert_eq!(whole.error(), pieces.error(), "{body}");
    }
}

/// Documents with usage in right and in wrong places.
fn documents() -> impl Strategy<Value = Value> {
    let usage = (0_u64..9, 0_u64..9).prop_map(|(input, output)| {
        json!({"prompt_tokens": input, "completion_tokens": output, "details": {"usage": 1, "x": "}"}})
    });
    let plain = usage.clone().prop_map(|mut usage| {
        usage.as_object_mut().expect("an object").remove("details");
        usage
    });
    let leaf = prop_oneof![
        Just(json!("usage")),
        Just(json!("\"usage\":{\"prompt_tokens\":7}")),
        Just(json!("error")),
        Just(json!("}]\\\"")),
        Just(json!(null)),
        Just(json!(-1.5)),
        usage,
        plain,
    ];
    let names = prop::sample::select(vec![
        "usage",
        "usageMetadata",
        "error",
        "message",
        "choices",
        "x",
        "\"usage",
    ]);
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..4).prop_map(|fields| {
                Value::Object(
                    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_document(document in documents(), is_pretty in any::<bool>()) {
        let body = if is_pretty { format!("{document:#}\n") } else { document.to_string() };
        let (whole, pieces) = (AnswerReader::whole(body.as_bytes()), in_pieces(body.as_bytes()));
        prop_assert_eq!(whole.spent(), pieces.spent(), "{}", body);
        prop_assert_eq!(whole.error(), pieces.error(), "{}", body);
    }
}
