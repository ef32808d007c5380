//! Collects what a file adds to the policy: limits and rules, what is wrong with it, and what means
//! something else here.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_http::policy::{Additions, Code, DescriptorRule, Limit, Place};

use super::tree::Spot;

/// What one file adds to the policy.
pub(super) struct Notes<'a> {
    file: Arc<str>,
    additions: &'a mut Additions,
    /// Of each setting that is there several times: where first, how often, and what is told.
    once: BTreeMap<&'static str, (Spot, usize, &'static str)>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(file: &str, additions: &'a mut Additions) -> Self {
        Self { file: file.into(), additions, once: BTreeMap::new() }
    }

    pub(super) fn place(&self, spot: Spot) -> Place {
        Place::File { name: Arc::clone(&self.file), line: spot.line, column: spot.column }
    }

    /// Something is wrong.
    pub(super) fn error(&mut self, spot: Spot, code: Code, message: impl Into<String>) {
        self.additions.error(&self.place(spot), code, message);
    }

    /// Something is not as it seems.
    pub(super) fn warning(&mut self, spot: Spot, code: Code, message: impl Into<String>) {
        self.additions.warning(&self.place(spot), code, message);
    }

    /// A setting has no effect here. That is told once for each file, with the first place.
    pub(super) fn unused(&mut self, spot: Spot, key: &'static str, message: &'static str) {
        let (first, times, _) = self.once.entry(key).or_insert((spot, 0, message));
        *first = spot.min(*first);
        *times += 1;
    }

    /// The policy gets a limit.
    pub(super) fn limit(&mut self, spot: Spot, limit: Limit) {
        self.additions.limit(&self.place(spot), limit);
    }

    /// The policy gets a rule.
    pub(super) fn rule(&mut self, spot: Spot, rule: DescriptorRule) {
        self.additions.descriptor(&self.place(spot), rule);
    }

    /// Tells what was kept to be told once.
    pub(super) fn finish(self) {
        let Self { file, additions, once } = self;
        for (key, (Spot { line, column }, times, message)) in once {
            let place = Place::File { name: Arc::clone(&file), line, column };
            let times =
                if times > 1 { format!(" ({times} times in this file)") } else { String::new() };
            additions.warning(&place, Code::UnusedSetting, format!("`{key}`{times}: {message}"));
        }
    }
}
