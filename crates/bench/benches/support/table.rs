//! A table of measurements against targets.

/// The most a measurement may be, or the least.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    #[allow(dead_code, reason = "not every benchmark has a lower bound")]
    AtLeast(f64),
    /// Only to be seen.
    None,
}

/// A measurement that names its target.
struct Row {
    what: String,
    ours: String,
    theirs: String,
    value: f64,
    target: Target,
}

/// Rows under a title.
pub(crate) struct Table {
    title: &'static str,
    heads: [&'static str; 6],
    rows: Vec<Row>,
}

impl Table {
    /// An empty table; `heads` name the columns up to the value.
    pub(crate) fn new(title: &'static str, heads: [&'static str; 4]) -> Self {
        let [what, ours, theirs, value] = heads;
        Self { title, heads: [what, ours, theirs, value, "target", "ok?"], rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(
        &mut self,
        what: impl Into<String>,
        ours: impl Into<String>,
        theirs: impl Into<String>,
        value: f64,
        target: Target,
    ) {
        let (what, ours, theirs) = (what.into(), ours.into(), theirs.into());
        self.rows.push(Row { what, ours, theirs, value, target });
    }

    #[allow(dead_code, reason = "not every benchmark may have nothing to show")]
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints all rows, aligned.
    pub(crate) fn print(&self) {
        let lines: Vec<[String; 6]> = self.rows.iter().map(Row::cells).collect();
        let mut widths = self.heads.map(str::len);
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        println!("\n## {}\n", self.title);
        print_line(&self.heads.map(str::to_owned), &widths);
        print_line(&widths.map(|width| "-".repeat(width)), &widths);
        for line in &lines {
            print_line(line, &widths);
        }
    }
}

impl Row {
    fn cells(&self) -> [String; 6] {
        let (target, ok) = match self.target {
            Target::AtMost(most) => (format!("<= {most:.2}"), verdict(self.value <= most)),
            Target::AtLeast(least) => (format!(">= {least:.2}"), verdict(self.value >= least)),
            Target::None => ("-".to_owned(), ""),
        };
        // A small share must not look like none.
        let digits = if self.value < 0.01 { 4 } else { 3 };
        let value = format!("{:.digits$}", self.value);
        [self.what.clone(), self.ours.clone(), self.theirs.clone(), value, target, ok.to_owned()]
    }
}

fn verdict(ok: bool) -> &'static str {
    if ok { "ok" } else { "MISSED" }
}

fn print_line(cells: &[String; 6], widths: &[usize; 6]) {
    let [what, rest @ ..] = cells;
    print!("| {what:<width$} ", width = widths[0]);
    for (cell, width) in rest.iter().zip(&widths[1..]) {
        print!("| {cell:>width$} ");
    }
    println!("|");
}
