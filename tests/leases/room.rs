//! Who can hold a lease. A permit from a lease reads no clock, so readings tell leases from others.

use std::sync::Arc;

use tollgate::{Quota, RateLimiter, TokenBucket};

use crate::crew::{CountingClock, Limiter, Member, YOUNG, holders, limiter};

const PLENTY: u64 = 1_000_000;

/// Clock readings per 1,000 decisions of `member`, after its lease has grown.
fn readings(member: &Member, limiter: &Arc<Limiter>, clock: &CountingClock) -> u64 {
    assert_eq!(member.asks(limiter, 200), 200);
    let before = clock.readings();
    assert_eq!(member.asks(limiter, 1_000), 1_000);
    clock.readings() - before
}

#[test]
fn a_lease_reads_the_clock_once_a_batch() {
    let (limiter, clock) = limiter(PLENTY, 64);
    assert!(readings(&Member::new(), &limiter, &clock) <= 1_000 / 64 + 1);
}

/// They are the first threads of the process to be refused, and never end.
#[test]
fn threads_that_another_limiter_refused_take_no_room() {
    let other = Arc::new(TokenBucket::new(Quota::per_hour(1)).unwrap());
    let other_leased = Arc::new(TokenBucket::builder(Quota::per_hour(17)).build_leased(1).unwrap());
    let idlers: Vec<_> = (0..40).map(|_| Member::new()).collect();
    for idler in &idlers {
        let (other, other_leased) = (Arc::clone(&other), Arc::clone(&other_leased));
        let refused = idler.does(move || {
            (0..3).filter(|_| !other.allow()).count()
                + (0..3).filter(|_| !other_leased.allow()).count()
        });
        assert!(refused >= 4);
    }
    let (limiter, clock) = limiter(PLENTY, 64);
    let members: Vec<_> = (0..8).map(|_| Member::new()).collect();
    for member in &members {
        // All of them hold a lease. What is room for is looked at no more than once a moment.
        clock.hand.advance(YOUNG / 2);
        assert!(readings(member, &limiter, &clock) <= 1_000 / 32 + 1);
    }
    drop((idlers, members));
}

#[test]
fn threads_that_asked_once_take_no_room() {
    let (limiter, clock) = limiter(PLENTY, 64);
    let idlers: Vec<_> = (0..100).map(|_| Member::new()).collect();
    for idler in &idlers {
        assert_eq!(idler.asks(&limiter, 1), 1);
    }
    assert!(readings(&Member::new(), &limiter, &clock) <= 1_000 / 64 + 1);
    drop(idlers);
}

#[test]
fn threads_that_ask_rarely_hold_nothing() {
    let (limiter, clock) = limiter(PLENTY, 64);
    let member = Member::new();
    assert_eq!(member.asks(&limiter, 127), 127, "the last of 1 + 2 + … + 64");
    for _ in 0..100 {
        clock.hand.advance(100 * YOUNG);
        let before = clock.readings();
        assert_eq!(member.asks(&limiter, 1), 1);
        assert!(clock.readings() > before, "from the bucket, because nothing is in the lease");
    }
}

#[test]
fn a_lease_lasts_about_a_millisecond() {
    let (limiter, clock) = limiter(PLENTY, 64);
    let member = Member::new();
    member.asks(&limiter, 1_000);
    let mut from_leases = 0;
    for _ in 0..1_000 {
        // Ten permits a millisecond.
        clock.hand.advance(YOUNG / 10);
        let before = clock.readings();
        assert_eq!(member.asks(&limiter, 1), 1);
        from_leases += u64::from(clock.readings() == before);
    }
    assert!((800..=950).contains(&from_leases), "{from_leases}: leases of 5 to 20 permits");
}

#[test]
fn all_leases_together_hold_no_more_than_eight_batches() {
    let (limiter, _) = limiter(PLENTY, 64);
    let idlers: Vec<_> = (0..16).map(|_| Member::new()).collect();
    let used: u64 = idlers.iter().map(|idler| idler.asks(&limiter, 67)).sum();
    // Leases that were drawn just now are not called back for this one: it is in the bucket.
    assert!(limiter.allow_n(PLENTY - used - 8 * 64));
    drop(idlers);
}

#[test]
fn a_thread_without_room_does_not_keep_others_from_their_leases() {
    let (limiter, clock) = limiter(PLENTY, 64);
    clock.hand.advance(YOUNG);
    let idlers = holders(&limiter, 16);
    assert_eq!(Member::new().asks(&limiter, 100), 100);
    let readings = readings(&idlers[3], &limiter, &clock);
    assert!(readings <= 1_000 / 16, "{readings} of 1000");
}

/// Threads that stopped in the middle of a lease of a full batch, and never end.
#[test]
fn idle_holders_do_not_keep_others_from_leasing() {
    for (idle, most) in [(1, 16), (4, 17), (8, 60), (12, 500)] {
        let (limiter, clock) = limiter(PLENTY, 64);
        let idlers: Vec<_> = (0..idle).map(|_| Member::new()).collect();
        for idler in &idlers {
            // 1, 2, 4, … 64 permits, and 63 of the last draw are left.
            assert_eq!(idler.asks(&limiter, 64), 64);
        }
        clock.hand.advance(YOUNG);
        let readings = readings(&Member::new(), &limiter, &clock);
        assert!(readings <= most, "{idle} idle: {readings} of 1000");
        drop(idlers);
    }
}

#[test]
fn the_room_of_threads_that_have_ended_is_free() {
    let (limiter, clock) = limiter(PLENTY, 64);
    for _ in 0..50 {
        // Ends in the middle of a lease of a full batch.
        assert_eq!(Member::new().asks(&limiter, 67), 67);
    }
    // All rooms are looked at no more than once a moment.
    clock.hand.advance(YOUNG);
    assert!(readings(&Member::new(), &limiter, &clock) <= 1_000 / 64 + 1);
}

#[test]
fn a_thread_that_comes_back_leases_again() {
    let (limiter, clock) = limiter(PLENTY, 64);
    let holders = holders(&limiter, 16);
    assert!(limiter.try_acquire(PLENTY).is_err(), "all leases are called back");
    for holder in &holders {
        assert!(readings(holder, &limiter, &clock) <= 1_000 / 8);
        // Gives up what it holds.
        clock.hand.advance(100 * YOUNG);
        let limiter = Arc::clone(&limiter);
        holder.does(move || limiter.try_acquire(PLENTY).is_err());
    }
}

#[test]
fn twice_as_many_threads_as_there_is_room_for_get_what_there_is() {
    let (limiter, clock) = limiter(10_000, 16);
    let members: Vec<_> = (0..32).map(|_| Member::new()).collect();
    let mut used = 0;
    for round in 0..100 {
        for member in &members {
            used += member.asks(&limiter, 1 + round % 7);
        }
    }
    clock.hand.advance(YOUNG);
    used += members[31].asks(&limiter, 10_000);
    assert_eq!(used, 10_000);
    assert!(members.iter().all(|member| member.asks(&limiter, 1) == 0));
}
