//! Two API keys, and a table of what became of the requests with each of them.

use std::sync::Arc;
use std::time::Duration;

use tollgate::llm::{Burst, KeyPool, Limits};
use tollgate_llm_clients::clients::{Failure, Journal, Sent};
use tollgate_llm_server::{Plan, Server, Tally};

/// An API key of the example.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) id: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) plan: Plan,
}

/// The server lets a tenth of a minute's requests and tokens through at once. The pool sends a
/// little less at once, because requests do not all take equally long on their way.
const AT_ONCE: (Duration, Burst) = (Duration::from_secs(6), Burst::Percent(9));

pub(crate) const KEYS: [Key; 2] = [
    Key { id: "main", secret: "sk-1f7a", plan: Plan::per_minute(600, 120_000).at_once(AT_ONCE.0) },
    Key { id: "spare", secret: "sk-52c0", plan: Plan::per_minute(300, 60_000).at_once(AT_ONCE.0) },
];

/// The keys in a pool, and what has been printed of them.
pub(crate) struct Keys<'a> {
    pub(crate) pool: Arc<KeyPool<String>>,
    server: &'a Server,
    journal: &'a Journal,
    printed: std::cell::Cell<usize>,
    tallies: std::cell::Cell<[Tally; KEYS.len()]>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(server: &'a Server, journal: &'a Journal) -> Result<Self, Failure> {
        let pool = Arc::new(KeyPool::new());
        for Key { id, secret, plan } in KEYS {
            let limits = Limits::new()
                .requests_per_minute(plan.requests().into())
                .tokens_per_minute(plan.tokens().into())
                .burst(AT_ONCE.1);
            pool.add(id, secret.to_owned(), limits)?;
        }
        let (printed, tallies) = Default::default();
        Ok(Self { pool, server, journal, printed, tallies })
    }

    /// Prints what became of the requests since the last table.
    pub(crate) fn print(&self) {
        let entries = self.journal.entries();
        let before = self.printed.replace(entries.len());
        let new = entries.get(before..).unwrap_or_default();
        let mut tallies = self.tallies.get();
        println!("\n  key    sent   200   429  other  estimated    used  waited  longest wait");
        for (Key { id, secret, .. }, old) in KEYS.into_iter().zip(&mut tallies) {
            let of_key: Vec<_> = new.iter().filter(|sent| sent.key == secret).collect();
            let tally = self.server.tally(secret).unwrap_or_default();
            print_line(id, &of_key, tally.tokens.saturating_sub(old.tokens));
            *old = tally;
        }
        self.tallies.set(tallies);
    }
}

fn print_line(id: &str, sent: &[&Sent], used: u32) {
    let with = |status| sent.iter().filter(|sent| sent.status == Some(status)).count();
    let (good, limited) = (with(200), with(429));
    let other = sent.len() - good - limited;
    let estimated: u64 = sent.iter().map(|sent| sent.estimated).sum();
    // What takes less than this is not waiting, but the program itself.
    let long = Duration::from_millis(20);
    let waited = sent.iter().filter(|sent| sent.waited > long).count();
    let longest = sent.iter().map(|sent| sent.waited).max().unwrap_or_default();
    println!(
        "  {id:<5} {:>5} {good:>5} {limited:>5} {other:>6} {estimated:>10} {used:>7} {waited:>7} {:>11.1} s",
        sent.len(),
        longest.as_secs_f64()
    );
}
