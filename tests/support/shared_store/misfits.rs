//! What a store does not accept.

use std::time::Duration;

use tollgate::shared::store::{
    Ask, Charge, LimitSpec, Namespace, OpenError, Part, Rule, StoreError, Verb,
};
use tollgate::{Quota, QuotaError};

use super::StoreUnderTest;
use super::scene::{Scene, ask, ask_all, part};

const TEN: Quota = Quota::per_minute(10);

fn limit(name: &str) -> LimitSpec {
    LimitSpec::new(name, Rule::TokenBucket, TEN)
}

pub(crate) fn bad_namespaces_are_refused(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let mut no_quota = limit("requests");
    no_quota.quotas.clear();
    let mut unlimited = limit("requests");
    unlimited.quotas.push(Quota::unlimited());
    let nine = (0..9).map(|number| limit(&number.to_string())).collect();
    let twice = vec![limit("a"), limit("b"), limit("a")];
    for limits in [Vec::new(), nine, twice, vec![no_quota], vec![unlimited]] {
        let good = Namespace::new("good", vec![limit("requests")]);
        let error = scene.store.open(&[good, Namespace::new("bad", limits)]).err();
        let Some(OpenError::Namespace { namespace, .. }) = error else { panic!("{error:?}") };
        assert_eq!(namespace, "bad");
    }
    let eight = (0..8).map(|number| limit(&number.to_string())).collect();
    assert!(scene.store.open(&[Namespace::new("good", eight)]).is_ok());
    assert!(scene.store.open(&[]).is_ok());
}

pub(crate) fn bad_quotas_are_refused(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let open = |rule, quota| {
        let mut limit = LimitSpec::new("requests", rule, TEN);
        limit.quotas.push(quota);
        scene.store.open(&[Namespace::new("users", vec![limit])]).err()
    };
    for rule in store.rules() {
        assert_eq!(open(rule, TEN), None);
        for (quota, expected) in [
            (Quota::per_second(0), QuotaError::ZeroRate),
            (Quota::per(1, Duration::ZERO), QuotaError::ZeroPeriod),
            (TEN.burst(0), QuotaError::ZeroBurst),
            (Quota::per(1, Duration::MAX), QuotaError::PeriodTooLong),
        ] {
            match open(rule, quota) {
                Some(OpenError::Quota { namespace, limit, error }) => {
                    assert_eq!((&*namespace, &*limit, error), ("users", "requests", expected));
                }
                other => panic!("{quota}: {other:?}"),
            }
        }
        let with_burst = open(rule, TEN.burst(11));
        let is_refused = matches!(
            with_burst,
            Some(OpenError::Quota { error: QuotaError::BurstUnsupported, .. })
        );
        assert_eq!(is_refused, rule != Rule::TokenBucket, "{rule:?}: {with_burst:?}");
    }
}

pub(crate) fn an_ask_that_does_not_fit_takes_nothing(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    let mut no_such_quota = Charge::new(1);
    no_such_quota.quota = 1;
    let mut nobody = ask(Verb::Take, 1, "alice", &[1]);
    nobody.parts.clear();
    let mut asks = vec![nobody];
    let bad = [
        part("alice", &[]),
        part("alice", &[1, 1]),
        Part::new(0, "alice", [no_such_quota]),
        Part::new(1, "alice", [Charge::new(1)]),
        Part::new(usize::MAX, "alice", [Charge::new(1)]),
    ];
    for part in bad {
        for verb in [Verb::Take, Verb::Consume, Verb::Look, Verb::HandBack, Verb::Reset] {
            asks.push(Ask::new(verb, 1, part.clone()));
            let good = super::scene::part("alice", &[1]);
            asks.push(ask_all(verb, 1, [good, part.clone()]));
        }
    }
    for ask in asks {
        let shown = format!("{ask:?}");
        let answer = users.try_ask(ask);
        assert!(matches!(answer, Err(StoreError::Misfit(_))), "{shown}: {answer:?}");
    }
    assert_eq!(users.left("alice", 1), [10]);
}
