//! How many lines of an access log the `replay` example takes per second, once they are in memory.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tollgate::Quota;
use tollgate_replay::client::Addresses;
use tollgate_replay::layout::Layout;
use tollgate_replay::parse;
use tollgate_replay::run::Replay;

/// Real lines, of which a log is made by repetition.
const EXCERPT: &[u8] = include_bytes!("../tests/data/access_excerpt.log");

const LINES: usize = 200_000;

/// The excerpt over and over, with the same clients or with new ones each time.
fn log(new_clients: bool) -> Vec<u8> {
    let mut log = Vec::new();
    let excerpt = parse::lines(EXCERPT).collect::<Vec<_>>();
    for number in 0..LINES {
        if new_clients {
            log.extend(format!("{}.", number / excerpt.len()).bytes());
        }
        log.extend(excerpt[number % excerpt.len()]);
        log.push(b'\n');
    }
    log
}

fn replay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("replay");
    group.throughput(Throughput::Elements(LINES as u64)).sample_size(20);
    for new_clients in [false, true] {
        let log = log(new_clients);
        let quota = Quota::per_minute(60).burst(20);
        let run = || {
            let mut replay = Replay::new(quota, Layout::Common(1), Addresses::default())?;
            parse::lines(&log).for_each(|line| replay.line(line));
            Ok::<_, tollgate::QuotaError>((replay.tally().admitted, replay.clients()))
        };
        let (_, clients) = run().expect("the quota is valid");
        group.bench_function(BenchmarkId::new("clients", clients), |b| b.iter(|| black_box(run())));
    }
    group.finish();
}

criterion_group!(benches, replay);
criterion_main!(benches);
