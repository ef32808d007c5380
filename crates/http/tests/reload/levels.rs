//! Which levels a reload keeps (rule L3).

use std::time::Duration;

use crate::{decide, facts, limiter, policy, remaining_after};

/// A policy with one limit per user.
fn calls(settings: &str) -> tollgate_http::Policy {
    policy(&format!("always = ['calls']\n[limits.calls]\n{settings}"))
}

const TEN: &str = "quota = '10/h'\nkey = 'user'\nmissing = 'share'\n";

#[test]
fn a_new_quota_carries_the_used_share_over() {
    let (limiter, _clock) = limiter(&calls(TEN));
    assert_eq!(remaining_after(&limiter, "alice", 6), 4);
    limiter.reload(&calls(&TEN.replace("10/h", "20/h"))).unwrap();
    // 6 of 10 are 12 of 20, and one more is taken.
    assert_eq!(remaining_after(&limiter, "alice", 1), 7);
    assert_eq!(remaining_after(&limiter, "bob", 1), 19);
    // 13 of 20 are 6.5 of 10: 3.5 are left, and one more is taken.
    limiter.reload(&calls(TEN)).unwrap();
    assert_eq!(remaining_after(&limiter, "alice", 1), 2);
}

#[test]
fn a_new_quota_of_a_tier_carries_the_used_share_over() {
    let tiers = |quota: &str| {
        let tier = format!("[tiers.premium]\ncalls = '{quota}'\n");
        policy(&format!(
            "always = ['calls']\ndefault_tier = 'premium'\n[limits.calls]\n{TEN}{tier}"
        ))
    };
    let (limiter, _clock) = limiter(&tiers("100/h"));
    assert_eq!(remaining_after(&limiter, "alice", 60), 40);
    limiter.reload(&tiers("200/h")).unwrap();
    assert_eq!(remaining_after(&limiter, "alice", 1), 79);
    // Without the tier: 121 of 200 are 6.05 of 10.
    limiter.reload(&calls(TEN)).unwrap();
    assert_eq!(remaining_after(&limiter, "alice", 1), 2);
}

#[test]
fn a_new_quota_of_a_subject_carries_the_used_share_over() {
    let subject = |quota: &str| {
        let entry = format!("[[subjects]]\nuser = 'alice'\nlimits = {{ calls = '{quota}' }}\n");
        policy(&format!("always = ['calls']\n[limits.calls]\n{TEN}{entry}"))
    };
    let (limiter, _clock) = limiter(&subject("50/h"));
    assert_eq!(remaining_after(&limiter, "alice", 30), 20);
    assert_eq!(remaining_after(&limiter, "bob", 1), 9);
    limiter.reload(&subject("100/h")).unwrap();
    assert_eq!(remaining_after(&limiter, "alice", 1), 39);
    assert_eq!(remaining_after(&limiter, "bob", 1), 8);
}

#[test]
fn another_key_algorithm_or_prefix_begins_full() {
    let changed = [
        "quota = '10/h'\nkey = 'caller'\n",
        "quota = '10/h'\nkey = 'user'\nmissing = 'share'\nalgorithm = 'fixed-window'\n",
        "quota = '10/h'\nkey = 'user'\nmissing = 'share'\nipv6_prefix = 48\n",
        "quota = '10/h'\nkey = 'user'\nmissing = 'share'\nwhen_full = 'deny'\n",
    ];
    for changed in changed {
        let (limiter, _clock) = limiter(&calls(TEN));
        assert_eq!(remaining_after(&limiter, "alice", 6), 4);
        let told = limiter.reload(&calls(changed)).unwrap();
        assert_eq!(told.restarted().collect::<Vec<_>>(), ["calls"], "{changed}");
        assert_eq!(remaining_after(&limiter, "alice", 1), 9, "{changed}");
    }
}

#[test]
fn other_settings_keep_the_levels() {
    let changed = ["max_keys = 7\n", "status = 503\n", "mode = 'shadow'\n"];
    for changed in changed {
        let (limiter, _clock) = limiter(&calls(TEN));
        assert_eq!(remaining_after(&limiter, "alice", 6), 4);
        let told = limiter.reload(&calls(&format!("{TEN}{changed}"))).unwrap();
        assert_eq!(told.kept().collect::<Vec<_>>(), ["calls"], "{changed}");
        assert_eq!(told.limit_settings(), 1, "{changed}");
        assert_eq!(remaining_after(&limiter, "alice", 1), 3, "{changed}");
    }
}

#[test]
fn a_new_max_keys_counts_from_now_on() {
    let room = |keys: u8| calls(&format!("{TEN}max_keys = {keys}\nwhen_full = 'deny'\n"));
    let (limiter, _clock) = limiter(&room(1));
    let status = |user: &str| decide(&limiter, &facts("/").user(user)).status();
    assert_eq!((status("alice"), status("bob")), (None, Some(503)));
    limiter.reload(&room(2)).unwrap();
    assert_eq!((status("bob"), status("carol")), (None, Some(503)));
    // Whoever is there stays.
    limiter.reload(&room(1)).unwrap();
    assert_eq!((status("alice"), status("bob"), status("carol")), (None, None, Some(503)));
    assert_eq!(remaining_after(&limiter, "alice", 1), 7);
}

#[test]
fn a_limit_that_was_away_begins_full_even_if_a_request_still_uses_it() {
    let (limiter, _clock) = limiter(&calls(TEN));
    assert_eq!(remaining_after(&limiter, "alice", 6), 4);
    let in_flight = decide(&limiter, &facts("/").user("alice"));
    let changes = limiter.reload(&policy("")).unwrap();
    assert_eq!(changes.ended().collect::<Vec<_>>(), ["calls"]);
    let changes = limiter.reload(&calls(TEN)).unwrap();
    assert_eq!(changes.new_limits().collect::<Vec<_>>(), ["calls"]);
    assert_eq!(remaining_after(&limiter, "alice", 1), 9);
    drop(in_flight);
    assert_eq!(remaining_after(&limiter, "alice", 1), 8);
}

#[test]
fn a_request_ends_under_the_policy_with_which_it_began() {
    let charge = |status: u16, name: &str| {
        let route =
            format!("[[routes]]\nname = '{name}'\npath = '/{{*rest}}'\nlimits = ['calls']\n");
        policy(&format!("{route}charge = [{status}]\n[limits.calls]\n{TEN}"))
    };
    let (limiter, _clock) = limiter(&charge(401, "old"));
    let mut in_flight = decide(&limiter, &facts("/").user("alice"));
    let mut other = decide(&limiter, &facts("/").user("alice"));
    limiter.reload(&charge(200, "new")).unwrap();
    assert_eq!(in_flight.route(), Some("old"));
    // Under the new policy, 200 would be charged, and 401 would not.
    limiter.answered(&mut in_flight, 200);
    limiter.answered(&mut other, 401);
    let mut next = decide(&limiter, &facts("/").user("alice"));
    assert_eq!(next.route(), Some("new"));
    assert_eq!(next.limits().next().unwrap().remaining(), 8, "one of the two was charged");
    limiter.answered(&mut next, 200);
    assert_eq!(remaining_after(&limiter, "alice", 1), 7);
}

#[test]
fn a_policy_that_the_store_refuses_changes_nothing() {
    use std::sync::Arc;
    use tollgate_http::engine::store::{Buckets, LimitSpec, Memory, Store, StoreError};

    /// Memory that has no place for a limit of this name.
    struct Picky(Memory);

    impl Store for Picky {
        fn open(&self, limits: &[LimitSpec]) -> Result<Arc<dyn Buckets>, StoreError> {
            if limits.iter().any(|limit| &*limit.identity.name == "huge") {
                return Err(StoreError::Unavailable("no room for `huge`".into()));
            }
            self.0.open(limits)
        }
    }

    let builder = tollgate_http::HttpLimiter::builder(&calls(TEN));
    let limiter = builder.store(Picky(Memory::new())).build().unwrap();
    remaining_after(&limiter, "alice", 6);
    let error =
        limiter.reload(&policy("always = ['huge']\n[limits.huge]\nquota = '9/h'")).unwrap_err();
    assert!(error.to_string().contains("no room for `huge`"), "{error}");
    let status = limiter.reload_status();
    assert_eq!((status.reloads(), status.failures()), (0, 1));
    assert_eq!(limiter.policy(), calls(TEN));
    assert_eq!(remaining_after(&limiter, "alice", 1), 3);
}

#[test]
fn penalties_stay_and_end_when_they_would_have_ended() {
    let text = format!(
        "always = ['calls']\n[limits.calls]\n{}[penalty]\nkey = 'user'\nafter = '1/h'\n\
         block = '1min'\nmax = '1h'\nforget = '1day'\n",
        TEN.replace("10/h", "1/h")
    );
    let (limiter, clock) = limiter(&policy(&text));
    remaining_after(&limiter, "mallory", 3);
    assert_eq!(limiter.penalties()[0].1, Duration::from_secs(60));
    clock.advance(Duration::from_secs(20));
    // The penalty of a caller does not become longer by a reload.
    limiter.reload(&policy(&text.replace("1min", "5min"))).unwrap();
    let refused = decide(&limiter, &facts("/").user("mallory"));
    assert!(refused.is_penalty());
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(40)));
}
