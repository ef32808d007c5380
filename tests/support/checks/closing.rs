//! After `close`.

use tollgate::{Rejection, WaitError};

use crate::subject::{LIMIT, Make, Options};
use crate::threads::{parked, wait_on_a_thread};

pub(crate) fn close_refuses_everything_after(make: Make) {
    let s = make(Options::default());
    assert!(!s.limiter.is_closed());
    s.limiter.close();
    s.limiter.close();
    assert!(s.limiter.is_closed());
    assert!(!s.limiter.allow());
    assert!(!s.limiter.allow_n(0));
    assert_eq!(s.limiter.try_acquire(1), Err(Rejection::Closed));
    assert_eq!(s.limiter.delay_for(1), Err(Rejection::Closed));
    assert_eq!(s.limiter.wait(), Err(WaitError::Closed));
    assert_eq!(s.limiter.reserve(1).map(drop), Err(WaitError::Closed));
    assert_eq!(s.limiter.drain(), 0);
    s.limiter.reset();
    assert!(!s.limiter.allow(), "there is no way back");
    s.limiter.consume(3).unwrap();
    assert_eq!(s.limiter.usage().used, 3);
}

pub(crate) fn close_wakes_who_waits(make: Make) {
    let s = make(Options::default());
    s.drain();
    let reserved = s.limiter.reserve(2).unwrap();
    let threads = [3, 1, LIMIT].map(|permits| wait_on_a_thread(&s, permits));
    parked(&s, 3);
    s.limiter.close();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Err(WaitError::Closed));
    }
    assert_eq!(reserved.delay(), None, "never, not now");
    assert_eq!(reserved.wait(), Err(WaitError::Closed));
    assert_eq!(s.waiting(), 0);
}
