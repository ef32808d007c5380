//! A reset, a new quota and the end of a limiter hold for leases too.

use std::sync::Arc;

use tollgate::{CarryOver, Quota, RateLimiter};

use crate::crew::{Member, YOUNG, holders, limiter};

#[test]
fn nothing_passes_from_a_lease_once_the_limiter_is_closed() {
    let (limiter, _) = limiter(100, 8);
    let holders = holders(&limiter, 3);
    limiter.close();
    for holder in &holders {
        assert_eq!(holder.asks(&limiter, 5), 0);
        let limiter = Arc::clone(&limiter);
        assert!(!holder.does(move || limiter.allow_n(0)), "not even nothing");
    }
    assert_eq!(limiter.usage().denied, 15);
}

#[test]
fn a_reset_calls_leases_back() {
    let (limiter, clock) = limiter(100, 8);
    let holders = holders(&limiter, 3);
    limiter.reset();
    let usage = limiter.usage();
    assert_eq!((usage.used, usage.remaining), (0, 100));
    // Just what a full bucket has: what the holders had left is not there on top.
    let mut used = 0;
    for holder in &holders {
        used += holder.asks(&limiter, 5);
    }
    used += limiter.drain();
    clock.hand.advance(YOUNG);
    for holder in &holders {
        used += holder.asks(&limiter, 5);
    }
    assert_eq!(used, 100);
}

#[test]
fn a_new_quota_calls_leases_back() {
    for how in [CarryOver::Keep, CarryOver::Proportional] {
        let (limiter, _) = limiter(100, 8);
        let holders = holders(&limiter, 3); // hold three each, and used four each
        limiter.set_quota_with(Quota::per_day(1).burst(16 * 8 + 50), how).unwrap();
        let expected = if how == CarryOver::Keep { 50 - 12 } else { 50 - 6 };
        let held: u64 = holders.iter().map(|holder| holder.asks(&limiter, 3)).sum();
        if how == CarryOver::Proportional {
            assert_eq!(held + limiter.drain(), expected);
        } else {
            assert!(held + limiter.drain() <= 50);
        }
    }
}

#[test]
fn a_quota_that_leaves_no_burst_changes_nothing() {
    let (limiter, _) = limiter(100, 8);
    let holder = holders(&limiter, 1).pop().unwrap();
    assert!(limiter.set_quota(Quota::per_day(1).burst(16 * 8)).is_err());
    assert_eq!(limiter.quota(), Quota::per_day(1).burst(16 * 8 + 100));
    assert_eq!(holder.asks(&limiter, 200), 96);
}

#[test]
fn a_thread_that_is_torn_down_is_served_without_a_lease() {
    use std::cell::RefCell;
    use std::sync::mpsc::{Sender, channel};

    use crate::crew::Limiter;

    /// Asks once more when its thread ends.
    struct Late(Arc<Limiter>, Sender<u64>);

    impl Drop for Late {
        fn drop(&mut self) {
            let got = (0..10).map(|_| u64::from(self.0.allow())).sum();
            let _ = self.1.send(got);
        }
    }

    thread_local! {
        static LATE: RefCell<Vec<Late>> = const { RefCell::new(Vec::new()) };
    }

    let (limiter, _) = limiter(100, 8);
    for first in [true, false] {
        let (tell, told) = channel();
        let (asking, late) = (Arc::clone(&limiter), Arc::clone(&limiter));
        Member::new().does(move || {
            // Before and after the first use of a lease: of the two, one is dropped after it.
            if first {
                LATE.with_borrow_mut(|all| all.push(Late(late, tell)));
                let _ = asking.allow();
            } else {
                let _ = asking.allow();
                LATE.with_borrow_mut(|all| all.push(Late(late, tell)));
            }
        });
        assert_eq!(told.recv(), Ok(10));
    }
    assert_eq!(limiter.drain(), 100 - 22, "nothing stays with a thread that has ended");
}
