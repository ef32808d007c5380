//! A bar on the terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// It draws nothing where there is no terminal.
pub(crate) fn bar(length: usize) -> ProgressBar {
    let bar = ProgressBar::new(length as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len}, {msg}, {elapsed}") {
        bar.set_style(style);
    }
    bar
}
