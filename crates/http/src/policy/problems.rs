//! Collects the problems of one policy while it is read and checked.

use std::sync::Arc;

use super::code::Code;
use super::problem::{Place, PolicyError, Problem};

/// The most problems that one [`PolicyError`] lists; the others are counted.
const MOST: usize = 200;

/// Collects the problems of one policy.
#[derive(Clone)]
pub(super) struct Problems {
    source: Arc<str>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    more: usize,
}

impl Problems {
    pub(super) fn new(source: &str) -> Self {
        Self { source: source.into(), errors: Vec::new(), warnings: Vec::new(), more: 0 }
    }

    /// Notes a problem. The message is made only if there is room for it, so that a text with a
    /// hundred thousand mistakes costs no more than one with two hundred.
    pub(super) fn add(&mut self, place: &Place, code: Code, message: impl FnOnce() -> String) {
        if self.errors.len() < MOST {
            self.errors.push(problem(&self.source, place, code, message()));
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub(super) fn warn(&mut self, place: &Place, code: Code, message: impl FnOnce() -> String) {
        if self.warnings.len() < MOST {
            self.warnings.push(problem(&self.source, place, code, message()));
        }
    }

    /// Adds the problems of a file that adds to the policy.
    pub(super) fn append(&mut self, other: Self) {
        for problem in other.errors {
            self.add(&problem.place, problem.code, || problem.message);
        }
        for problem in other.warnings {
            self.warn(&problem.place, problem.code, || problem.message);
        }
        self.more = self.more.saturating_add(other.more);
    }

    /// A place for a message about another place: with the name of its file, unless both are in the
    /// policy.
    pub(super) fn seen_from(&self, here: &Place, other: &Place) -> String {
        match here {
            Place::File { .. } => other.with_source(&self.source),
            _ => other.to_string(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    pub(super) fn into_warnings(mut self) -> Vec<Problem> {
        self.warnings.sort_by(|a, b| a.place.cmp(&b.place));
        self.warnings
    }

    /// The error. It always says something: who reads no policy has noted why.
    pub(super) fn into_error(mut self) -> PolicyError {
        if self.errors.is_empty() {
            let start = Place::Text { line: 1, column: 1 };
            self.add(&start, Code::Syntax, || "this is not a policy".into());
        }
        self.errors.sort_by(|a, b| a.place.cmp(&b.place));
        PolicyError { problems: self.errors, more: self.more }
    }
}

fn problem(source: &Arc<str>, place: &Place, code: Code, message: String) -> Problem {
    Problem { source: Arc::clone(source), place: place.clone(), code, message }
}
