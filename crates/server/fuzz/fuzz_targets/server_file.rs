//! Any bytes are the file of a service, or have problems within the file.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tollgate_server::settings::ConfigFile;

fuzz_target!(|input: &[u8]| {
    let Some((first, text)) = input.split_first() else { return };
    let name = match first % 3 {
        0 => "tollgate.toml",
        1 => "tollgate.yaml",
        _ => "tollgate.json",
    };
    match ConfigFile::parse(Path::new(name), text) {
        Ok(file) => {
            // What is accepted can be shown.
            let _ = format!("{:?} {}", file.settings, file.policy);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
