//! Threads that block on a limiter, beside threads that just sleep.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::crowd::process_time;

/// What is asked of the threads: each waits `times` times, one after another.
#[derive(Clone, Copy)]
pub(crate) struct Threads {
    pub(crate) count: u32,
    pub(crate) times: u32,
}

/// How long they took, and how much CPU time.
pub(crate) struct Blocked {
    pub(crate) wall: Duration,
    pub(crate) busy: Duration,
}

impl Threads {
    /// How many permits they take.
    pub(crate) fn total(self) -> u32 {
        self.count * self.times
    }

    /// Starts the threads, releases them together, and lets each wait: `wait` gets the number of
    /// the permit when all take turns, and the common start.
    pub(crate) fn run(self, wait: impl Fn(u32, Instant) + Sync) -> Blocked {
        let release = Barrier::new(self.count as usize + 1);
        let finish = Barrier::new(self.count as usize + 1);
        thread::scope(|scope| {
            for number in 0..self.count {
                let (release, finish, wait) = (&release, &finish, &wait);
                let body = move || {
                    release.wait();
                    let start = Instant::now();
                    for turn in 0..self.times {
                        wait(turn * self.count + number, start);
                    }
                    finish.wait();
                };
                let small = thread::Builder::new().stack_size(128 * 1024);
                small.spawn_scoped(scope, body).expect("a thread");
            }
            release.wait();
            let (start, busy) = (Instant::now(), process_time());
            finish.wait();
            Blocked { wall: start.elapsed(), busy: process_time().saturating_sub(busy) }
        })
    }
}
