//! A simulated machine that checks each reading of its clock.

use std::cell::{Cell, RefCell};

use super::super::anchor::{Anchor, SPAN};

pub(super) const MILLI: u64 = 1_000_000;
/// The largest error, in ns, while counter and kernel's clock run evenly.
pub(super) const STEADY: u64 = 16_000;
/// The duration, in ns, of a reading of the counter and of the kernel's clock.
const COUNTER_TAKES: u64 = 10;
const KERNEL_TAKES: u64 = 25;

/// What the counter has done since some moment, as far as the bound depends on it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct History {
    /// The longest duration of a tick, in ns of the kernel's clock.
    pub(super) tick: f64,
    /// The time for which it stood still, in ns of the kernel's clock.
    pub(super) stood: u64,
    /// The number of ticks by which it was set back.
    pub(super) back: u64,
}

/// A machine with one core per thread.
pub(super) struct World {
    pub(super) kernel: Cell<u64>,
    /// The speed of the kernel's clock, in thousandths of the right speed.
    pub(super) kernel_speed: Cell<u64>,
    pub(super) kernel_rest: Cell<u64>,
    /// The speed of the counter, in ticks per millisecond.
    pub(super) speed: Cell<u64>,
    /// The part of the next tick that has passed, in millionths.
    pub(super) rest: Cell<u64>,
    /// A pause before the counter is read again after the next reading of the kernel's clock.
    pub(super) pause: Cell<u64>,
    pub(super) kernel_readings: Cell<u64>,
    pub(super) threads: [Thread; 2],
}

/// A thread, with the counter of the core that it runs on.
#[derive(Default)]
pub(super) struct Thread {
    pub(super) count: Cell<u64>,
    anchor: RefCell<Option<Anchor>>,
    last: Cell<u64>,
    since_asked: Cell<History>,
    since_anchor: Cell<History>,
}

impl World {
    pub(super) fn new(speed: u64) -> Self {
        let threads: [Thread; 2] = Default::default();
        for thread in &threads {
            thread.anchor.replace(Some(Anchor::new()));
        }
        Self {
            kernel: Cell::new(5_000 * MILLI),
            kernel_speed: Cell::new(1_000),
            kernel_rest: Cell::new(0),
            speed: Cell::new(speed),
            rest: Cell::new(0),
            pause: Cell::new(0),
            kernel_readings: Cell::new(0),
            threads,
        }
    }

    pub(super) fn set_counters(&self, count: u64) {
        for thread in &self.threads {
            thread.count.set(count);
        }
    }

    pub(super) fn each_history(&self, change: impl Fn(&mut History)) {
        for thread in &self.threads {
            for cell in [&thread.since_asked, &thread.since_anchor] {
                let mut history = cell.get();
                change(&mut history);
                cell.set(history);
            }
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&self, nanos: u64) {
        let kernel = nanos * self.kernel_speed.get() + self.kernel_rest.get();
        self.kernel.set(self.kernel.get() + kernel / 1_000);
        self.kernel_rest.set(kernel % 1_000);
        let ticks = u128::from(nanos) * u128::from(self.speed.get()) + u128::from(self.rest.get());
        let rest = u64::try_from(ticks % u128::from(MILLI)).expect("small");
        let ticks = u64::try_from(ticks / u128::from(MILLI)).expect("a short time");
        self.rest.set(rest);
        for thread in &self.threads {
            thread.count.set(thread.count.get().wrapping_add(ticks));
        }
        let stood = if self.speed.get() == 0 { kernel / 1_000 + 1 } else { 0 };
        let tick = self.tick();
        self.each_history(|history| {
            history.stood += stood;
            history.tick = history.tick.max(tick);
        });
    }

    /// The present duration of a tick, in ns of the kernel's clock; 0 if the counter stands still.
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    pub(super) fn tick(&self) -> f64 {
        match self.speed.get() {
            0 => 0.0,
            speed => self.kernel_speed.get() as f64 * 1e3 / speed as f64,
        }
    }

    /// Lets time pass for the counters but not for the kernel's clock, as on some suspended
    /// machines.
    pub(super) fn suspend(&self, nanos: u64) {
        let speed = self.kernel_speed.replace(0);
        self.pass(nanos);
        self.kernel_speed.set(speed);
    }

    /// Lets time pass while the counters stand still.
    pub(super) fn stand(&self, nanos: u64) {
        let speed = self.speed.replace(0);
        self.pass(nanos);
        self.speed.set(speed);
    }

    pub(super) fn step(&self, ticks: i64) {
        for thread in &self.threads {
            thread.count.set(thread.count.get().wrapping_add_signed(ticks));
        }
        let back = if ticks < 0 { ticks.unsigned_abs() } else { 0 };
        self.each_history(|history| history.back = history.back.saturating_add(back));
    }

    /// Reads the clock as `CounterClock` does, and checks everything that its documentation
    /// promises. Returns the answer, and the kernel's time at that moment.
    #[expect(clippy::cast_precision_loss, reason = "a bound needs not be exact to 2^-53")]
    pub(super) fn read(&self, index: usize) -> (u64, u64) {
        let thread = &self.threads[index];
        let anchor = thread.anchor.borrow();
        let anchor = anchor.as_ref().expect("an anchor");
        let asked = Cell::new(None);
        let counter = || {
            self.pass(COUNTER_TAKES);
            thread.count.get()
        };
        let kernel = || {
            self.pass(KERNEL_TAKES);
            self.kernel_readings.set(self.kernel_readings.get() + 1);
            let now = self.kernel.get();
            asked.set(Some(now));
            thread.since_asked.set(History::default());
            self.pass(self.pause.take());
            now
        };
        let before = anchor.identity();
        let answer = anchor.interpolate(counter).unwrap_or_else(|| anchor.ask(counter, kernel));
        let now = asked.get().unwrap_or(self.kernel.get());
        let history = thread.since_anchor.get();
        if anchor.identity() != before {
            thread.since_anchor.set(thread.since_asked.get());
        }

        assert!(answer >= thread.last.replace(answer), "backwards in a thread");
        assert!(answer <= now.saturating_add(SPAN), "{} ns ahead", answer - now);
        if asked.get().is_some() {
            assert!(answer >= now, "behind the kernel that was asked");
        } else {
            // One tick more, because a tick may have been in progress when the machine changed.
            let slower = (history.tick / anchor.tick()).max(1.0);
            let lost = history.stood as f64 + (history.back + 1) as f64 * history.tick;
            let bound = slower * SPAN as f64 + lost + 1.0;
            let behind = now.saturating_sub(answer) as f64;
            assert!(behind <= bound, "{behind} ns behind, {bound} allowed; {history:?}");
        }
        (answer, now)
    }

    /// Reads the clock `times` times, each time after `every` ns. Returns the largest error.
    pub(super) fn read_many(&self, times: u64, every: u64) -> u64 {
        let errors = (0..times).map(|_| {
            self.pass(every);
            let (answer, now) = self.read(0);
            answer.abs_diff(now)
        });
        errors.max().unwrap_or(0)
    }

    /// Reads the clock until the counter is trusted.
    pub(super) fn warm_up(&self) {
        self.read_many(5_000, 1_000);
    }
}

/// Speeds in ticks per millisecond: of the slowest counters, a common one, and time stamp counters.
pub(super) const SPEEDS: [u64; 5] = [1_000, 24_000, 1_000_000, 2_600_000, 5_000_000];

pub(super) fn each(test: impl Fn(World)) {
    for speed in SPEEDS {
        test(World::new(speed));
    }
}
