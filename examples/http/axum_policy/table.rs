//! A table of who asked for what, and what came back.

use crate::http_client::Answer;

/// The statuses that have a column.
const STATUSES: [u16; 4] = [200, 401, 403, 429];

/// The answers to one visitor's requests, which were all the same.
pub(crate) struct Row {
    pub(crate) who: &'static str,
    pub(crate) request: &'static str,
    pub(crate) answers: Vec<Answer>,
    pub(crate) note: &'static str,
}

impl Row {
    /// Says what a reader should see in this row.
    pub(crate) fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
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

    fn print(&self) {
        print!("{:<13} {:<15}", self.who, self.request);
        for status in STATUSES {
            match self.count(status) {
                0 => print!("{:>5}", "."),
                count => print!("{count:>5}"),
            }
        }
        let wait = self.last().field("retry-after").map(|wait| format!("{wait} s"));
        println!("{:>8}  {}", wait.unwrap_or_default(), self.note);
    }
}

/// Prints the rows under a heading.
pub(crate) fn print(rows: &[Row]) {
    println!("How many requests were answered with which status, and what the last was told:\n");
    print!("{:<13} {:<15}", "who", "request");
    for status in STATUSES {
        print!("{status:>5}");
    }
    println!("{:>8}", "wait");
    for row in rows {
        row.print();
    }
}
