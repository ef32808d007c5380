use super::*;
use proptest::prelude::*;

#[derive(Debug, Default, PartialEq, Eq)]
struct Heard(Vec<String>);

impl Listener for Heard {
    fn found(&mut self, name: Name, json: &[u8]) {
        self.0.push(format!("{name:?} {}", String::from_utf8_lossy(json)));
    }

    fn ended(&mut self) {
        self.0.push("end".to_owned());
    }
}

fn scan<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let (mut scanner, mut heard) = (Scanner::new(), Heard::default());
    for piece in pieces {
        scanner.feed(piece, &mut heard);
    }
    heard.0
}

#[test]
fn values_at_depth_1() {
    let json = br#"{"id":"x", "usage" : {"a":[1,{"b":"}\""}]} ,"n":1,"error":null,"code":-1.5e3}"#;
    let heard = [r#"Usage {"a":[1,{"b":"}\""}]}"#, "Error null", "Code -1.5e3", "end"];
    assert_eq!(scan([&json[..]]), heard);
    let json = br#"{"type":"er\"ror","message":"a","object":true,"status":7 }"#;
    let heard = [r#"Type "er\"ror""#, r#"Message "a""#, "Object true", "Status 7", "end"];
    assert_eq!(scan([&json[..]]), heard);
}

#[test]
fn values_inside_of_parents() {
    let json = br#"{"type":"message_start","message":{"usage":{"input_tokens":3},"error":1}}"#;
    let heard = [r#"Type "message_start""#, r#"Usage {"input_tokens":3}"#, "end"];
    assert_eq!(scan([&json[..]]), heard);
    let json = br#"{"response":{"error":{"code":"x"},"usage":null,"type":"y"},"message":[1]}"#;
    assert_eq!(scan([&json[..]]), [r#"Error {"code":"x"}"#, "Usage null", "end"]);
}

#[test]
fn what_a_model_writes_is_not_found() {
    for json in [
        r#"{"content":[{"type":"tool_use","input":{"usage":{"input_tokens":9}}}]}"#,
        r#"{"candidates":[{"usageMetadata":{}}],"args":{"usage":{"input_tokens":9}}}"#,
        r#"{"text":"\"usage\":{\"input_tokens\":9}","x":"usage","y":["usage",{"usage":1}]}"#,
        r#"{"choices":{"error":{"code":1}},"response":{"output":[{"usage":{}}]}}"#,
        r#"{"response":[{"usage":{}}],"us\u0061ge":{},"usages":{},"usageMetadat":1,"":2}"#,
    ] {
        assert_eq!(scan([json.as_bytes()]), ["end"], "{json}");
    }
}

#[test]
fn several_documents() {
    let json = br#"[{"usage":1}
        ,{"usage":2}] {"usage":3}{"code":4}"#;
    let heard = ["Usage 1", "end", "Usage 2", "end", "Usage 3", "end", "Code 4", "end"];
    assert_eq!(scan([&json[..]]), heard);
}

#[test]
fn long_values_are_not_kept() {
    let long = format!(r#"{{"error":"{}","code":1}}"#, "x".repeat(MOST_KEPT));
    assert_eq!(scan(long.as_bytes().chunks(100)), ["Code 1", "end"]);
    let fits = format!(r#"{{"error":"{}"}}"#, "x".repeat(MOST_KEPT - 2));
    assert_eq!(scan(fits.as_bytes().chunks(100)).len(), 2);
    let mut scanner = Scanner::new();
    scanner.feed(long.as_bytes(), &mut Heard::default());
    assert!(scanner.json.capacity() <= MOST_KEPT);
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        words in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", " ", "1", "null", "\"usage\":", "\"error\":",
            "\"message\":{", "\"response\":{", "\"type\":\"error\"", "é", "\n",
        ]), 0..60),
        cuts in prop::collection::vec(0_usize..200, 0..8),
    ) {
        let json = words.concat();
        let whole = scan([json.as_bytes()]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (json.len() + 1)).collect();
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([json.len()]);
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let pieces = starts.zip(ends).map(|(start, end)| &json.as_bytes()[start..end]);
        prop_assert_eq!(scan(pieces), whole.clone());
        prop_assert_eq!(scan(json.as_bytes().chunks(1)), whole);
    }
}
