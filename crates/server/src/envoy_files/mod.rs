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
    Additions, Code, Format, LONGEST, Place, Policy, PolicyError, SettingsReader, bytes_of,
};

use notes::Notes;
use translate::Translation;
use tree::Spot;

/// What the files at `paths` add to a policy. What is wrong with them is in the additions, also
/// that one of them can't be read.
pub fn read_files<P: AsRef<Path>>(paths: &[P]) -> Additions {
    let mut reader = Reader::default();
    for path in paths.iter().map(AsRef::as_ref) {
        let name = path.display().to_string();
        match bytes_of(path) {
            Ok(bytes) => reader.add(&name, &bytes),
            Err(error) => {
                let place = Place::File { name: name.into(), line: 1, column: 1 };
                let message = format!("the file can't be read: {error}");
                reader.additions.error(&place, Code::Syntax, message);
            }
        }
    }
    reader.additions
}

/// What files with these names and contents add to a policy.
pub fn additions<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Additions {
    let mut reader = Reader::default();
    for (name, bytes) in files {
        reader.add(name, bytes);
    }
    reader.additions
}

/// Whether the file at `path` is one of envoyproxy/ratelimit, with or without mistakes: for
/// whoever expects another file there.
#[must_use]
pub fn is_one(path: &Path) -> bool {
    let text = bytes_of(path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let document = text.and_then(|text| tree::read(&text).ok().flatten());
    document.is_some_and(|document| read::is_a_file(&document.root))
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    additions: Additions,
    translation: Translation,
}

impl Reader {
    fn add(&mut self, name: &str, bytes: &[u8]) {
        let mut notes = Notes::new(name, &mut self.additions);
        add(bytes, &mut self.translation, &mut notes);
        notes.finish();
    }
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
