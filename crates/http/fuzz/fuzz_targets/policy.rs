//! Any bytes in any format are a policy or have problems within the text. A policy that is printed
//! is read as the same policy.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_http::policy::{Format, Place, Policy};

fuzz_target!(|input: &[u8]| {
    let Some((first, text)) = input.split_first() else { return };
    let format = match first % 3 {
        0 => Format::Toml,
        1 => Format::Yaml,
        _ => Format::Json,
    };
    match Policy::parse(format, text, "policy") {
        Ok(policy) => {
            let printed = policy.to_string();
            assert_eq!(printed.parse().as_ref(), Ok(&policy), "{printed}");
        }
        Err(error) => {
            let lines = text.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 2;
            for problem in error.problems() {
                let Place::Text { line, .. } = *problem.place() else { panic!("{problem}") };
                assert!(line as usize <= lines, "{problem} of {lines} lines");
            }
        }
    }
});
