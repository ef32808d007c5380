//! A table of measurements against targets.

/// The most a measurement may be, or the least.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    #[allow(dead_code, reason = "not every benchmark has an upper bound")]
    AtMost(f64),
    #[allow(dead_code, reason = "not every benchmark has a lower bound")]
    AtLeast(f64),
    /// Only to be seen.
    None,
}

/// Rows under a title, aligned when they are printed.
pub(crate) struct Table {
    title: String,
    lines: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns, before those of the target.
    pub(crate) fn new(title: impl Into<String>, heads: &[&str]) -> Self {
        let heads = heads.iter().chain(&["target", "ok?"]);
        Self { title: title.into(), lines: vec![heads.map(|&head| head.to_owned()).collect()] }
    }

    /// Adds a row: its cells, and the value that has the target.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N], value: f64, target: Target) {
        let (target, verdict) = match target {
            Target::AtMost(most) => (format!("<= {most}"), verdict(value <= most)),
            Target::AtLeast(least) => (format!(">= {least}"), verdict(value >= least)),
            Target::None => ("-".to_owned(), ""),
        };
        self.lines.push(cells.into_iter().chain([target, verdict.to_owned()]).collect());
    }

    /// Prints all rows.
    pub(crate) fn print(&self) {
        let columns = self.lines[0].len();
        let width = |at: usize| {
            let cells = self.lines.iter().map(|line| line[at].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        println!("\n## {}\n", self.title);
        print_line(&self.lines[0], &widths);
        print_line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>(), &widths);
        for line in &self.lines[1..] {
            print_line(line, &widths);
        }
    }
}

fn verdict(ok: bool) -> &'static str {
    if ok { "ok" } else { "MISSED" }
}

fn print_line(cells: &[String], widths: &[usize]) {
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if at == 0 {
            print!("| {cell:<width$} ");
        } else {
            print!("| {cell:>width$} ");
        }
    }
    println!("|");
}
