//! Callers of a limiter whose server stops, dies and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tollgate::Quota;
use tollgate::shared::store::Rule;
use tollgate::shared::{Limiter, Outage, Source};
use tollgate_redis::Redis;

use crate::support::eventually;
use crate::support::server::{Server, kinds};

const CALLERS: usize = 50;

/// The deadline of a decision: enough for a server that runs, also on a busy machine.
const DEADLINE: Duration = Duration::from_millis(200);

/// By how much answers may be late on a busy machine. On one that is idle it is below 10 ms.
const TOLERANCE: Duration = Duration::from_millis(500);

/// One answer.
#[derive(Clone, Copy, Debug)]
struct Decision {
    sent: Instant,
    took: Duration,
    source: Source,
}

fn limiter(server: &Server) -> Limiter {
    let store = Redis::builder(&server.url()).deadline(DEADLINE).connect_later().unwrap();
    // A window that does not end during the test, and nobody is refused.
    let quota = Quota::per(1_000_000_000, Duration::from_secs(400 * 86_400));
    let builder = Limiter::<str>::builder("callers", quota).rule(Rule::FixedWindow);
    builder.store(store).deadline(DEADLINE).on_outage(Outage::Open).build().unwrap()
}

/// Fifty callers, which ask one after the other as fast as a real one would, until they are told
/// to stop.
struct Callers {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Vec<Decision>>>,
}

impl Callers {
    fn start(limiter: &Limiter) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let caller = |_| {
            let (limiter, stop) = (limiter.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut decisions = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let sent = Instant::now();
                    let grant = limiter.try_acquire("alice", 1).await.expect("open in an outage");
                    let took = sent.elapsed();
                    decisions.push(Decision { sent, took, source: grant.source });
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                decisions
            })
        };
        Self { tasks: (0..CALLERS).map(caller).collect(), stop }
    }

    async fn stop(self) -> Vec<Vec<Decision>> {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Vec::new();
        for task in self.tasks {
            all.push(task.await.unwrap());
        }
        all
    }
}

/// What is charged in the store.
async fn used(limiter: &Limiter) -> u64 {
    let used = std::cell::Cell::new(0);
    eventually(|| async {
        let usage = limiter.usage("alice").await.unwrap();
        used.set(usage.limits[0].used);
        usage.source == Source::Shared
    })
    .await;
    used.get()
}

fn shared(decisions: &[Vec<Decision>]) -> u64 {
    let all = decisions.iter().flatten();
    all.filter(|decision| decision.source == Source::Shared).count() as u64
}

/// Checks the answers of callers during an outage that began before they asked.
fn assert_quick(kind: &str, what: &str, decisions: &[Vec<Decision>]) {
    let slowest = decisions.iter().flatten().map(|decision| decision.took).max().unwrap();
    assert!(slowest <= DEADLINE + TOLERANCE, "{kind}: {slowest:?}");
    let without_store = |decision: &&Decision| decision.source == Source::Open;
    let open: Vec<_> = decisions.iter().flatten().filter(without_store).collect();
    // The first sign ends the waits of all callers, at about the same time.
    let first_sign = open.iter().map(|it| it.sent + it.took).min().expect("an outage");
    let asked_before = open.iter().filter(|it| it.sent < first_sign);
    let last_of_them = asked_before.map(|it| it.sent + it.took).max().expect("the first");
    let mut later: Vec<_> =
        open.iter().filter(|it| it.sent >= first_sign).map(|it| it.took).collect();
    later.sort_unstable();
    let (middle, most) = (later[later.len() / 2], later[later.len() * 99 / 100]);
    eprintln!(
        "{kind} {what}: {} answers without the store, the slowest after {slowest:?}; all {CALLERS} \
         within {:?} of the first sign; then half of the answers in {middle:?}, 99 % in {most:?}",
        open.len(),
        last_of_them - first_sign,
    );
    // Nobody waits for the store any more: each caller waits once, at most.
    assert!(most < DEADLINE / 2, "{kind} {what}: {most:?}");
    let waits = open.iter().filter(|it| it.took >= DEADLINE).count();
    assert!(waits <= CALLERS + open.len() / 100, "{kind} {what}: {waits} answers were waited for");
}

/// Lets callers ask until limits are shared again and for a while longer, and checks that what the
/// server has charged then is what it had `charged` before and what it answered now.
async fn assert_shared_again(kind: &str, what: &str, limiter: &Limiter, charged: u64) {
    let (back, before) = (Instant::now(), limiter.stats().shared);
    let callers = Callers::start(limiter);
    eventually(|| async { limiter.stats().shared > before }).await;
    eprintln!("{kind} {what}: shared again after {:?}", back.elapsed());
    tokio::time::sleep(Duration::from_millis(200)).await;
    let after = callers.stop().await;
    let granted = charged + shared(&after);
    // On a busy machine, the server can be in time and its answer too late.
    let is_lost = |it: &&Decision| it.source == Source::Open && it.took >= DEADLINE;
    let lost = after.iter().flatten().filter(is_lost).count() as u64;
    let used = used(limiter).await;
    let late = used.checked_sub(granted);
    assert!(late.is_some_and(|it| it <= lost), "{kind} {what}: {used}, {granted}, {lost} lost");
    eprintln!("{kind} {what}: {granted} granted, {used} charged");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_a_stopped_server_have_answers_in_time_and_are_charged_nothing_late() {
    for kind in kinds() {
        let server = Server::start(kind);
        let limiter = limiter(&server);
        assert_shared_again(kind, "at first", &limiter, 0).await;
        let charged = used(&limiter).await;
        // Nothing is under way now, so what the server could charge late is what is asked now.
        server.signal("-STOP");
        let callers = Callers::start(&limiter);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let during = callers.stop().await;
        assert_eq!(shared(&during), 0, "{kind}");
        assert_quick(kind, "stopped", &during);
        server.signal("-CONT");
        assert_shared_again(kind, "stopped", &limiter, charged).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_a_server_that_dies_have_answers_in_time() {
    for kind in kinds() {
        let mut server = Server::start(kind);
        let limiter = limiter(&server);
        assert_shared_again(kind, "at first", &limiter, 0).await;
        server.kill();
        let callers = Callers::start(&limiter);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let during = callers.stop().await;
        assert_eq!(shared(&during), 0, "{kind}");
        assert_quick(kind, "killed", &during);
        server.restart();
        // It has forgotten everything.
        assert_shared_again(kind, "killed", &limiter, 0).await;
    }
}
