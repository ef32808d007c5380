//! Several threads at once, in real time.

use std::time::Duration;

use tokio::task::JoinSet;
use tollgate::Quota;
use tollgate::shared::Limiter;
use tollgate::shared::store::Memory;

/// Tasks on four threads that ask for more than there is; how many permits they got.
fn granted(lease: Option<Duration>) -> u64 {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_time().build().unwrap();
    runtime.block_on(async {
        // Two processes on one store, in which nearly nothing comes back.
        let store = Memory::new();
        let quota = Quota::per(1, Duration::from_secs(1_000_000)).burst(1_001);
        let process = || {
            let builder = Limiter::<str>::builder("api", quota).store(store.clone());
            // Slow machines are not what is tested.
            let builder = builder.deadline(Duration::from_secs(600));
            let builder = builder.trust_refusals_for(Duration::ZERO);
            match lease {
                Some(length) => builder.lease(length).build().unwrap(),
                None => builder.build().unwrap(),
            }
        };
        let processes = [process(), process()];
        let mut tasks = JoinSet::new();
        for task in 0..8 {
            let limiter = processes[task % 2].clone();
            tasks.spawn(async move {
                let mut granted = 0;
                for _ in 0..400 {
                    granted += u64::from(limiter.allow("alice").await.unwrap());
                }
                granted
            });
        }
        tasks.join_all().await.into_iter().sum()
    })
}

#[test]
fn threads_get_exactly_what_there_is() {
    assert_eq!(granted(None), 1_001);
}

#[test]
fn threads_with_leases_get_no_more_than_there_is() {
    // A permit is held back. What a process has drawn ahead, the other one does not find.
    let granted = granted(Some(Duration::from_millis(100)));
    assert!((750..=1_000).contains(&granted), "{granted}");
}
