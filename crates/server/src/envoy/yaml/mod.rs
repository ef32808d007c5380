//! The YAML of envoyproxy/ratelimit: its files become limits and rules for descriptors of a policy.
//!
//! `tree` reads YAML with places, `scalar` and `table` say what it means to Go's `yaml.v2`, `read`
//! makes descriptors of it and checks what ratelimit checks, and `translate` makes limits and rules
//! of the descriptors, whose names are made in `name`. What is wrong, and what means something else
//! here, is collected in `notes`.

mod name;
mod notes;
mod read;
mod scalar;
mod table;
mod translate;
mod tree;

use std::path::Path;

use tollgate_http::policy::{
    Additions, Code, Format, LoadError, Policy, PolicyError, SettingsReader,
};

use notes::Notes;
use translate::Translation;
use tree::Spot;

/// The longest file that is read: as long as a policy can be.
const LONGEST: usize = 4 << 20;

/// What the files at `paths` add to a policy. What is wrong with them is in the additions.
///
/// # Errors
///
/// If a file can't be read from the disk.
pub fn read_files<P: AsRef<Path>>(paths: &[P]) -> Result<Additions, LoadError> {
    let mut files = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|error| LoadError::Unreadable { path: path.to_owned(), error })?;
        files.push((path.display().to_string(), bytes));
    }
    Ok(additions(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))))
}

/// What files with these names and contents add to a policy.
pub fn additions<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Additions {
    let mut additions = Additions::default();
    let mut translation = Translation::default();
    for (name, bytes) in files {
        let mut notes = Notes::new(name, &mut additions);
        add(bytes, &mut translation, &mut notes);
        notes.finish();
    }
    additions
}

fn add(bytes: &[u8], translation: &mut Translation, notes: &mut Notes<'_>) {
    let syntax = |notes: &mut Notes<'_>, spot, message: String| {
        notes.error(spot, Code::Syntax, message);
    };
    if bytes.len() > LONGEST {
        let message = format!("the file has {} bytes: at most {LONGEST} are read", bytes.len());
        return syntax(notes, Spot::START, message);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.split(|byte| *byte == b'\n').count();
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            return syntax(notes, Spot { line, column: 1 }, "this line is not UTF-8".into());
        }
    };
    match tree::read(text) {
        Err(error) => syntax(notes, error.spot, error.message),
        Ok(None) => read::no_domain(Spot::START, notes),
        Ok(Some(document)) => {
            if let Some(next) = document.next {
                let message = "a second document begins here: only the first one is read, as in \
                               ratelimit";
                notes.warning(next, Code::UnusedSetting, message);
            }
            if let Some(file) = read::file(&document.root, notes) {
                translation.add(&file, notes);
            }
        }
    }
}

/// The policy that consists of nothing but the additions: for a check of the files alone, and to
/// print them as TOML.
///
/// # Errors
///
/// If the files have problems.
pub fn policy(additions: Additions) -> Result<Policy, PolicyError> {
    let read = |_: Option<SettingsReader<'_>>| ((), additions);
    let (policy, ()) =
        Policy::parse_with_additions(Format::Toml, "version = 1", "policy", &[], read)?;
    Ok(policy)
}
