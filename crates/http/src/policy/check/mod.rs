//! What must hold between the tables of a policy.

mod cost;
mod descriptors;
mod reach;
mod redundant;
mod unused;

use super::problems::Problems;
use super::read::Draft;

/// Notes all problems and warnings between the tables.
pub(super) fn check(draft: &Draft<'_>, problems: &mut Problems) {
    reach::names(draft, problems);
    reach::routes(draft, problems);
    cost::costs(draft, problems);
    descriptors::duplicates(draft, problems);
    descriptors::missing_parts(draft, problems);
    descriptors::addresses(draft, problems);
    unused::limits(draft, problems);
    unused::tiers(draft, problems);
    unused::costs(draft, problems);
    unused::charges(draft, problems);
    redundant::limits(draft, problems);
}
