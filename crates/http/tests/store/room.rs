//! How many keys are kept, and which were refused most.

use std::time::Duration;

use tollgate_http::engine::Part;
use tollgate_http::engine::store::{Verb, Verdict};
use tollgate_http::policy::WhenFull;

use crate::scene::{ALGORITHMS, GRANTED, Make, REFUSED, Scene, bucket, charge, limit};

/// New keys share one bucket if there is no room.
pub(crate) fn share(make: Make<'_>) {
    for algorithm in ALGORITHMS {
        let mut spec = limit("a", algorithm, &["3/h"]);
        spec.max_keys = 2;
        let scene = Scene::new(make, &[spec]);
        scene.take(&charge(0, "alice", 2));
        scene.take(&charge(0, "bob", 1));
        assert_eq!(scene.buckets.keys(0), 2);
        assert_eq!(scene.take(&charge(0, "carol", 2)).remaining, 1, "{algorithm:?}");
        assert_eq!(scene.take(&charge(0, "dave", 1)).remaining, 0, "{algorithm:?}");
        assert_eq!(scene.take(&charge(0, "erin", 1)).verdict, REFUSED, "{algorithm:?}");
        // Those who have a bucket keep it.
        assert_eq!(scene.take(&charge(0, "alice", 1)).remaining, 0);
        assert_eq!(scene.take(&charge(0, "bob", 1)).remaining, 1);
        assert_eq!(scene.buckets.keys(0), 2);
    }
}

/// New keys are refused if there is no room, and others take nothing then.
pub(crate) fn deny(make: Make<'_>) {
    for algorithm in ALGORITHMS {
        let mut spec = limit("a", algorithm, &["3/h"]);
        (spec.max_keys, spec.when_full) = (1, WhenFull::Deny);
        let scene = Scene::new(make, &[spec, bucket("b", &["5/h"])]);
        scene.take(&charge(0, "alice", 2));
        assert_eq!(scene.take(&charge(0, "bob", 1)).verdict, Verdict::Full, "{algorithm:?}");
        assert_eq!(scene.look(&charge(0, "bob", 1)).verdict, Verdict::Full, "{algorithm:?}");
        let answers = scene.ask(Verb::Take, &[charge(1, "bob", 1), charge(0, "bob", 1)]);
        assert_eq!((answers[0].verdict, answers[1].verdict), (GRANTED, Verdict::Full));
        assert_eq!(scene.left(&charge(1, "bob", 0)), 5);
        assert_eq!(scene.take(&charge(0, "alice", 1)).verdict, GRANTED);
        // When alice's bucket is full again, it makes room.
        scene.clock.advance(Duration::from_secs(7201));
        assert_eq!(scene.take(&charge(0, "bob", 1)).verdict, GRANTED, "{algorithm:?}");
    }
}

/// The keys that were refused most come first.
pub(crate) fn most_limited(make: Make<'_>) {
    let scene = Scene::new(make, &[bucket("a", &["2/h"]), bucket("b", &["2/h"])]);
    for (user, requests) in [("alice", 5), ("bob", 9), ("carol", 2), ("dave", 3)] {
        for _ in 0..requests {
            scene.take(&charge(0, user, 1));
        }
    }
    let worst = |n| {
        let worst = scene.buckets.most_limited(0, n).into_iter();
        worst.map(|(key, refused)| (key.parts().to_vec(), refused)).collect::<Vec<_>>()
    };
    let user = |name: &str| vec![Part::User(name.into())];
    assert_eq!(worst(2), [(user("bob"), 7), (user("alice"), 3)]);
    assert_eq!(worst(9).len(), 3);
    assert!(worst(0).is_empty());
    assert!(scene.buckets.most_limited(1, 9).is_empty());
}
