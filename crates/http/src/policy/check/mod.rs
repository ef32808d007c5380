//! What must hold between the tables of a policy.

mod cost;
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
    unused::limits(draft, problems);
    unused::tiers(draft, problems);
    unused::costs(draft, problems);
    unused::charges(draft, problems);
    redundant::limits(draft, problems);
}
