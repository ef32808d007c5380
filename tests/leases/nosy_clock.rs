//! The clock is foreign code: it is read while no lock is held, so it may call the limiter.

use std::cell::Cell;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tollgate::{Clock, LeasedTokenBucket, ManualClock, Quota, RateLimiter, Timestamp, TokenBucket};

use crate::crew::{Member, YOUNG};

type Limiter = LeasedTokenBucket<NosyClock>;

/// Looks at its limiter, and draws from it, whenever it is read.
#[derive(Clone, Debug, Default)]
struct NosyClock {
    hand: ManualClock,
    limiter: Arc<OnceLock<Weak<Limiter>>>,
}

thread_local! {
    /// Whether this thread is within the clock: the limiter reads it again.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

impl Clock for NosyClock {
    fn now(&self) -> Timestamp {
        if let Some(limiter) = self.limiter.get().and_then(Weak::upgrade) {
            if !WITHIN.replace(true) {
                limiter.usage();
                let _ = limiter.allow();
                WITHIN.set(false);
            }
        }
        self.hand.now()
    }

    fn wake_at(&self, deadline: Timestamp, waker: &std::task::Waker) -> bool {
        self.hand.wake_at(deadline, waker)
    }
}

#[test]
fn a_clock_may_call_the_limiter_that_reads_it() {
    let clock = NosyClock::default();
    let builder = TokenBucket::builder(Quota::per_day(1).burst(16 * 8 + 1_000));
    let limiter = Arc::new(builder.clock(clock.clone()).build_leased(8).unwrap());
    clock.limiter.set(Arc::downgrade(&limiter)).unwrap();
    let (holder, asking) = (Member::new(), Member::new());
    let verbs: [fn(&Limiter); 11] = [
        |limiter| (0..20).for_each(|_| assert!(limiter.allow())),
        |limiter| assert!(!limiter.allow_n(2_000)),
        |limiter| assert!(limiter.allow_n(20)),
        |limiter| assert!(limiter.try_acquire(999).is_err()),
        |limiter| assert!(limiter.delay_for(999).is_ok()),
        |limiter| assert!(limiter.wait_timeout(999, Duration::ZERO).is_err()),
        |limiter| assert!(limiter.reserve(999).is_ok()),
        |limiter| assert!(limiter.consume(1_000).is_ok()),
        |limiter| limiter.reset(),
        |limiter| assert!(limiter.drain() > 0),
        |limiter| limiter.close(),
    ];
    for verb in verbs {
        let held = Arc::clone(&limiter);
        holder.does(move || (0..4).filter(|_| held.allow()).count());
        clock.hand.advance(YOUNG);
        let limiter = Arc::clone(&limiter);
        asking.does(move || verb(&limiter));
    }
    assert!(limiter.is_closed());
}
