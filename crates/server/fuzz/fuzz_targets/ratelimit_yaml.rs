//! Any bytes as files of envoyproxy/ratelimit are limits and rules of a policy, or have problems
//! within the file. A policy that is made of them and printed is read as the same policy.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_http::Policy;
use tollgate_http::policy::Place;

#[allow(dead_code, reason = "files are not read from the disk here")]
#[path = "../../src/envoy_files/mod.rs"]
mod envoy_files;

fuzz_target!(|bytes: &[u8]| {
    // Two files, so that they can have the same domain.
    let middle = bytes.windows(3).position(|three| three == b"\n%\n").unwrap_or(bytes.len());
    let (first, second) = bytes.split_at(middle);
    let files = [("first.yaml", first), ("second.yaml", second.get(3..).unwrap_or_default())];
    let files = files.into_iter().filter(|(_, bytes)| !bytes.is_empty());
    match envoy_files::policy(envoy_files::additions(files)) {
        Ok(policy) => {
            let printed = policy.to_string();
            assert_eq!(printed.parse::<Policy>().as_ref(), Ok(&policy), "{printed}");
        }
        Err(error) => {
            let lines = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 2;
            for problem in error.problems() {
                let Place::File { line, .. } = *problem.place() else { panic!("{problem}") };
                assert!(line as usize <= lines, "{problem} of {lines} lines");
            }
        }
    }
});
