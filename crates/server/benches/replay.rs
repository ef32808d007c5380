//! How many lines of an access log `tollgate replay` takes per second, from bytes in memory to the
//! report: under one limit, and under a policy with several limits, routes and a penalty.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Cursor;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tollgate_http::Policy;
use tollgate_server::replay::input::{Input, Logs, Reading};
use tollgate_server::replay::{Replay, Report};

const LINES: u64 = 1_000_000;

const ONE_LIMIT: &str = "
version = 1
always = ['calls']
[limits.calls]
quota = '60/min burst 20'
key = 'address'
";

const SEVERAL_LIMITS: &str = "
version = 1
always = ['site', 'flood']
[limits.site]
quota = '50000/s burst 100000'
[limits.flood]
quota = '20/s burst 60'
key = 'address'
[limits.calls]
quota = '60/min burst 20'
key = 'caller'
[limits.search]
quota = '30/min burst 10'
key = 'address'
[limits.trial]
quota = '10/min burst 5'
key = 'address'
mode = 'shadow'
[[routes]]
name = 'login'
method = 'POST'
path = '/login'
limits = ['calls']
charge = [401, 403]
[[routes]]
name = 'search'
path = '/search/{*rest}'
limits = ['calls', 'search']
cost = 2
[[routes]]
name = 'items'
path = '/items/{id}'
limits = ['calls', 'trial']
[[routes]]
name = 'rest'
path = '/{*rest}'
limits = ['calls']
[penalty]
key = 'address'
after = '30/min'
block = '1min'
";

/// A log of 10,000 requests a second by so many clients, a few of whom are busier than the rest.
fn log(clients: u64) -> Vec<u8> {
    const PATHS: [&str; 6] = [
        "GET /items/4711?colour=blue",
        "GET /search/shoes?page=2",
        "POST /login",
        "GET /static/css/main.9f86d081.css",
        "GET /",
        "GET /blog/2015/05/a-post-with-a-long-name.html",
    ];
    let mut log = String::new();
    let mut state = 1_u64;
    for number in 0..LINES {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let dice = state >> 33;
        let client = if dice.is_multiple_of(50) { dice % 1_000 } else { dice % clients };
        let second = number / 10_000;
        let path = PATHS[usize::try_from(dice / 7 % 6).unwrap_or(0)];
        let status = [200, 200, 304, 401, 404, 500][usize::try_from(dice / 11 % 6).unwrap_or(0)];
        let _ = writeln!(
            log,
            "10.{}.{}.{} - - [17/May/2015:10:{:02}:{:02} +0000] \"{path} HTTP/1.1\" {status} {} \
             \"https://www.example.com/start\" \"Mozilla/5.0 (X11; Linux x86_64) \
             AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36\"",
            client >> 16,
            client >> 8 & 255,
            client & 255,
            second / 60,
            second % 60,
            dice % 50_000
        );
    }
    log.into_bytes()
}

fn run(policy: &Policy, log: &'static [u8]) -> Report {
    let input = Input::of("access.log", Cursor::new(log));
    let mut logs = Logs::new(vec![input], &Reading::default()).expect("the format is known");
    let mut replay = Replay::new(policy).expect("memory keeps any policy");
    replay.run(&mut logs).expect("memory can be read");
    replay.report(&logs, 10)
}

fn replay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("replay");
    group.throughput(Throughput::Elements(LINES)).sample_size(10);
    for clients in [1_000, 100_000] {
        let log: &'static [u8] = log(clients).leak();
        for (name, policy) in [("one limit", ONE_LIMIT), ("several limits", SEVERAL_LIMITS)] {
            let policy: Policy = policy.parse().expect("a policy");
            let totals = run(&policy, log).totals;
            let refused = totals.refused * 100 / totals.requests;
            let name = format!("{name}, {clients} clients, {refused} % refused");
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| black_box(run(&policy, log)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, replay);
criterion_main!(benches);
