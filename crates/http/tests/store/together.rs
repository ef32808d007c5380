//! Several charges in one question.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tollgate_http::engine::store::{Charge, Verb};

use crate::scene::{
    ALGORITHMS, GRANTED, Make, NEVER, REFUSED, Scene, ask, bucket, charge, limit, shadow, under,
};

/// Either all enforced charges take their permits, or none does; each that refuses says so.
pub(crate) fn all_or_nothing(make: Make<'_>) {
    let limits = [
        bucket("ten", &["10/h burst 10"]),
        bucket("three", &["60/h burst 3"]),
        bucket("one", &["30/h burst 1"]),
    ];
    let scene = Scene::new(make, &limits);
    let charges = [charge(0, "alice", 2), charge(1, "alice", 1), charge(2, "alice", 1)];
    let answers = scene.ask(Verb::Take, &charges);
    assert!(answers.iter().all(|answer| answer.verdict == GRANTED));
    assert_eq!(answers.iter().map(|answer| answer.remaining).collect::<Vec<_>>(), [8, 2, 0]);
    for _ in 0..3 {
        let answers = scene.ask(Verb::Take, &charges);
        let verdicts: Vec<_> = answers.iter().map(|answer| answer.verdict).collect();
        assert_eq!(verdicts, [GRANTED, GRANTED, REFUSED]);
        // What was not taken is told as it is.
        assert_eq!(answers.iter().map(|answer| answer.remaining).collect::<Vec<_>>(), [8, 2, 0]);
        assert_eq!(answers[2].wait, Duration::from_secs(120));
    }
    // Another key is another bucket.
    assert_eq!(scene.left(&charge(2, "bob", 1)), 1);
}

/// Every limit that refuses is reported, with its own wait.
pub(crate) fn each_refusal_has_its_own_wait(make: Make<'_>) {
    let limits = [
        bucket("slow", &["1/h"]),
        bucket("open", &["100/h"]),
        bucket("fast", &["1/min"]),
        bucket("small", &["5/h burst 5"]),
    ];
    let scene = Scene::new(make, &limits);
    scene.ask(Verb::Take, &[charge(0, "alice", 1), charge(2, "alice", 1)]);
    let answers = scene.ask(
        Verb::Take,
        &[
            charge(0, "alice", 1),
            charge(1, "alice", 1),
            charge(2, "alice", 1),
            charge(3, "alice", 6),
        ],
    );
    let verdicts: Vec<_> = answers.iter().map(|answer| answer.verdict).collect();
    assert_eq!(verdicts, [REFUSED, GRANTED, REFUSED, NEVER]);
    assert_eq!(answers[0].wait, Duration::from_secs(3600));
    assert_eq!(answers[2].wait, Duration::from_secs(60));
    assert_eq!(answers[1].remaining, 100);
    assert_eq!(answers[3].remaining, 5);
}

/// Limits of all algorithms are decided together too.
pub(crate) fn algorithms_together(make: Make<'_>) {
    for refusing in 0..ALGORITHMS.len() {
        let limits =
            ALGORITHMS.map(|algorithm| limit(&format!("{algorithm:?}"), algorithm, &["5/h"]));
        let scene = Scene::new(make, &limits);
        let charges: Vec<Charge> = (0..4).map(|index| charge(index, "alice", 1)).collect();
        scene.take(&charge(refusing, "alice", 5));
        let answers = scene.ask(Verb::Take, &charges);
        for (index, answer) in answers.iter().enumerate() {
            let expected = if index == refusing { (REFUSED, 0) } else { (GRANTED, 5) };
            assert_eq!(
                (answer.verdict, answer.remaining),
                expected,
                "{}",
                limits[index].identity.name
            );
        }
    }
}

/// A shadow charge takes only if the request is let through, each alone, and refuses nobody.
pub(crate) fn shadow_charges(make: Make<'_>) {
    let limits = [bucket("real", &["2/h"]), bucket("a", &["1/h"]), bucket("b", &["9/h"])];
    let scene = Scene::new(make, &limits);
    let charges =
        [shadow(charge(1, "alice", 1)), charge(0, "alice", 1), shadow(charge(2, "alice", 1))];
    let answers = scene.ask(Verb::Take, &charges);
    assert_eq!(answers.iter().map(|answer| answer.remaining).collect::<Vec<_>>(), [0, 1, 8]);
    // `a` would refuse: the others take nevertheless.
    let answers = scene.ask(Verb::Take, &charges);
    let verdicts: Vec<_> = answers.iter().map(|answer| answer.verdict).collect();
    assert_eq!(verdicts, [REFUSED, GRANTED, GRANTED]);
    assert_eq!(answers[0].wait, Duration::from_secs(3600));
    assert_eq!(answers[2].remaining, 7);
    // `real` refuses: the shadow limits are not asked.
    let answers = scene.ask(Verb::Take, &charges);
    assert_eq!(answers[1].verdict, REFUSED);
    assert!(!answers[0].refuses() && !answers[2].refuses());
    assert_eq!(scene.left(&charge(2, "alice", 0)), 7);
    // Only shadow charges.
    let answers = scene.ask(Verb::Take, &[charges[0].clone(), charges[2].clone()]);
    assert_eq!((answers[0].verdict, answers[1].remaining), (REFUSED, 6));
}

/// A question without charges is answered.
pub(crate) fn no_charges(make: Make<'_>) {
    let scene = Scene::new(make, &[bucket("a", &["1/h"])]);
    for verb in [Verb::Take, Verb::Look, Verb::Credit, Verb::Consume] {
        assert!(scene.ask(verb, &[]).is_empty());
    }
}

/// Threads that ask for two limits at once, in different orders and under different quotas, take
/// exactly what there is.
pub(crate) fn threads_conserve_permits(make: Make<'_>) {
    const EACH: u64 = 400;
    let limits = [
        bucket("small", &["1000/day burst 1000"]),
        bucket("large", &["5000/day burst 5000", "10000/day burst 10000"]),
        limit("window", ALGORITHMS[1], &["100000/day"]),
    ];
    let scene = Scene::new(make, &limits);
    let granted = AtomicU64::new(0);
    let refused_alone = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (buckets, granted) = (Arc::clone(&scene.buckets), &granted);
            let refused_alone = &refused_alone;
            scope.spawn(move || {
                for round in 0..EACH {
                    let mut charges =
                        vec![charge(0, "all", 1), charge(1, "all", 1), charge(2, "all", 1)];
                    if (thread + round) % 2 == 0 {
                        charges.reverse();
                    }
                    let answers = ask(&*buckets, Verb::Take, &charges).expect("an answer");
                    if answers.iter().all(|answer| !answer.refuses()) {
                        granted.fetch_add(1, Ordering::Relaxed);
                    } else {
                        let refusing = charges.iter().zip(&answers).filter(|(_, a)| a.refuses());
                        assert!(refusing.map(|(charge, _)| charge.limit).eq([0]));
                        refused_alone.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    // The clock stands still, so nothing was refilled.
    assert_eq!(granted.into_inner(), 1000);
    assert_eq!(refused_alone.into_inner(), 8 * EACH - 1000);
    assert_eq!(scene.left(&charge(0, "all", 0)), 0);
    assert_eq!(scene.left(&charge(1, "all", 0)), 4000);
    assert_eq!(scene.left(&charge(2, "all", 0)), 99_000);
    assert_eq!(scene.left(&under(1, charge(1, "all", 0))), 8000);
}

/// A permit that is taken, given back or owed by several threads at once is counted once.
pub(crate) fn threads_give_back(make: Make<'_>) {
    let scene = Scene::new(make, &[bucket("a", &["100000/day burst 100000"])]);
    scene.take(&charge(0, "all", 50_000));
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let buckets = Arc::clone(&scene.buckets);
            scope.spawn(move || {
                for _ in 0..500 {
                    let verb = [Verb::Take, Verb::Consume, Verb::Credit, Verb::Look]
                        [usize::try_from(thread % 4).unwrap_or(0)];
                    ask(&*buckets, verb, &[charge(0, "all", 3)]).expect("an answer");
                }
            });
        }
    });
    // Two threads of each kind: 3000 taken, 3000 owed, 3000 given back.
    assert_eq!(scene.left(&charge(0, "all", 0)), 50_000 - 3000);
}
