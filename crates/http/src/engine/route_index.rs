//! Which routes a path can take, by its first segment: so that a policy of a hundred routes does not
//! compare a request with each of them.

use hashbrown::HashMap;

use super::compiled::CompiledRoute;
use super::path::PathSegments;
use crate::policy::path::Segment;

/// With so many routes or fewer, it is faster to look at all of them.
const FEW: usize = 8;

/// The routes that a path can take, in the policy's order.
pub(crate) struct RouteIndex {
    /// By the first segment, for patterns that begin with a literal one. Each list also has the
    /// routes whose patterns do not.
    by_first: HashMap<Box<[u8]>, Box<[u16]>, ahash::RandomState>,
    /// The routes whose patterns do not begin with a literal segment; all, if they are few.
    others: Box<[u16]>,
}

impl RouteIndex {
    pub(crate) fn new(routes: &[CompiledRoute]) -> Self {
        let firsts: Vec<Option<&[u8]>> = routes
            .iter()
            .map(|route| match route.path.segments.first() {
                Some(Segment::Literal(literal)) if routes.len() > FEW => Some(&literal[..]),
                _ => None,
            })
            .collect();
        let routes_of = |first: Option<&[u8]>| -> Box<[u16]> {
            let indices = (0..=u16::MAX).zip(&firsts);
            let can_take = indices.filter(|(_, known)| known.is_none() || **known == first);
            can_take.map(|(index, _)| index).collect()
        };
        let mut by_first = HashMap::<Box<[u8]>, Box<[u16]>, _>::default();
        for first in firsts.iter().copied().flatten() {
            if !by_first.contains_key(first) {
                by_first.insert(first.into(), routes_of(Some(first)));
            }
        }
        Self { by_first, others: routes_of(None) }
    }

    /// The routes that a path can take.
    pub(crate) fn of(&self, path: &PathSegments<'_>) -> &[u16] {
        if self.by_first.is_empty() {
            return &self.others;
        }
        let first = path.first().and_then(|first| self.by_first.get(first));
        first.unwrap_or(&self.others)
    }
}
