//! Settings of a program that stand in the same file as its policy.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use super::build::Additions;
use super::code::Code;
use super::policy::Policy;
use super::problem::{Place, PolicyError};
use super::problems::Problems;
use super::read::table::{self, Table};
use super::source::{self, Entry, Format, Value};

/// The name of the table.
pub(super) const TABLE: &str = "server";

/// One table of a program's own settings, in the same file as a policy: see
/// [`Policy::parse_beside`]. Whatever is wrong with a setting is noted with its place, and the
/// setting then counts as missing.
#[derive(Clone, Copy)]
pub struct SettingsReader<'a> {
    table: Table<'a>,
    problems: &'a RefCell<Problems>,
}

impl Policy {
    /// Reads a policy, and the settings of the program itself, which are in the table `[server]`
    /// of the same file. A policy that is read in another way leaves that table alone. `known` are
    /// the keys that the table may have, and `read` is called if the table is there. All problems
    /// of both are in the error, and if there is one, then what `read` has made is dropped.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), and if the program's settings have problems.
    ///
    /// ```
    /// use tollgate_http::Policy;
    /// use tollgate_http::policy::Format;
    ///
    /// let read = |text: &str| {
    ///     Policy::parse_beside(Format::Toml, text, "app.toml", &["port"], |server| {
    ///         server.number("port", 1..=65_535)
    ///     })
    /// };
    /// let (policy, port) = read("version = 1\n[server]\nport = 8080")?;
    /// assert_eq!(port.flatten(), Some(8080));
    /// let error = read("version = 1\n[server]\nprot = 8080").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "app.toml:3:1: `prot` is not a setting here: did you mean `port`? [unknown-key]",
    /// );
    /// # Ok::<(), tollgate_http::policy::PolicyError>(())
    /// ```
    pub fn parse_beside<T>(
        format: Format,
        text: impl AsRef<[u8]>,
        name: &str,
        known: &[&str],
        read: impl FnOnce(SettingsReader<'_>) -> T,
    ) -> Result<(Self, Option<T>), PolicyError> {
        let read = |server: Option<SettingsReader<'_>>| (server.map(read), Additions::default());
        Self::parse_with_additions(format, text, name, known, read)
    }

    /// As [`parse_beside`](Self::parse_beside), for a policy to which other files add limits and
    /// rules for descriptors: `read` returns them, too. It is called in any case, with `None` if
    /// there is no table `[server]`. All problems of the policy, of the program's settings and of
    /// the additions are in the error.
    ///
    /// # Errors
    ///
    /// As [`parse_beside`](Self::parse_beside), and if the additions have problems.
    pub fn parse_with_additions<T>(
        format: Format,
        text: impl AsRef<[u8]>,
        name: &str,
        known: &[&str],
        read: impl FnOnce(Option<SettingsReader<'_>>) -> (T, Additions),
    ) -> Result<(Self, T), PolicyError> {
        let mut problems = Problems::new(name);
        let mut root = source::read(format, text.as_ref(), &mut problems);
        let problems = RefCell::new(problems);
        let entry = root.as_ref().and_then(|root| {
            let entry = root.entries().iter().find(|entry| entry.key == TABLE)?;
            SettingsReader::of(entry, known, &problems)
        });
        let (settings, additions) = read(entry);
        let mut problems = problems.into_inner();
        additions.add_to(root.as_mut(), &mut problems);
        let policy = Self::from_tree(root.as_ref(), problems)?;
        Ok((policy, settings))
    }
}

impl<'a> SettingsReader<'a> {
    fn of(entry: &'a Entry, known: &[&str], problems: &'a RefCell<Problems>) -> Option<Self> {
        let table = Table::new(&entry.node, &entry.place, known, &mut problems.borrow_mut())?;
        Some(Self { table, problems })
    }

    /// The text at `key`.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&'a str> {
        table::text(self.table.get(key)?, key, &mut self.problems.borrow_mut())
    }

    /// The texts in the list at `key`; a single text is a list of one. Empty if there is none.
    #[must_use]
    pub fn texts(&self, key: &str) -> Vec<&'a str> {
        let Some(node) = self.table.get(key) else { return Vec::new() };
        let problems = &mut self.problems.borrow_mut();
        match &node.value {
            Value::Text(text) => vec![text],
            _ => table::list(node, key, "[\"\"]", problems)
                .unwrap_or_default()
                .iter()
                .filter_map(|item| table::text(item, key, problems))
                .collect(),
        }
    }

    /// The number at `key`, which must be in `range`.
    #[must_use]
    pub fn number(&self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        self.table.number(key, range, Code::BadValue, &mut self.problems.borrow_mut())
    }

    /// The value at `key`, which is `true` or `false`.
    #[must_use]
    pub fn bool(&self, key: &str, default: bool) -> bool {
        self.table.bool(key, default, &mut self.problems.borrow_mut())
    }

    /// What the text at `key` means. `parse` gives an error that says what to write instead.
    #[must_use]
    pub fn parsed<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&'a str) -> Result<T, String>,
    ) -> Option<T> {
        let parsed = parse(self.text(key)?);
        parsed.map_err(|message| self.problem(key, &message)).ok()
    }

    /// The table at `key`, whose keys must be out of `known`.
    #[must_use]
    pub fn table(&self, key: &str, known: &[&str]) -> Option<Self> {
        let entry = self.table.node.entries().iter().find(|entry| entry.key == key)?;
        Self::of(entry, known, self.problems)
    }

    /// The tables in the list at `key`, whose keys must be out of `known`.
    #[must_use]
    pub fn tables(&self, key: &str, known: &[&str]) -> Vec<Self> {
        let Some(node) = self.table.get(key) else { return Vec::new() };
        let problems = &mut self.problems.borrow_mut();
        let items = table::list(node, key, "[{}]", problems).unwrap_or_default();
        items
            .iter()
            .filter_map(|item| {
                let table = Table::new(item, &item.place, known, problems)?;
                Some(Self { table, problems: self.problems })
            })
            .collect()
    }

    /// Whether there is something at `key`.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// Notes a problem with the value at `key`, or with the table if it has no such key.
    pub fn problem(&self, key: &str, message: &str) {
        let place: &Place = self.table.get(key).map_or(self.table.place, |node| &node.place);
        self.problems.borrow_mut().add(place, Code::BadValue, || message.to_owned());
    }
}

/// The settings may be secrets, so they are not shown.
impl std::fmt::Debug for SettingsReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SettingsReader").finish_non_exhaustive()
    }
}
