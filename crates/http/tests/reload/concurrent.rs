//! Requests are decided while policies alternate.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{decide, facts, limiter, policy};

const THREADS: usize = 4;

/// A policy whose quota, route and tier have a number in common.
fn numbered(quota: u64) -> tollgate_http::Policy {
    policy(&format!(
        "default_tier = 'tier-{quota}'\n\
         [limits.calls]\nquota = '{quota}/day'\nkey = 'user'\nmissing = 'share'\n\
         [tiers.tier-{quota}]\ncalls = '{quota}/day burst {quota}'\n\
         [[routes]]\nname = 'route-{quota}'\npath = '/{{*rest}}'\nlimits = ['calls']\n"
    ))
}

#[test]
fn no_permit_is_won_and_no_decision_mixes_two_policies() {
    const QUOTAS: [u64; 2] = [1_000, 2_000];
    let policies = QUOTAS.map(numbered);
    // The clock stands still, so nothing is refilled.
    let (limiter, _clock) = limiter(&policies[0]);
    let (admitted, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let begin = Barrier::new(THREADS + 1);
    std::thread::scope(|scope| {
        let deciding: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    begin.wait();
                    for _ in 0..2_000 {
                        let decision = decide(&limiter, &facts("/").user("alice"));
                        let limit = decision.limits().next().expect("one limit");
                        let quota = limit.quota().burst_size();
                        assert_eq!(decision.route(), Some(&*format!("route-{quota}")));
                        assert_eq!(decision.tier(), Some(&*format!("tier-{quota}")));
                        assert!(limit.remaining() <= quota);
                        admitted.fetch_add(u64::from(decision.is_allowed()), Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let reloading = scope.spawn(|| {
            begin.wait();
            let mut count = 0_usize;
            while !done.load(Ordering::Relaxed) {
                count += 1;
                limiter.reload(&policies[count % 2]).expect("memory keeps all");
            }
            count
        });
        let decided = deciding.into_iter().all(|thread| thread.join().is_ok());
        done.store(true, Ordering::Relaxed);
        let reloads = reloading.join().expect("the reloading thread");
        assert!(decided);
        assert_eq!(limiter.reload_status().reloads(), u64::try_from(reloads).unwrap());
    });
    // 8000 requests were more than enough to use up the larger quota. Each switch to the other
    // policy may cost a part of a permit, and never wins one.
    let admitted = admitted.into_inner();
    assert!((1..=QUOTAS[1]).contains(&admitted), "{admitted} of 8000 were admitted");
    limiter.reload(&policies[1]).unwrap();
    assert!(!decide(&limiter, &facts("/").user("alice")).is_allowed());
}

#[test]
fn reloads_at_the_same_time_end_under_one_of_the_policies() {
    let policies = [numbered(10), numbered(20), numbered(30)];
    let (limiter, _clock) = limiter(&policies[0]);
    std::thread::scope(|scope| {
        for policy in &policies {
            let limiter = &limiter;
            scope.spawn(move || {
                for _ in 0..50 {
                    limiter.reload(policy).expect("memory keeps all");
                }
            });
        }
    });
    let (status, in_force) = (limiter.reload_status(), limiter.policy());
    assert_eq!(status.reloads(), 150);
    assert_eq!(status.policy_hash(), in_force.hash());
    assert!(policies.contains(&in_force));
}
