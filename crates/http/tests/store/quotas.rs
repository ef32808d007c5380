//! Quotas of the request: a key that is asked under several.

use std::time::Duration;

use tollgate_http::engine::store::Verb;

use crate::scene::{
    ALGORITHMS, GRANTED, Make, NEVER, REFUSED, Scene, bucket, charge, limit, under,
};

/// The used share carries over from quota to quota.
pub(crate) fn the_used_share_carries_over(make: Make<'_>) {
    let scene = Scene::new(make, &[bucket("a", &["10/h", "20/h", "100/h burst 1000"])]);
    scene.take(&charge(0, "alice", 6));
    assert_eq!(scene.take(&under(1, charge(0, "alice", 1))).remaining, 7);
    assert_eq!(scene.take(&under(2, charge(0, "alice", 0))).remaining, 350);
    assert_eq!(scene.left(&charge(0, "alice", 0)), 3);
    assert_eq!(scene.take(&under(1, charge(0, "alice", 8))).verdict, REFUSED);
    assert_eq!(scene.take(&under(1, charge(0, "alice", 7))).verdict, GRANTED);
    for quota in 0..3 {
        assert_eq!(scene.take(&under(quota, charge(0, "alice", 1))).verdict, REFUSED);
    }
}

/// To change quotas to and fro wins no permit. To look under another quota loses none of a token
/// bucket; windows count whole permits, and round what is used up.
pub(crate) fn to_and_fro(make: Make<'_>) {
    for algorithm in ALGORITHMS {
        let scene = Scene::new(make, &[limit("a", algorithm, &["10/h", "3/h", "1000/h"])]);
        scene.take(&charge(0, "alice", 4));
        for _ in 0..50 {
            for quota in [1, 2, 1, 0] {
                scene.ask(Verb::Look, &[under(quota, charge(0, "alice", 1))]);
            }
        }
        let left = scene.left(&charge(0, "alice", 0));
        let is_exact = algorithm == ALGORITHMS[0];
        assert!(if is_exact { left == 6 } else { left <= 6 }, "{algorithm:?}: {left}");
        let mut taken = 4_u64;
        for round in 0..200_usize {
            let quota = round % 2;
            let answer = scene.take(&under(quota, charge(0, "alice", 1)));
            // In permits of the larger quota, each permit of the smaller is worth 3.33.
            taken += if answer.refuses() { 0 } else { 1 + 2 * quota as u64 };
        }
        assert!(taken <= 10, "{algorithm:?}: {taken} of 10");
    }
}

/// What is looked for, given back or owed counts under the quota of the charge, whatever quota the
/// key was asked under last, and also if its bucket is full.
pub(crate) fn every_verb_is_under_its_quota(make: Make<'_>) {
    for algorithm in ALGORITHMS {
        let limits = [limit("a", algorithm, &["10/h", "1000/h"])];
        let scene = Scene::new(make, &limits);
        // A bucket that nobody has used.
        let answer = scene.look(&under(1, charge(0, "alice", 500)));
        assert_eq!((answer.verdict, answer.remaining), (GRANTED, 1000), "{algorithm:?}");
        assert_eq!(scene.look(&charge(0, "alice", 500)).verdict, NEVER, "{algorithm:?}");
        let answer = scene.ask(Verb::Consume, &[under(1, charge(0, "alice", 500))])[0];
        assert_eq!(answer.remaining, 500, "{algorithm:?}");
        assert_eq!(scene.left(&charge(0, "alice", 0)), 5, "{algorithm:?}");
        let answer = scene.take(&under(1, charge(0, "dave", 1001)));
        assert_eq!((answer.verdict, answer.remaining), (NEVER, 1000), "{algorithm:?}");
        // Debt: 1200 of 1000.
        let answer = scene.ask(Verb::Consume, &[under(1, charge(0, "carol", 1200))])[0];
        assert_eq!(answer.remaining, 0, "{algorithm:?}");
        scene.ask(Verb::Credit, &[under(1, charge(0, "carol", 300))]);
        assert_eq!(scene.left(&under(1, charge(0, "carol", 0))), 100, "{algorithm:?}");
        // Taken under the large quota, asked under the small one, given back under the large one.
        scene.take(&under(1, charge(0, "bob", 200)));
        assert_eq!(scene.take(&charge(0, "bob", 3)).remaining, 5, "{algorithm:?}");
        let answer = scene.ask(Verb::Credit, &[under(1, charge(0, "bob", 10))])[0];
        assert_eq!(answer.remaining, 510, "{algorithm:?}");
        assert_eq!(scene.left(&charge(0, "bob", 0)), 5, "{algorithm:?}");
    }
}

/// A bucket that has filled up again under one quota is full under all.
pub(crate) fn full_again(make: Make<'_>) {
    let scene = Scene::new(make, &[bucket("a", &["10/h", "1000/min"])]);
    scene.take(&under(1, charge(0, "alice", 1000)));
    scene.advance(60_000);
    let answer = scene.ask(Verb::Consume, &[under(1, charge(0, "alice", 1500))])[0];
    assert_eq!((answer.remaining, answer.full_after), (0, Duration::from_secs(90)));
    scene.advance(90_000);
    assert_eq!(scene.left(&charge(0, "alice", 0)), 10);
}
