//! Every metric by name and labels, after a scripted run.

use std::time::Duration;

use tollgate_http::HttpLimiter;
use tollgate_http::observe::DECISION_SECONDS_BUCKETS;

use crate::measured::{measured, with_recorder};
use crate::{builder, decide, facts, policy};

const POLICY: &str = r#"
    always = ["site"]
    [limits.site]
    quota = "100/h"
    [limits.calls]
    quota = "2/h"
    key = "caller"
    [limits.trial]
    quota = "1/h"
    key = "caller"
    mode = "shadow"
    [limits.login]
    quota = "5/h"
    key = "address"
    [limits.door]
    quota = "5/h"
    key = "user"
    missing = "refuse"
    max_keys = 1
    when_full = "deny"
    [[subjects]]
    user = "probe"
    exempt = true
    [[subjects]]
    user = "mallory"
    blocked = true
    [[routes]]
    name = "login"
    path = "/login"
    limits = ["login"]
    charge = [401]
    [[routes]]
    name = "items"
    path = "/items/{id}"
    limits = ["calls", "trial"]
    [[routes]]
    name = "door"
    path = "/door"
    limits = ["door"]
    [penalty]
    key = "caller"
    after = "2/h"
    block = "1min"
    max = "1h"
    forget = "1day"
"#;

/// Makes requests that end in every possible way.
fn run(limiter: &HttpLimiter) {
    let status = |path: &str, user: &str| decide(limiter, &facts(path).user(user)).status();
    // Two are granted, the second of them in spite of the shadow limit, and two are put up with.
    // The fifth begins a penalty, and the sixth is refused by it.
    let statuses: Vec<_> = (0..6).map(|_| status("/items/1", "alice")).collect();
    assert_eq!(statuses, [None, None, Some(429), Some(429), Some(429), Some(429)]);
    assert_eq!(limiter.penalties().len(), 1);
    assert_eq!(status("/items/1", "probe"), None);
    assert_eq!(status("/items/1", "mallory"), Some(403));
    // With its dots resolved, this path takes another route.
    assert_eq!(status("/items/../login", "bob"), Some(400));
    assert_eq!(status("/elsewhere", "bob"), None);
    assert_eq!((status("/door", "bob"), status("/door", "carol")), (None, Some(503)));
    assert_eq!(decide(limiter, &facts("/door")).status(), Some(403));
    for answer in [200, 401] {
        let mut decision = decide(limiter, &facts("/login").user("bob"));
        limiter.answered(&mut decision, answer);
    }
    let no_peer = tollgate_http::Facts::new("GET", "/login").user("bob");
    assert_eq!(decide(limiter, &no_peer).status(), Some(500));
}

/// What has been measured after [`run`], except for counters and gauges that are 0.
const EXPECTED: [(&str, f64); 38] = [
    ("tollgate_charge_returned_total{limit=login}", 1.0),
    ("tollgate_decision_seconds", 16.0),
    ("tollgate_decisions_total{limit=calls,result=allowed}", 2.0),
    ("tollgate_decisions_total{limit=calls,result=refused}", 3.0),
    ("tollgate_decisions_total{limit=door,result=allowed}", 1.0),
    ("tollgate_decisions_total{limit=door,result=refused}", 1.0),
    ("tollgate_decisions_total{limit=login,result=allowed}", 2.0),
    ("tollgate_decisions_total{limit=site,result=allowed}", 10.0),
    ("tollgate_decisions_total{limit=trial,result=allowed}", 1.0),
    ("tollgate_decisions_total{limit=trial,result=would_refuse}", 1.0),
    ("tollgate_keys_full_total{limit=door}", 1.0),
    ("tollgate_keys_max{limit=calls}", 1e6),
    ("tollgate_keys_max{limit=door}", 1.0),
    ("tollgate_keys_max{limit=login}", 1e6),
    ("tollgate_keys_max{limit=site}", 1e6),
    ("tollgate_keys_max{limit=trial}", 1e6),
    ("tollgate_keys{limit=calls}", 1.0),
    ("tollgate_keys{limit=door}", 1.0),
    ("tollgate_keys{limit=login}", 1.0),
    ("tollgate_keys{limit=site}", 1.0),
    ("tollgate_keys{limit=trial}", 1.0),
    ("tollgate_penalties_active", 1.0),
    ("tollgate_penalties_total", 1.0),
    ("tollgate_policy_info{hash=HASH,version=1}", 1.0),
    ("tollgate_policy_last_reload_successful", 1.0),
    ("tollgate_policy_loaded_timestamp_seconds", 3600.0),
    ("tollgate_requests_total{outcome=allowed,route=door}", 1.0),
    ("tollgate_requests_total{outcome=allowed,route=items}", 2.0),
    ("tollgate_requests_total{outcome=allowed,route=login}", 2.0),
    ("tollgate_requests_total{outcome=allowed,route=none}", 1.0),
    ("tollgate_requests_total{outcome=ambiguous,route=login}", 1.0),
    ("tollgate_requests_total{outcome=blocked,route=items}", 1.0),
    ("tollgate_requests_total{outcome=error,route=login}", 1.0),
    ("tollgate_requests_total{outcome=exempt,route=items}", 1.0),
    ("tollgate_requests_total{outcome=penalty,route=items}", 1.0),
    ("tollgate_requests_total{outcome=refused,route=door}", 2.0),
    ("tollgate_requests_total{outcome=refused,route=items}", 3.0),
    ("tollgate_requests_total{outcome=refused,route=none}", 0.0),
];

#[test]
fn every_metric_by_name_and_labels() {
    let policy = policy(POLICY);
    // All series are there from the beginning.
    let names: Vec<String> = with_recorder(|snapshotter| {
        let _limiter = builder(&policy).0.build().unwrap();
        measured(snapshotter).into_keys().collect()
    });
    with_recorder(|snapshotter| {
        let limiter = builder(&policy).0.build().unwrap();
        run(&limiter);
        limiter.update_gauges();
        let after = measured(snapshotter);
        assert_eq!(names, after.keys().cloned().collect::<Vec<_>>());
        let found: Vec<(String, f64)> = after
            .into_iter()
            .filter(|(name, value)| *value != 0.0 || name.contains("refused,route=none"))
            .map(|(name, value)| (name.replace(policy.hash(), "HASH"), value))
            .collect();
        let expected: Vec<(String, f64)> =
            EXPECTED.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        assert_eq!(found, expected);
        // 4 routes with 7 outcomes, 5 limits with 7 series, 2 results of reloads, 7 results of
        // descriptors, and 6 others.
        assert_eq!(names.len(), 4 * 7 + 5 * 7 + 2 + 7 + 6);
    });
}

#[test]
fn explanations_are_not_counted() {
    with_recorder(|snapshotter| {
        let limiter = builder(&policy(POLICY)).0.build().unwrap();
        // This recorder begins anew at each reading.
        assert!(measured(snapshotter).values().any(|value| *value != 0.0));
        assert!(limiter.explain(&facts("/items/1").user("alice")).is_some());
        let after = measured(snapshotter);
        assert!(after.values().all(|value| *value == 0.0), "{after:?}");
    });
}

#[test]
fn reloads_are_counted_and_gauges_follow_the_policy() {
    with_recorder(|snapshotter| {
        let before = policy(POLICY);
        let (builder, clock) = builder(&before);
        let limiter = builder.build().unwrap();
        run(&limiter);
        clock.advance(Duration::from_secs(60));
        let after =
            policy(&POLICY.replace("\"trial\"]", "]").replace("limits.trial", "limits.try"));
        limiter.reload(&after).unwrap();
        limiter.reload_from_path("/there/is/no/such/file.toml").unwrap_err();
        let measured = measured(snapshotter);
        let value = |name: &str| measured.get(name).copied();
        let info = |hash: &str| value(&format!("tollgate_policy_info{{hash={hash},version=1}}"));
        assert_eq!((info(before.hash()), info(after.hash())), (Some(0.0), Some(1.0)));
        assert_eq!(value("tollgate_policy_reloads_total{result=success}"), Some(1.0));
        assert_eq!(value("tollgate_policy_reloads_total{result=error}"), Some(1.0));
        assert_eq!(value("tollgate_policy_last_reload_successful"), Some(0.0));
        assert_eq!(value("tollgate_policy_loaded_timestamp_seconds"), Some(3660.0));
        // Without anybody calling `update_gauges`.
        assert_eq!(value("tollgate_keys{limit=calls}"), Some(1.0));
        assert_eq!(value("tollgate_keys{limit=trial}"), Some(0.0));
        assert_eq!(value("tollgate_keys_max{limit=trial}"), Some(0.0));
        assert_eq!(value("tollgate_keys_max{limit=try}"), Some(1e6));
        // The penalty is over by now.
        assert_eq!(value("tollgate_penalties_active"), Some(0.0));
        // Counters go on.
        let allowed = "tollgate_decisions_total{limit=calls,result=allowed}";
        assert_eq!(value(allowed), Some(2.0));
    });
}

#[test]
fn the_last_reload_is_told() {
    let last = |reload: &dyn Fn(&HttpLimiter)| {
        with_recorder(|snapshotter| {
            let limiter = builder(&policy(POLICY)).0.build().unwrap();
            reload(&limiter);
            measured(snapshotter).get("tollgate_policy_last_reload_successful").copied()
        })
    };
    let fails = |limiter: &HttpLimiter| {
        limiter.reload_from_path("/there/is/no/such/file.toml").unwrap_err();
    };
    assert_eq!(last(&|_| {}), Some(1.0), "none has failed");
    assert_eq!(last(&fails), Some(0.0));
    let recovers = |limiter: &HttpLimiter| {
        fails(limiter);
        limiter.reload(&limiter.policy()).unwrap();
    };
    assert_eq!(last(&recovers), Some(1.0));
}

#[test]
fn the_bounds_of_the_histogram_rise() {
    assert!(DECISION_SECONDS_BUCKETS.windows(2).all(|bounds| bounds[0] < bounds[1]));
}

mod later {
    //! A store that answers later, or not at all.

    use std::sync::Arc;

    use tollgate_http::engine::Key;
    use tollgate_http::engine::store::{
        Buckets, Charge, LimitSpec, Memory, Reply, Store, StoreError, Verb,
    };
    use tollgate_http::{HttpLimiter, Outcome};

    use crate::measured::{measured, with_recorder};
    use crate::{facts, policy};

    /// Memory behind a network; `true`: which is broken.
    struct Far(Memory, bool);

    struct FarBuckets(Arc<dyn Buckets>, bool);

    impl Store for Far {
        fn open(&self, limits: &[LimitSpec]) -> Result<Arc<dyn Buckets>, StoreError> {
            Ok(Arc::new(FarBuckets(self.0.open(limits)?, self.1)))
        }
    }

    impl Buckets for FarBuckets {
        fn ask(&self, verb: Verb, charges: &mut [Charge]) -> Reply {
            let _ = self.0.ask(verb, charges);
            let broken = || StoreError::Unavailable("the cable is cut".into());
            let answers: Vec<_> = charges.iter().map(|charge| charge.answer).collect();
            let answers = if self.1 { Err(broken()) } else { Ok(answers) };
            Reply::Later(Box::pin(async {
                tokio::task::yield_now().await;
                answers
            }))
        }
        fn keys(&self, limit: usize) -> usize {
            self.0.keys(limit)
        }
        fn most_limited(&self, limit: usize, n: usize) -> Vec<(Key, u64)> {
            self.0.most_limited(limit, n)
        }
    }

    #[test]
    fn a_decision_is_counted_once_it_is_made() {
        with_recorder(|snapshotter| {
            let policy = policy("always = ['calls']\n[limits.calls]\nquota = '1/h'");
            let far = |is_broken| {
                let builder = HttpLimiter::builder(&policy).store(Far(Memory::new(), is_broken));
                builder.build().unwrap()
            };
            let decide = |limiter: &HttpLimiter| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(limiter.decide(&facts("/"))).outcome()
            };
            let limiter = far(false);
            drop(limiter.decide(&facts("/")));
            assert_eq!(decide(&limiter), Outcome::Refused, "the dropped one stays charged");
            assert_eq!(decide(&far(true)), Outcome::StoreFailed);
            let measured = measured(snapshotter);
            let value = |name: &str| measured.get(name).copied();
            let requests = |outcome| {
                value(&format!("tollgate_requests_total{{outcome={outcome},route=none}}"))
            };
            assert_eq!((requests("allowed"), requests("refused")), (Some(0.0), Some(1.0)));
            assert_eq!(requests("error"), Some(1.0));
            assert_eq!(value("tollgate_decision_seconds"), Some(2.0));
            let refused = "tollgate_decisions_total{limit=calls,result=refused}";
            assert_eq!(value(refused), Some(1.0));
        });
    }
}
