//! Limits in Redis beside one script call per decision, on the same server in the same run.
//!
//! `cargo bench -p tollgate-redis-bench` prints all tables; a name after `--` chooses one: `tasks`,
//! `one`, `two-limits`, `lease`, `refused`, `outage`. `profile` or `profile-peer` is one contestant
//! alone, with `TASKS` (50), for a profiler.
//!
//! `ROUNDS` (7) is how often each contestant has its turn, and `LAP` (400) how many ms that takes.
//! `SERVER` is `redis-server` or `valkey-server`.

#![allow(clippy::cast_precision_loss, reason = "figures are printed with three digits")]
#![allow(dead_code, reason = "of the tests' servers, some things are not used here")]

#[path = "support/measure.rs"]
mod measure;
#[path = "support/peers.rs"]
mod peers;
#[path = "../../redis/tests/support/server.rs"]
#[allow(unreachable_pub, reason = "it is a file of the tests, where a folder shares it")]
mod server;
#[path = "../../bench/benches/support/table.rs"]
mod table;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tollgate::Quota;
use tollgate::keyed::Keyed;
use tollgate::shared::{Limiter, Outage};

use measure::{Lap, lap, median};
use peers::{Bare, Gcra, Get};
use server::Server;
use table::{Table, Target};

/// Subjects that the tasks choose from.
const SUBJECTS: u64 = 10_000;

/// What is measured, and with what.
struct Bench {
    runtime: Runtime,
    server: Server,
    rounds: usize,
    lap: Duration,
}

/// The name of something to run, and how it is run.
type Named = (&'static str, fn(&Bench));

const TABLES: [Named; 6] = [
    ("tasks", Bench::tasks),
    ("one", Bench::one),
    ("two-limits", Bench::two_limits),
    ("lease", Bench::lease),
    ("refused", Bench::refused),
    ("outage", Bench::outage),
];

/// One contestant alone, which only runs if it is named.
const PROFILES: [Named; 2] = [("profile", Bench::profile), ("profile-peer", Bench::profile_peer)];

fn main() {
    let kind = if std::env::var("SERVER").is_ok_and(|kind| kind == "valkey-server") {
        "valkey-server"
    } else {
        "redis-server"
    };
    if !server::is_installed(kind) {
        return;
    }
    // `--test` is a quick run of everything.
    let is_test = std::env::args().any(|word| word == "--test");
    let (rounds, lap) = if is_test { (1, 20) } else { (7, 400) };
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let bench = Bench {
        runtime: tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads"),
        server: Server::start(kind),
        rounds: usize::try_from(number("ROUNDS", rounds)).expect("few rounds"),
        lap: Duration::from_millis(number("LAP", lap)),
    };
    println!("{kind}, {} rounds of {:?} each", bench.rounds, bench.lap);
    for (name, run) in TABLES {
        if wanted.is_empty() || wanted.iter().any(|it| it == name) {
            run(&bench);
        }
    }
    for (name, run) in PROFILES {
        if wanted.iter().any(|it| it == name) {
            run(&bench);
        }
    }
}

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

/// How a limiter is built.
type Build = fn(tollgate::shared::Builder<u64>) -> tollgate::shared::Builder<u64>;

/// The text of a subject, for those who are given texts.
fn text(prefix: &str, random: u64) -> String {
    format!("{prefix}:{}", random % SUBJECTS)
}

impl Bench {
    fn limiter(&self, name: &str, quota: Quota, build: Build) -> Limiter<u64> {
        let _context = self.runtime.enter();
        // Deadlines that a busy machine keeps.
        let store =
            tollgate_redis::Redis::builder(&self.server.url()).deadline(Duration::from_secs(5));
        let store = self.runtime.block_on(store.connect()).expect("the server is there");
        let builder = Limiter::builder(name, quota).store(store).deadline(Duration::from_secs(5));
        build(builder).build().expect("exact quotas")
    }

    fn turns(&self, mut each: impl FnMut() -> Vec<Lap>) -> Vec<Vec<Lap>> {
        // The first round fills caches and connections.
        each();
        (0..self.rounds).map(|_| each()).collect()
    }

    fn lap<F: Future<Output = ()> + Send>(
        &self,
        tasks: u64,
        caller: impl Fn(u64) -> F + Send + Sync + 'static,
    ) -> Lap {
        lap(&self.runtime, &self.server, tasks, self.lap, caller)
    }

    fn gcra(&self, tasks: u64, peer: &Gcra) -> Lap {
        let peer = peer.clone();
        self.lap(tasks, move |random| {
            let peer = peer.clone();
            async move { assert!(peer.allow(&text("gcra", random)).await) }
        })
    }

    fn ours(&self, tasks: u64, limiter: &Limiter<u64>) -> Lap {
        let limiter = limiter.clone();
        self.lap(tasks, move |random| {
            let limiter = limiter.clone();
            async move { assert!(limiter.allow(&(random % SUBJECTS)).await.expect("an answer")) }
        })
    }

    /// Many tasks on many subjects.
    fn tasks(&self) {
        let gcra = Gcra::new(&self.runtime, &self.server);
        let get = Get::new(&self.runtime, &self.server);
        let limiter = self.limiter("tasks", Quota::per_second(1000), |it| it);
        for (tasks, rate, server, client, of_get) in
            [(50, 1.5, 0.6, 0.35, Target::None), (500, 1.8, 0.55, 0.25, Target::AtLeast(0.5))]
        {
            let rounds = self.turns(|| {
                let get = get.clone();
                let got = self.lap(tasks, move |random| {
                    let get = get.clone();
                    async move { get.get(&text("get", random)).await }
                });
                vec![self.ours(tasks, &limiter), self.gcra(tasks, &gcra), got]
            });
            let title = if tasks == 50 { "50 tasks" } else { "500 tasks" };
            let mut table = Table::new(title, ["what", "ours", "peer", "ratio"]);
            row(
                &mut table,
                "decisions a second / one script call each",
                &rounds,
                [0, 1],
                |it| it.rate,
                Target::AtLeast(rate),
            );
            row(
                &mut table,
                "server's CPU, us a decision",
                &rounds,
                [0, 1],
                |it| it.server,
                Target::AtMost(server),
            );
            row(
                &mut table,
                "client's CPU, us a decision",
                &rounds,
                [0, 1],
                |it| it.client,
                Target::AtMost(client),
            );
            row(&mut table, "decisions a second / GET", &rounds, [0, 2], |it| it.rate, of_get);
            table.print();
        }
    }

    /// Nothing but ours, for a profiler.
    fn profile(&self) {
        let limiter = self.limiter("profile", Quota::per_second(1000), |it| it);
        let tasks = number("TASKS", 50);
        let rounds = self.turns(|| vec![self.ours(tasks, &limiter)]);
        let stats = limiter.stats();
        println!("{:?}\n{} asks in {} calls", rounds, stats.asks, stats.calls);
    }

    /// Nothing but the GCRA script, for a profiler.
    fn profile_peer(&self) {
        let gcra = Gcra::new(&self.runtime, &self.server);
        let tasks = number("TASKS", 50);
        println!("{:?}", self.turns(|| vec![self.gcra(tasks, &gcra)]));
    }

    /// One task, which nothing can be done for at the same time.
    fn one(&self) {
        let bare = Bare::new(&self.runtime, &self.server);
        let gcra = Gcra::new(&self.runtime, &self.server);
        let limiter = self.limiter("one", Quota::per_second(1000), |it| it);
        let rounds = self.turns(|| {
            let bare = bare.clone();
            let called = self.lap(1, move |random| {
                let bare = bare.clone();
                async move { bare.call(&text("bare", random)).await }
            });
            vec![self.ours(1, &limiter), called, self.gcra(1, &gcra)]
        });
        let mut table = Table::new("one task", ["what", "ours", "peer", "ratio"]);
        row(
            &mut table,
            "median us / the same script",
            &rounds,
            [0, 1],
            |it| it.median,
            Target::AtMost(1.1),
        );
        row(
            &mut table,
            "median us / the GCRA script",
            &rounds,
            [0, 2],
            |it| it.median,
            Target::None,
        );
        row(
            &mut table,
            "client's CPU / the same script",
            &rounds,
            [0, 1],
            |it| it.client,
            Target::None,
        );
        table.print();
    }

    /// Requests and tokens together, beside requests alone.
    fn two_limits(&self) {
        let one = self.limiter("requests", Quota::per_second(1000), |it| it);
        let two = self.limiter("both", Quota::per_second(1000), |it| {
            it.limit("tokens", Quota::per_minute(6_000_000))
        });
        let rounds = self.turns(|| {
            let two = two.clone();
            let both = self.lap(50, move |random| {
                let two = two.clone();
                async move {
                    let is_allowed = two.allow_n(&(random % SUBJECTS), [1, 10]).await;
                    assert!(is_allowed.expect("an answer"));
                }
            });
            vec![both, self.ours(50, &one)]
        });
        let mut table = Table::new("two limits", ["what", "two", "one", "ratio"]);
        let inverse = |lap: &Lap| 1e6 / lap.rate;
        row(&mut table, "us a decision, 50 tasks", &rounds, [0, 1], inverse, Target::AtMost(1.4));
        row(&mut table, "server's CPU", &rounds, [0, 1], |it| it.server, Target::None);
        row(&mut table, "client's CPU", &rounds, [0, 1], |it| it.client, Target::None);
        table.print();
    }

    /// One hot subject with leases, beside one script call each.
    fn lease(&self) {
        let gcra = Gcra::new(&self.runtime, &self.server);
        let limiter = self.limiter("lease", Quota::per_second(1_000_000_000), |it| {
            it.lease(Duration::from_millis(100))
        });
        let rounds = self.turns(|| {
            let (limiter, gcra) = (limiter.clone(), gcra.clone());
            let leased = self.lap(50, move |_| {
                let limiter = limiter.clone();
                async move { assert!(limiter.allow(&1).await.expect("an answer")) }
            });
            let called = self.lap(50, move |_| {
                let gcra = gcra.clone();
                async move {
                    gcra.allow("hot").await;
                }
            });
            vec![leased, called]
        });
        let mut table = Table::new("a hot subject with leases", ["what", "ours", "peer", "ratio"]);
        row(
            &mut table,
            "decisions a second / one script call each",
            &rounds,
            [0, 1],
            |it| it.rate,
            Target::AtLeast(30.0),
        );
        row(&mut table, "client's CPU", &rounds, [0, 1], |it| it.client, Target::None);
        table.print();
    }

    /// A subject that is refused, beside one that a limiter in this process refuses.
    fn refused(&self) {
        let limiter = self.limiter("refused", Quota::per_hour(1), |it| {
            it.trust_refusals_for(Duration::from_secs(3600))
        });
        let local = Arc::new(Keyed::<u64>::new(Quota::per_hour(1)).expect("a quota"));
        self.runtime.block_on(async { limiter.allow(&1).await.expect("an answer") });
        local.try_acquire(&1, 1).expect("the first");
        let before = limiter.stats().calls;
        let rounds = self.turns(|| {
            let ours = {
                let limiter = limiter.clone();
                self.lap(1, move |_| {
                    let limiter = limiter.clone();
                    async move { assert!(limiter.try_acquire(&1, 1).await.is_err()) }
                })
            };
            let local = Arc::clone(&local);
            let theirs = self.lap(1, move |_| {
                let local = Arc::clone(&local);
                async move { assert!(local.try_acquire(&1, 1).is_err()) }
            });
            vec![ours, theirs]
        });
        assert!(limiter.stats().calls <= before + 1, "a known refusal costs no call");
        let mut table = Table::new("a known refusal", ["what", "ours", "keyed", "ratio"]);
        row(
            &mut table,
            "client's CPU, us, with the loop",
            &rounds,
            [0, 1],
            |it| it.client,
            Target::AtMost(3.0),
        );
        table.print();
    }

    /// Without the server: the share of this process, beside a limiter of this process.
    fn outage(&self) {
        let limiter = self.limiter("outage", Quota::per_second(100_000_000), |it| {
            it.on_outage(Outage::local_share(1, 4))
        });
        let local = Keyed::<u64>::new(Quota::per_second(100_000_000));
        let local = Arc::new(local.expect("a quota"));
        // Probing goes on, as in any outage.
        self.server.signal("-STOP");
        let _ = self.runtime.block_on(limiter.allow(&1));
        let idle = Server::start(self.server.kind);
        let rounds = self.turns(|| {
            let shared = limiter.clone();
            let ours = lap(&self.runtime, &idle, 1, self.lap, move |random| {
                let limiter = shared.clone();
                async move {
                    assert!(limiter.try_acquire(&(random % SUBJECTS), 1).await.is_ok());
                }
            });
            let local = Arc::clone(&local);
            let theirs = lap(&self.runtime, &idle, 1, self.lap, move |random| {
                let local = Arc::clone(&local);
                async move { assert!(local.try_acquire(&(random % SUBJECTS), 1).is_ok()) }
            });
            vec![ours, theirs]
        });
        self.server.signal("-CONT");
        let mut table =
            Table::new("an outage with `LocalShare`", ["what", "ours", "keyed", "ratio"]);
        row(&mut table, "decisions a second", &rounds, [0, 1], |it| it.rate, Target::AtLeast(0.8));
        table.print();
    }
}

/// Adds the medians of two contestants, and the median of the ratios of each round.
fn row(
    table: &mut Table,
    what: &str,
    rounds: &[Vec<Lap>],
    [ours, theirs]: [usize; 2],
    of: impl Fn(&Lap) -> f64,
    target: Target,
) {
    let each = |which: usize| rounds.iter().map(|laps| of(&laps[which])).collect();
    let ratios = rounds.iter().map(|laps| of(&laps[ours]) / of(&laps[theirs])).collect();
    let shown =
        |value: f64| if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") };
    let (ours, theirs) = (shown(median(each(ours))), shown(median(each(theirs))));
    table.row(what, ours, theirs, median(ratios), target);
}
