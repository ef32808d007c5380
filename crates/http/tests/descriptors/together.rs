//! Several descriptors of one request: their permits are taken together, or not at all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tollgate_http::{HttpLimiter, Outcome};

use crate::scene::{limiter, policy};
use crate::{allowed, decide, left};

pub(crate) const POLICY: &str = r#"
    [limits.site]
    quota = "10/1000days"
    [limits.per_client]
    quota = "3/1000days"
    key = "entry:remote_address"
    [limits.trial]
    quota = "1/1000days"
    mode = "shadow"
    [limits.tokens]
    quota = "100/1000days"
    key = "entry:user"
    [[descriptors]]
    domain = "edge"
    entries = ["generic_key=all"]
    limits = ["site", "trial"]
    [[descriptors]]
    domain = "edge"
    entries = ["remote_address"]
    limits = ["per_client"]
    [[descriptors]]
    domain = "edge"
    entries = ["remote_address", "path"]
    limits = ["per_client"]
    [[descriptors]]
    domain = "edge"
    entries = ["path=/internal/*"]
    blocked = true
    [[descriptors]]
    domain = "edge"
    entries = ["user"]
    limits = ["tokens"]
    owe = true
"#;

pub(crate) const ALL: &[(&str, &str)] = &[("generic_key", "all")];
pub(crate) const ONE: &[(&str, &str)] = &[("remote_address", "192.0.2.1")];
pub(crate) const TWO: &[(&str, &str)] = &[("remote_address", "192.0.2.2")];
pub(crate) const ONE_PATH: &[(&str, &str)] = &[("remote_address", "192.0.2.1"), ("path", "/")];
pub(crate) const BLOCKED: &[(&str, &str)] = &[("path", "/internal/x")];
pub(crate) const ALICE: &[(&str, &str)] = &[("user", "alice")];
const NOBODY: &[(&str, &str)] = &[("nobody", "x")];

fn scene() -> HttpLimiter {
    limiter(&policy(POLICY)).0
}

#[test]
fn one_that_is_over_its_limit_makes_the_others_take_nothing() {
    let limiter = scene();
    for n in 1..=3 {
        let decided = decide(&limiter, &[(ALL, 1), (ONE, 1), (NOBODY, 1)]);
        assert!(decided.is_allowed());
        assert_eq!(left(&decided), [10 - n, 3 - n, u64::MAX]);
    }
    let refused = decide(&limiter, &[(ALL, 1), (ONE, 1), (NOBODY, 1)]);
    assert_eq!(allowed(&refused), [true, false, true]);
    assert_eq!(left(&refused), [7, 0, u64::MAX]);
    let over = refused.most_limiting().expect("a descriptor is over its limit").decision();
    assert_eq!(over.refused_by().collect::<Vec<_>>(), ["per_client"]);
    assert!(over.retry_after() > Some(Duration::from_secs(86_400 * 300)));
    // The other client still passes, and nothing was taken meanwhile.
    assert_eq!(left(&decide(&limiter, &[(ALL, 1), (TWO, 1)])), [6, 2]);
}

#[test]
fn descriptors_with_the_same_bucket_take_their_sum() {
    let limiter = scene();
    assert_eq!(allowed(&decide(&limiter, &[(ONE, 2), (ONE_PATH, 2)])), [true, false]);
    assert_eq!(left(&decide(&limiter, &[(ONE, 1), (ONE_PATH, 2)])), [2, 0]);
}

#[test]
fn hits_are_permits_and_none_is_a_look() {
    let limiter = scene();
    assert_eq!(left(&decide(&limiter, &[(ONE, 2)])), [1]);
    for _ in 0..3 {
        let look = decide(&limiter, &[(ONE, 0)]);
        assert_eq!((allowed(&look), left(&look)), (vec![true], vec![1]));
    }
    let never = decide(&limiter, &[(ONE, 4)]);
    assert_eq!(allowed(&never), [false]);
    assert_eq!(never.descriptors()[0].decision().retry_after(), None);
    assert_eq!(left(&decide(&limiter, &[(ONE, 1)])), [0]);
    // Over its limit, because no permit is left. So the other one takes nothing.
    let look = decide(&limiter, &[(ALL, 1), (ONE, 0)]);
    assert_eq!((allowed(&look), left(&look)), (vec![true, false], vec![10, 0]));
    assert!(decide(&limiter, &[(ALL, 1), (TWO, 0)]).is_allowed());
    assert_eq!(left(&decide(&limiter, &[(ALL, 0), (TWO, 1)])), [9, 2]);
}

#[test]
fn a_blocked_descriptor_makes_the_others_take_nothing() {
    let limiter = scene();
    let decided = decide(&limiter, &[(ALL, 1), (BLOCKED, 1), (ONE, 4)]);
    assert_eq!(allowed(&decided), [true, false, false]);
    let blocked = decided.descriptors()[1].decision();
    assert_eq!((blocked.outcome(), blocked.retry_after()), (Outcome::Blocked, None));
    assert_eq!(left(&decide(&limiter, &[(ALL, 1), (ONE, 1)])), [9, 2]);
}

#[test]
fn a_shadow_limit_only_tells() {
    let limiter = scene();
    let would = |decided: &tollgate_http::engine::DescriptorsDecision| {
        decided.descriptors()[0].decision().would_refuse().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(would(&decide(&limiter, &[(ALL, 1)])), Vec::<String>::new());
    let second = decide(&limiter, &[(ALL, 1)]);
    assert!(second.is_allowed());
    assert_eq!(would(&second), ["trial"]);
}

#[test]
fn hits_become_debt_as_long_as_a_permit_is_left() {
    let limiter = scene();
    let one = decide(&limiter, &[(ALICE, 99)]);
    assert_eq!((allowed(&one), left(&one)), (vec![true], vec![1]));
    assert_eq!(one.descriptors()[0].decision().limits().next().map(|limit| limit.cost()), Some(99));
    // One is left, so this passes, and the next one has to wait for what it owes.
    let in_debt = decide(&limiter, &[(ALICE, 201)]);
    assert_eq!((allowed(&in_debt), left(&in_debt)), (vec![true], vec![0]));
    let refused = decide(&limiter, &[(ALICE, 1)]);
    assert_eq!(allowed(&refused), [false]);
    let day = 86_400;
    let wait = refused.descriptors()[0].decision().retry_after().expect("a wait").as_secs() / day;
    assert_eq!(wait, 10 * 201, "200 that are owed and one, each in ten days");
    assert_eq!(allowed(&decide(&limiter, &[(ALICE, 0)])), [false]);
    // If another one is over its limit, nothing is owed.
    assert_eq!(allowed(&decide(&limiter, &[(&[("user", "bob")], 150), (ONE, 4)])), [true, false]);
    assert_eq!(left(&decide(&limiter, &[(&[("user", "bob")], 1)])), [99]);
}

#[test]
fn permits_are_given_back_if_no_other_descriptor_is_over_its_limit() {
    use tollgate_http::engine::Descriptor;

    let limiter = scene();
    let ask = |back: u64, one: u64| {
        let descriptors =
            [Descriptor::new(ALL).hits(back).give_back(), Descriptor::new(ONE).hits(one)];
        limiter.decide_descriptors("edge", &descriptors).now().expect("memory answers at once")
    };
    assert_eq!(left(&decide(&limiter, &[(ALL, 6)])), [4]);
    assert_eq!(left(&ask(2, 1)), [6, 2]);
    let refused = ask(2, 3);
    assert_eq!((allowed(&refused), left(&refused)), (vec![true, false], vec![6, 2]));
    assert_eq!(left(&ask(0, 1)), [6, 1]);
    assert_eq!(left(&ask(99, 0)), [10, 1]);
    assert!(decide(&limiter, &[(ALL, 10)]).is_allowed());
    let refused = ask(3, 4);
    assert_eq!((allowed(&refused), left(&refused)), (vec![true, false], vec![0, 1]));
    // A bucket of which all is in use can be given back to.
    assert_eq!(
        (allowed(&ask(3, 1)), left(&decide(&limiter, &[(ALL, 0)]))),
        (vec![true, true], vec![3])
    );
}

#[test]
fn threads_never_take_more_than_there_is() {
    let limiter = limiter(&policy(&POLICY.replace("\"10/", "\"1000/").replace("\"3/", "\"600/"))).0;
    let (passed, clients) = (AtomicU64::new(0), [ONE, TWO]);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (limiter, passed) = (&limiter, &passed);
            scope.spawn(move || {
                for _ in 0..500 {
                    let client = clients[thread % 2];
                    let decided = decide(limiter, &[(ALL, 1), (client, 1)]);
                    passed.fetch_add(u64::from(decided.is_allowed()), Ordering::Relaxed);
                }
            });
        }
    });
    let passed = passed.into_inner();
    assert_eq!(passed, 1000);
    let clients = left(&decide(&limiter, &[(ONE, 0), (TWO, 0)]));
    assert_eq!(clients.iter().sum::<u64>(), 1200 - passed, "nothing was taken without the other");
}

#[test]
fn modes_of_the_whole_policy() {
    let off = limiter(&policy(&format!("mode = 'off'\n{POLICY}"))).0;
    let shadow = limiter(&policy(&format!("mode = 'shadow'\n{POLICY}"))).0;
    for _ in 0..5 {
        assert!(decide(&off, &[(ONE, 2), (BLOCKED, 1)]).is_allowed());
        assert!(decide(&shadow, &[(ONE, 2), (BLOCKED, 1)]).is_allowed());
    }
    let told = decide(&shadow, &[(ONE, 2), (BLOCKED, 1)]);
    let outcomes: Vec<Outcome> =
        told.descriptors().iter().map(|descriptor| descriptor.decision().outcome()).collect();
    assert_eq!(outcomes, [Outcome::Allowed, Outcome::Blocked]);
    assert_eq!(told.descriptors()[0].decision().would_refuse().count(), 1);
}

#[test]
fn several_entries_of_one_name_are_one_part_of_the_key() {
    let text = "[limits.a]\nquota = '1/h'\nkey = 'entry:k'\n[[descriptors]]\ndomain = 'edge'\n\
                entries = ['k', 'k']\nlimits = ['a']\n[[descriptors]]\ndomain = 'edge'\n\
                entries = ['k']\nlimits = ['a']";
    let limiter = limiter(&policy(text)).0;
    for entries in [
        &[("k", "a"), ("k", "b")][..],
        &[("k", "b"), ("k", "a")],
        &[("k", "a, b")],
        &[("k", "a")],
        &[("k", "")],
        &[("k", ""), ("k", "")],
    ] {
        assert!(decide(&limiter, &[(entries, 1)]).is_allowed(), "{entries:?}");
        assert!(!decide(&limiter, &[(entries, 1)]).is_allowed(), "{entries:?}");
    }
    let long = "x".repeat(1 << 16);
    let long_too = format!("{long}y");
    for entries in [[("k", long.as_str())], [("k", long_too.as_str())]] {
        let decided = decide(&limiter, &[(&entries, 1)]);
        let key = decided.descriptors()[0].decision().limits().next().expect("a limit").key();
        assert!(decided.is_allowed() && key.to_string().len() < 64, "{key}");
    }
}
