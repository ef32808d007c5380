//! Requests per second of an axum server, with the layer and without.
//!
//! * `cargo bench -p tollgate-http-bench --bench server`: the table; takes about a minute.
//! * `... --bench server -- --test`: everything once, small, no figures.
//!
//! Each server has a thread and a runtime of its own, and answers `hello` over HTTP/1.1 on the
//! loopback. Another thread holds 32 connections to each, sends a request on each of them, reads
//! all responses, and begins again. The servers take turns in slices of 200 ms, in an order that is
//! turned round each time; a ratio is the median over the rounds. `no layer, same fields` sends the
//! fields that ours sends, from constants: what they cost hyper and the kernel is no cost of a
//! layer; `a layer that does nothing` is what axum pays for any layer. Beside the requests per
//! second stands the CPU time of the server's thread for each request, which other processes
//! disturb less.

#[path = "support/client.rs"]
mod client;
#[path = "support/hello.rs"]
mod hello;
#[path = "support/size.rs"]
mod size;
#[path = "support/spread.rs"]
mod spread;
#[path = "support/table.rs"]
mod table;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use axum_governor::extractor::PeerIp;
use tollgate::Quota;
use tollgate_http::policy::{KeyPart, Limit, Response};
use tollgate_http::{HttpLimiter, Policy, RateLimitLayer};
use tower::layer::util::Identity;
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;

use client::Client;
use hello::Hello;
use size::Size;
use spread::Spread;
use table::{Table, Target};

const ROUNDS: usize = 41;
const SLICE: Duration = Duration::from_millis(200);
/// More than anybody sends.
const PER_SECOND: u32 = 100_000_000;
const BURST: u32 = 9_999;

/// A server, its client, and what was measured.
struct Contestant {
    name: &'static str,
    server: Hello,
    client: Client,
    target: Target,
    /// Requests per second, and microseconds of the server's CPU time, in each round.
    rounds: Vec<(f64, f64)>,
}

impl Contestant {
    fn new(name: &'static str, server: Hello, target: Target) -> Self {
        let client = Client::of(server.address());
        Self { name, server, client, target, rounds: Vec::new() }
    }

    fn run(&mut self, slice: Duration) {
        let (begun, busy) = (Instant::now(), self.server.cpu_time());
        let mut count = 0;
        while begun.elapsed() < slice {
            count += self.client.ask_on_all();
        }
        let requests = f64::from(count);
        let busy = self.server.cpu_time().saturating_sub(busy).as_secs_f64() * 1e6;
        self.rounds.push((requests / begun.elapsed().as_secs_f64(), busy / requests));
    }
}

fn main() {
    let (size, _) = Size::from_args();
    let mut contestants = [
        Contestant::new("no layer", Hello::bare(), Target::None),
        Contestant::new("no layer, again", Hello::bare(), Target::None),
        Contestant::new("a layer that does nothing", Hello::behind(Identity::new()), Target::None),
        Contestant::new("no layer, same fields", Hello::with_fields(), Target::None),
        Contestant::new("tollgate", Hello::behind(ours()), Target::AtLeast(0.97)),
        Contestant::new("tollgate, no fields", Hello::behind(ours_silent()), Target::None),
        Contestant::new("tower_governor", tower_governor(), Target::None),
        Contestant::new("tower_governor with fields", tower_governor_telling(), Target::None),
        Contestant::new("axum-governor", axum_governor(), Target::None),
    ];
    for round in 0..size.rounds(ROUNDS) {
        let count = contestants.len();
        for at in 0..count {
            let at = if round % 2 == 0 { at } else { count - 1 - at };
            contestants[at].run(size.slice(SLICE));
        }
    }
    size.show(&table(&contestants));
}

fn table(contestants: &[Contestant]) -> Table {
    let heads = [
        "layer",
        "requests/s",
        "of no layer",
        "quartiles",
        "server's CPU us",
        "CPU, inverse ratio",
    ];
    let mut table = Table::new("server: an axum server on the loopback", &heads);
    let bare = &contestants[0].rounds;
    for contestant in contestants {
        let rounds = &contestant.rounds;
        let of = |figure: fn(&(f64, f64)) -> f64| Spread::of(rounds.iter().map(figure).collect());
        let against = |figure: fn(&(f64, f64), &(f64, f64)) -> f64| {
            Spread::of(rounds.iter().zip(bare).map(|(with, bare)| figure(with, bare)).collect())
        };
        let share = against(|with, bare| with.0 / bare.0);
        let share_by_time = against(|with, bare| bare.1 / with.1);
        table.row(
            [
                contestant.name.to_owned(),
                format!("{:.0}", of(|round| round.0).median),
                format!("{:.3}", share.median),
                share.to_string(),
                format!("{:.2}", of(|round| round.1).median),
                format!("{:.3} ({share_by_time})", share_by_time.median),
            ],
            share.median,
            contestant.target,
        );
    }
    table
}

fn ours() -> RateLimitLayer {
    let quota = Quota::per_second(PER_SECOND.into()).burst(BURST.into());
    RateLimitLayer::per_ip(quota).expect("a valid quota")
}

fn ours_silent() -> RateLimitLayer {
    let quota = Quota::per_second(PER_SECOND.into()).burst(BURST.into());
    let limit = Limit::new("requests", quota).key([KeyPart::Address]);
    let response = Response::new().headers([]);
    let policy = Policy::builder().limit(limit).always(["requests"]).response(response);
    let policy = policy.build().expect("a valid policy");
    RateLimitLayer::new(HttpLimiter::new(&policy).expect("memory keeps any limit"))
}

fn tower_governor() -> Hello {
    let mut config = GovernorConfigBuilder::default();
    config.period(Duration::from_secs(1) / PER_SECOND).burst_size(BURST);
    Hello::behind(GovernorLayer::new(config.finish().expect("a valid quota")))
}

fn tower_governor_telling() -> Hello {
    let mut config = GovernorConfigBuilder::default();
    config.period(Duration::from_secs(1) / PER_SECOND).burst_size(BURST);
    Hello::behind(GovernorLayer::new(config.use_headers().finish().expect("a valid quota")))
}

fn axum_governor() -> Hello {
    let many = |count| NonZeroU32::new(count).expect("more than none");
    let quota = axum_governor::Quota::requests_per_second(many(PER_SECOND)).burst(many(BURST));
    let config = axum_governor::GovernorConfigBuilder::default()
        .with_extractor(PeerIp::default())
        .expect_connect_info()
        .quota_default(quota)
        .finish();
    Hello::behind(axum_governor::GovernorLayer::new(config.expect("a valid configuration")))
}
