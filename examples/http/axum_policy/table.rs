//! A table of who asked for what, and what came back.

use std::ops::RangeInclusive;

use crate::http_client::Answer;

/// The statuses that have a column.
const STATUSES: [u16; 4] = [200, 401, 403, 429];

/// The answers to one visitor's requests, which were all the same.
pub(crate) struct Row {
    pub(crate) who: &'static str,
    pub(crate) request: &'static str,
    pub(crate) answers: Vec<Answer>,
}

impl Row {
    /// Checks how many answers had this status.
    pub(crate) fn got(self, status: u16, expected: RangeInclusive<usize>) -> Self {
        let count = self.count(status);
        let (who, request) = (self.who, self.request);
        assert!(expected.contains(&count), "{who}, {request}: {count} answers were {status}");
        self
    }

    /// A line of the table, and what a reader should see in it.
    pub(crate) fn note<'a>(&'a self, note: &'a str) -> Line<'a> {
        Line { row: self, note }
    }

    /// How many answers had this status.
    pub(crate) fn count(&self, status: u16) -> usize {
        self.answers.iter().filter(|answer| answer.status.as_u16() == status).count()
    }

    /// How many answers had this text.
    pub(crate) fn count_text(&self, text: &str) -> usize {
        self.answers.iter().filter(|answer| answer.body == text).count()
    }

    /// The last answer. Visitors ask at least once.
    pub(crate) fn last(&self) -> &Answer {
        &self.answers[self.answers.len() - 1]
    }
}

/// A line of the table.
pub(crate) struct Line<'a> {
    row: &'a Row,
    note: &'a str,
}

impl Line<'_> {
    fn print(&self) {
        let Self { row, note } = self;
        print!("{:<13} {:<15}", row.who, row.request);
        for status in STATUSES {
            match row.count(status) {
                0 => print!("{:>5}", "."),
                count => print!("{count:>5}"),
            }
        }
        let wait = row.last().field("retry-after").map(|wait| format!("{wait} s"));
        println!("{:>8}  {note}", wait.unwrap_or_default());
    }
}

/// Prints the lines under a heading.
pub(crate) fn print(lines: &[Line<'_>]) {
    println!("How many requests were answered with which status, and what the last was told:\n");
    print!("{:<13} {:<15}", "who", "request");
    for status in STATUSES {
        print!("{status:>5}");
    }
    println!("{:>8}", "wait");
    for line in lines {
        line.print();
    }
}
