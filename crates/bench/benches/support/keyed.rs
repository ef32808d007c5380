//! The price of a decision by key, beside that of other crates.
//!
//! | scene | what is asked |
//! |---|---|
//! | known | keys that are held, by one thread or two |
//! | first sight | keys that are not, of an empty limiter that grows |
//! | denied | known keys with nothing left |
//! | telling | known keys, with what is left in the answer |
//! | attack | ever new keys of a limiter that holds as many as it may |

use std::sync::Arc;
use std::time::Duration;

use governor::clock as peer_clock;
use tollgate::{CounterClock, KeyedLimiter, MonotonicClock};

use crate::contestants::Answer;
use crate::keyed_keys::{Popularity, Sort};
use crate::keyed_limiters::{self as limiters, Telling};
use crate::keyed_work::{asked, first_sight, walk};
use crate::pool::Pool;
use crate::race::{Length, Race, Slice};
use crate::table::{Table, Target};
use crate::work::Contestant;

const THOUSAND: u32 = 1_000;
const MILLION: u32 = 1_000_000;
const MAX_KEYS: u32 = 100_000;

/// What is run, and how long.
pub(crate) struct Run<'a> {
    /// Everything once, small, no figures.
    pub(crate) only_test: bool,
    /// Which scenes.
    pub(crate) wanted: &'a dyn Fn(&str) -> bool,
}

/// Our name, theirs, and whether there is a target.
type Pair = (&'static str, &'static str, bool);

const PAIRS: &[Pair] = &[
    ("ours mono", "governor dashmap mono", true),
    ("ours tsc", "governor dashmap tsc", true),
    ("ours mono", "governor dashmap same hasher mono", false),
    ("ours mono", "governor hashmap mono", false),
    ("ours tsc", "governor hashmap tsc", false),
    ("ours mono", "tokio-rate-limit mono", false),
];

/// Known keys: which, how popular, and the target.
const KNOWN: [(u32, Popularity); 4] = [
    (THOUSAND, Popularity::Uniform),
    (THOUSAND, Popularity::Zipf),
    (MILLION, Popularity::Uniform),
    (MILLION, Popularity::Zipf),
];

/// A key type with all who can serve it.
trait Served: Sort {
    /// Those who can't serve every type.
    fn more(known: &[Self], keys: &Arc<Vec<Self>>) -> Vec<Contestant>;
}

impl Served for u64 {
    fn more(_: &[Self], _: &Arc<Vec<Self>>) -> Vec<Contestant> {
        Vec::new()
    }
}

impl Served for String {
    fn more(known: &[Self], keys: &Arc<Vec<Self>>) -> Vec<Contestant> {
        let limiter = limiters::tokio_rate_limit(Answer::Allowed);
        vec![walk("tokio-rate-limit mono", limiter, known, keys, Answer::Allowed)]
    }
}

impl Run<'_> {
    /// Runs all wanted scenes and prints their tables.
    pub(crate) fn print(&self) {
        let mut table = empty_table("keyed, known keys, one thread");
        self.known::<u64>(1, &mut table);
        self.known::<String>(1, &mut table);
        self.show(&table);
        let mut table = empty_table("keyed, known keys, two threads");
        self.known::<u64>(2, &mut table);
        self.known::<String>(2, &mut table);
        self.show(&table);
        let mut table = empty_table("keyed, first sight of a key");
        self.first_sight::<u64>(&mut table);
        self.first_sight::<String>(&mut table);
        self.show(&table);
        let mut table = empty_table("keyed, other answers");
        self.others::<u64>(&mut table);
        self.others::<String>(&mut table);
        self.show(&table);
    }

    fn known<K: Served>(&self, threads: usize, table: &mut Table) {
        for (count, popularity) in KNOWN {
            let what = format!("{}, {count}, {}", K::NAME, popularity.name());
            let plural = if threads == 1 { "" } else { "s" };
            if !(self.wanted)(&format!("keyed known {threads} thread{plural} {what}")) {
                continue;
            }
            let keys = Arc::new(popularity.walk::<K>(self.few(count)));
            let all = everybody(&known::<K>(self.few(count)), &keys);
            let rounds = if count == THOUSAND { 151 } else { 61 };
            let slice = Duration::from_millis(if count == THOUSAND { 2 } else { 10 });
            let race = self.race(threads, &all, Length { rounds, slice: Slice::Lasting(slice) });
            // The misses of the cache take most of the time there, and everybody has them.
            let missing = count == MILLION && K::NAME == "u64" && popularity == Popularity::Uniform;
            let most = match (threads, missing) {
                (1, true) => 0.85,
                (1, false) => 0.65,
                _ => 0.6,
            };
            let note = if race.is_contended() { "" } else { " (took turns)" };
            add(table, &format!("{what}{note}"), &race, PAIRS, Target::AtMost(most));
        }
    }

    fn first_sight<K: Sort>(&self, table: &mut Table) {
        for (count, rounds) in [(MAX_KEYS, 21), (MILLION, 7)] {
            let what = format!("{}, {count}", K::NAME);
            if (self.wanted)(&format!("keyed first sight {what}")) {
                let count = self.few(count);
                let all = newcomers::<K>(&Arc::new(known(count)));
                let length = Length { rounds, slice: Slice::Of(count.into()) };
                add(table, &what, &self.race(1, &all, length), PAIRS, Target::AtMost(0.8));
            }
        }
    }

    fn others<K: Sort>(&self, table: &mut Table) {
        let slice = Slice::Lasting(Duration::from_millis(2));
        let length = Length { rounds: 151, slice };
        let one_clock = &PAIRS[..2];
        let (few, many) = (known::<K>(THOUSAND), known::<K>(self.few(MAX_KEYS)));
        let keys = Arc::new(Popularity::Uniform.walk::<K>(THOUSAND));
        let what = format!("{}, {THOUSAND}, denied", K::NAME);
        if (self.wanted)(&format!("keyed {what}")) {
            let race = self.race(1, &denying(&few, &keys), length);
            add(table, &what, &race, one_clock, Target::None);
        }
        let what = format!("{}, {THOUSAND}, telling what is left", K::NAME);
        if (self.wanted)(&format!("keyed {what}")) {
            let race = self.race(1, &telling(&few, &keys), length);
            add(table, &what, &race, one_clock, Target::None);
        }
        let what = format!("{}, attack on max_keys", K::NAME);
        if (self.wanted)(&format!("keyed {what}")) {
            let race = self.race(1, &attacked(&many, self.few(MILLION)), length);
            let against_known = [("attacked mono", "known mono", false)];
            add(table, &what, &race, &against_known, Target::None);
        }
    }

    fn race(&self, threads: usize, all: &[Contestant], length: Length) -> Race {
        let slice = match length.slice {
            Slice::Lasting(_) if self.only_test => Slice::Lasting(Duration::from_micros(20)),
            slice => slice,
        };
        let rounds = if self.only_test { 1 } else { length.rounds };
        Race::run(&Pool::new(threads), all, Length { rounds, slice })
    }

    fn few(&self, count: u32) -> u32 {
        if self.only_test { count.min(THOUSAND) } else { count }
    }

    fn show(&self, table: &Table) {
        if !self.only_test && !table.is_empty() {
            table.print();
        }
    }
}

fn empty_table(title: &'static str) -> Table {
    Table::new(title, ["what", "ours ns", "peer ns", "ratio"])
}

/// The pairs of which both took part.
fn add(table: &mut Table, what: &str, race: &Race, pairs: &[Pair], target: Target) {
    let names: Vec<_> = race.names().collect();
    for &(ours, theirs, has_target) in pairs {
        if names.contains(&ours) && names.contains(&theirs) {
            let nanos = |name| format!("{:.1}", race.median(name));
            let target = if has_target { target } else { Target::None };
            let what = format!("{what}: {ours} / {theirs}");
            table.row(what, nanos(ours), nanos(theirs), race.ratio(ours, theirs), target);
        }
    }
}

fn known<K: Sort>(count: u32) -> Vec<K> {
    (0..count).map(|number| K::numbered(number.into())).collect()
}

/// All limiters, knowing `known`.
fn everybody<K: Served>(known: &[K], keys: &Arc<Vec<K>>) -> Vec<Contestant> {
    let yes = Answer::Allowed;
    let mono = || peer_clock::MonotonicClock;
    let mut all = K::more(known, keys);
    all.extend([
        walk("ours mono", limiters::ours(MonotonicClock::new(), yes), known, keys, yes),
        walk("governor dashmap mono", limiters::dash(mono(), yes), known, keys, yes),
        walk("governor hashmap mono", limiters::hash(mono(), yes), known, keys, yes),
        walk(
            "governor dashmap same hasher mono",
            limiters::dash_hashed(mono(), yes),
            known,
            keys,
            yes,
        ),
    ]);
    let (own, peer) = (CounterClock::new(), peer_clock::QuantaClock::default());
    all.extend([
        walk("ours tsc", limiters::ours(own, yes), known, keys, yes),
        walk("governor dashmap tsc", limiters::dash(peer.clone(), yes), known, keys, yes),
        walk("governor hashmap tsc", limiters::hash(peer, yes), known, keys, yes),
    ]);
    all
}

/// All limiters, knowing nothing.
fn newcomers<K: Sort>(keys: &Arc<Vec<K>>) -> Vec<Contestant> {
    let yes = Answer::Allowed;
    let mono = || peer_clock::MonotonicClock;
    let mut all = Vec::new();
    all.extend([
        first_sight("ours mono", move || limiters::ours(MonotonicClock::new(), yes), keys),
        first_sight("governor dashmap mono", move || limiters::dash(mono(), yes), keys),
        first_sight("governor hashmap mono", move || limiters::hash(mono(), yes), keys),
        first_sight(
            "governor dashmap same hasher mono",
            move || limiters::dash_hashed(mono(), yes),
            keys,
        ),
    ]);
    let (own, peer) = (CounterClock::new(), peer_clock::QuantaClock::default());
    all.extend([
        first_sight("ours tsc", move || limiters::ours(own, yes), keys),
        first_sight("governor dashmap tsc", move || limiters::dash(peer.clone(), yes), keys),
    ]);
    all
}

/// Limiters whose keys have nothing left.
fn denying<K: Sort>(known: &[K], keys: &Arc<Vec<K>>) -> Vec<Contestant> {
    let no = Answer::Denied;
    let mono = peer_clock::MonotonicClock;
    let mut all = Vec::new();
    all.extend([
        walk("ours mono", limiters::ours(MonotonicClock::new(), no), known, keys, no),
        walk("governor dashmap mono", limiters::dash(mono, no), known, keys, no),
    ]);
    let (own, peer) = (CounterClock::new(), peer_clock::QuantaClock::default());
    all.extend([
        walk("ours tsc", limiters::ours(own, no), known, keys, no),
        walk("governor dashmap tsc", limiters::dash(peer, no), known, keys, no),
    ]);
    all
}

/// Limiters that say what is left.
fn telling<K: Sort>(known: &[K], keys: &Arc<Vec<K>>) -> Vec<Contestant> {
    let yes = Answer::Allowed;
    let mono = peer_clock::MonotonicClock;
    let ours = Telling(limiters::ours(MonotonicClock::new(), yes));
    let mut all = Vec::new();
    all.extend([
        walk("ours mono", ours, known, keys, yes),
        walk("governor dashmap mono", limiters::dash_telling(mono, yes), known, keys, yes),
    ]);
    let (own, peer) = (CounterClock::new(), peer_clock::QuantaClock::default());
    all.extend([
        walk("ours tsc", Telling(limiters::ours(own, yes)), known, keys, yes),
        walk("governor dashmap tsc", limiters::dash_telling(peer, yes), known, keys, yes),
    ]);
    all
}

/// A limiter that may not hold more keys, asked for others, and for those.
fn attacked<K: Sort>(known: &[K], others: u32) -> Vec<Contestant> {
    let yes = Answer::Allowed;
    let others: Vec<K> = (0..others).map(|n| K::numbered((n + MAX_KEYS).into())).collect();
    let full = || -> KeyedLimiter<K, MonotonicClock> {
        let builder = KeyedLimiter::builder(limiters::quota(yes)).max_keys(known.len());
        let limiter = builder.clock(MonotonicClock::new()).build().expect("a valid quota");
        for key in known {
            limiters::ByKey::learn(&limiter, key, yes);
        }
        limiter
    };
    vec![
        asked("attacked mono", full(), &Arc::new(others), false),
        asked("known mono", full(), &Arc::new(known.to_vec()), true),
    ]
}
