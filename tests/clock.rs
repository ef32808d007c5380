//! The default clock on the real machine: what holds there whatever the machine does. What holds of
//! its arithmetic is tested beside it.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tollgate::{
    Clock, CounterClock, ManualClock, MonotonicClock, Quota, RateLimiter, Timestamp, TokenBucket,
};

/// The documented bound.
const SPAN: Duration = Duration::from_millis(1);

/// Reads often enough for the counter to be used, where it is, and checks what can't fail.
fn read_and_check(times: u32) -> Timestamp {
    let (clock, kernel) = (CounterClock::new(), MonotonicClock::new());
    let mut last = Timestamp::ZERO;
    for _ in 0..times {
        let now = clock.now();
        assert!(now >= last, "backwards in a thread");
        assert!(now <= kernel.now() + SPAN, "ahead");
        last = now;
    }
    last
}

#[test]
fn never_backwards_in_a_thread_nor_more_than_a_millisecond_ahead() {
    read_and_check(500_000);
}

#[test]
fn the_first_reading_of_a_thread_is_the_kernels() {
    thread::spawn(|| {
        let before = MonotonicClock::new().now();
        let now = CounterClock::new().now();
        let after = MonotonicClock::new().now();
        assert!(before <= now && now <= after);
    })
    .join()
    .expect("no panic");
}

#[test]
fn threads_come_and_go() {
    for _ in 0..4 {
        let threads: Vec<_> =
            (0..8).map(|n| thread::spawn(move || read_and_check(n * n * 500))).collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
    }
}

/// Reads the clock when it is dropped, and sends what it read.
struct ReadsLate(mpsc::Sender<Timestamp>);

impl Drop for ReadsLate {
    fn drop(&mut self) {
        // Nobody may listen any more; that is another test's failure.
        let _ = self.0.send(read_and_check(10));
    }
}

thread_local! {
    static LATE: RefCell<Option<ReadsLate>> = const { RefCell::new(None) };
}

#[test]
fn can_be_read_while_a_thread_is_torn_down() {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        LATE.set(Some(ReadsLate(sender)));
        read_and_check(200_000)
    });
    let last = thread.join().expect("no panic");
    assert!(receiver.recv().expect("a reading") >= last);
}

#[test]
fn all_clocks_of_the_kernel_have_one_origin() {
    let first = MonotonicClock::new().now();
    let second = MonotonicClock::default().now();
    let third = CounterClock::default().now();
    assert!(first <= second && second <= third + SPAN);
    assert!(third <= MonotonicClock::new().now() + SPAN);
}

#[test]
fn is_the_default_and_the_kernels_is_there_by_choice() {
    fn is_default(_: &TokenBucket<CounterClock>) {}
    fn is_chosen(_: &TokenBucket<MonotonicClock>) {}
    let quota = Quota::per_second(50);
    is_default(&TokenBucket::new(quota).expect("a quota"));
    let builder = TokenBucket::builder(quota).clock(MonotonicClock::new());
    is_chosen(&builder.build().expect("a quota"));
}

/// Behind each kind of pointer, to a clock of any type: the time passes, and whoever waits is
/// woken.
#[test]
fn a_clock_behind_a_pointer_is_a_clock() {
    fn wakes<C: Clock>(behind: C, clock: &ManualClock) {
        let start = clock.now();
        assert_eq!(behind.now(), start);
        assert!(behind.wake_at(start + SPAN, std::task::Waker::noop()));
        assert_eq!(clock.sleepers(), 1);
        let limiter = TokenBucket::builder(Quota::per_second(1)).clock(behind);
        let limiter = limiter.build().expect("a quota");
        assert!(limiter.allow() && !limiter.allow());
        clock.advance(Duration::from_secs(1));
        assert!(limiter.allow() && !limiter.allow());
    }
    let clock = ManualClock::new();
    wakes(Arc::new(clock.clone()), &clock);
    wakes(Box::new(clock.clone()), &clock);
    wakes(Arc::new(clock.clone()) as Arc<dyn Clock>, &clock);
    wakes(Box::new(clock.clone()) as Box<dyn Clock>, &clock);
    let leaked: &'static ManualClock = Box::leak(Box::new(clock.clone()));
    wakes(leaked, &clock);
    wakes(leaked as &'static dyn Clock, &clock);
}
