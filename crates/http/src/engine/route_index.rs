//! Which routes a path can take, by one of its segments: so that a policy of a hundred routes does
//! not compare a request with each of them.

use std::collections::HashSet;

use hashbrown::HashMap;

use super::compiled::CompiledRoute;
use super::path::PathSegments;
use crate::policy::path::Segment;

/// With so many routes or fewer, all of them are looked at.
const FEW: usize = 8;

/// How many segments are considered for the index.
const DEPTH: usize = 8;

/// The routes that a path can take, in the policy's order.
pub(crate) struct RouteIndex {
    /// Which segment of a path is looked up: the one in which the patterns differ most.
    at: usize,
    /// By that segment, for patterns in which it is a literal one. Each list also has the routes
    /// for whose patterns it is not.
    by_segment: HashMap<Box<[u8]>, Box<[u16]>, ahash::RandomState>,
    /// The routes for whose patterns it is not; all, if they are few.
    others: Box<[u16]>,
}

impl RouteIndex {
    pub(crate) fn new(routes: &[CompiledRoute]) -> Self {
        let differing = |at: &usize| {
            let literals: HashSet<&[u8]> = literals(routes, *at).flatten().collect();
            literals.len()
        };
        // Of several, the first one.
        let at = (0..DEPTH).rev().max_by_key(differing).unwrap_or(0);
        let literals: Vec<Option<&[u8]>> = literals(routes, at).collect();
        let routes_of = |segment: Option<&[u8]>| -> Box<[u16]> {
            let indices = (0..=u16::MAX).zip(&literals);
            let can_take = indices.filter(|(_, known)| known.is_none() || **known == segment);
            can_take.map(|(index, _)| index).collect()
        };
        let mut by_segment = HashMap::<Box<[u8]>, Box<[u16]>, _>::default();
        for literal in literals.iter().copied().flatten() {
            if !by_segment.contains_key(literal) {
                by_segment.insert(literal.into(), routes_of(Some(literal)));
            }
        }
        Self { at, by_segment, others: routes_of(None) }
    }

    /// The routes that a path can take.
    pub(crate) fn of(&self, path: &PathSegments<'_>) -> &[u16] {
        if self.by_segment.is_empty() {
            return &self.others;
        }
        let segment = path.get(self.at).and_then(|segment| self.by_segment.get(segment));
        segment.unwrap_or(&self.others)
    }
}

/// The literal segment of each route at one place; `None` where it is not literal, or if the routes
/// are so few that it is faster to look at all of them.
fn literals(routes: &[CompiledRoute], at: usize) -> impl Iterator<Item = Option<&[u8]>> {
    routes.iter().map(move |route| match route.path.segments.get(at) {
        Some(Segment::Literal(literal)) if routes.len() > FEW => Some(&literal[..]),
        _ => None,
    })
}
