//! The parts of a benchmark, which are run by name.

use crate::size::Size;

/// Measures, and prints tables.
pub(crate) type Scene = fn(Size);

/// Runs the scenes whose names contain one of the patterns in the arguments of this program; all
/// scenes, if there is no pattern.
pub(crate) fn run(scenes: &[(&str, Scene)]) {
    let (size, patterns) = Size::from_args();
    let wanted =
        |name: &str| patterns.is_empty() || patterns.iter().any(|pattern| name.contains(pattern));
    for (_, print) in scenes.iter().filter(|(name, _)| wanted(name)) {
        print(size);
    }
}
