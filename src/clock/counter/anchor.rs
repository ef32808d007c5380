//! The arithmetic of the counter clock: what one thread remembers, and what it computes from a
//! reading.
//!
//! It is pure, apart from the functions it is given to read the counter and the kernel's clock (in
//! ns). Tests pass other functions; nothing else differs.
//!
//! # The bound
//!
//! Let `K` be the reading of the kernel's clock at the moment of a reading `R`, and let [`SPAN`] be
//! one millisecond. We assume that the kernel's clock is right and never steps back. Then
//!
//! ```text
//! K − (r × SPAN + d)  ≤  R  ≤  K + SPAN
//! ```
//!
//! Here `r ≥ 1` is the longest duration of a tick since the thread's last anchor, as a multiple of
//! its duration by the scale, and `d` is the time for which the counter has stood still since then,
//! or by which it was set back.
//!
//! *Not too late.* `R` is one of three values. (1) The kernel's reading: `R = K`. (2) The kernel's
//! reading at the anchor, which is not after now, plus `i = passed × scale`. The window is chosen
//! so that `i < REACH < SPAN` for each `passed` below it, whatever the scale is. So `R < K + SPAN`.
//! (3) An earlier answer. By (1) and (2), it was at most `SPAN` more than `K` was then, and `K` has
//! not decreased since. This assumes nothing about the counter or the scale.
//!
//! *Not too early.* Let `k` be the kernel's reading at the anchor; then `R ≥ k + i`, with `i`
//! rounded down. The counter was read just before `k`. Since then it has counted at most
//! `gap + passed` whole ticks: `gap` up to the anchor, and `passed` from there. So less than
//! `gap + passed + 1` ticks of time have gone by, each of at most `r × scale`, and an anchor is
//! used only if `(gap + 1) × scale ≤ GAP`. Thus `K − k ≤ r × (GAP + i + 1) + d`. Because
//! `i + 1 ≤ REACH` (both are whole numbers),
//! `K − R ≤ r × (GAP + i + 1) − i + d ≤ r × (GAP + REACH) + d = r × SPAN + d`.
//!
//! *Steady.* While counter and kernel run evenly, the scale is measured between two anchors that
//! are at least `SPAN / 2` apart, each of which is early by at most `GAP`. So `i` is wrong by at
//! most `2 × GAP`, and `R` by at most `4 × GAP`: 16 µs. In practice the error is far smaller,
//! because the gap is the time of one reading of the kernel's clock: some 50 ns.
//!
//! *Never backwards within a thread.* Between two anchors, `passed` grows from reading to reading,
//! and `R` grows with it. For an answer that was not interpolated, `seen` keeps how many ticks
//! after the anchor it lies, and only a reading with more ticks is interpolated.

use std::cell::Cell;

/// The bound on the error, and about the time between two readings of the kernel's clock: 1 ms.
pub(super) const SPAN: u64 = 1_000_000;
/// The most time, in ns by the scale, between the reading of the counter and the reading of the
/// kernel's clock that make an anchor.
const GAP: u64 = 4_000;
/// The time after an anchor, in ns, from which on the kernel's clock is read.
const REACH: u64 = SPAN - GAP;
/// The shortest time, in ns, over which a scale is measured.
const BASE: u64 = SPAN / 2;
/// The number of fractional bits of a scale.
const POINT: u32 = 32;
/// Two measurements in a row agree if they differ by at most one part in this many.
const TOLERANCE: u64 = 64;

/// The anchor of one thread: two readings made together, and the scale for interpolation from
/// there.
///
/// All fields are on one cache line. A reading of the clock loads most of it, and stores one word.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Anchor {
    /// The value of the counter at the anchor.
    count: Cell<u64>,
    /// The kernel's clock at the anchor or just before it, in ns.
    nanos: Cell<u64>,
    /// Nanoseconds per tick, as a fixed-point number; 0 if not known.
    scale: Cell<u64>,
    /// The number of ticks after the anchor from which on the kernel's clock is read; 0: always.
    window: Cell<u64>,
    /// Only readings with more ticks than this since the anchor are later than the last answer.
    seen: Cell<u64>,
    /// The last answer that was not interpolated.
    asked: Cell<u64>,
}

impl Anchor {
    /// An anchor as if counter and kernel's clock had both been 0 when it was made.
    ///
    /// Both have usually counted from about 0 since the machine was started, so the first
    /// measurement may even be right. If it is wrong, the second one does not agree with it.
    pub(super) const fn new() -> Self {
        Self {
            count: Cell::new(0),
            nanos: Cell::new(0),
            scale: Cell::new(0),
            window: Cell::new(0),
            seen: Cell::new(0),
            asked: Cell::new(0),
        }
    }

    /// The current time in ns, interpolated from the anchor. `None` if that is not possible.
    ///
    /// The slow path is not called from here, so no registers are saved for it on the fast path.
    #[inline]
    pub(super) fn interpolate(&self, counter: impl FnOnce() -> u64) -> Option<u64> {
        let window = self.window.get();
        if window == 0 {
            return None;
        }
        // If the counter is behind the anchor, `passed` wraps and is far too large.
        let passed = counter().wrapping_sub(self.count.get());
        // If `passed` is not more than `seen`, the counter stands still, was set back, or ticks so
        // slowly that this is still the same tick.
        if passed > self.seen.get() && passed < window {
            self.seen.set(passed);
            return Some(self.after(passed));
        }
        None
    }

    /// The current time in ns, from the kernel's clock. May make a new anchor.
    pub(super) fn ask(&self, counter: impl Fn() -> u64, kernel: impl FnOnce() -> u64) -> u64 {
        let before = counter();
        let nanos = kernel();
        let after = counter();
        let answer = nanos.max(self.asked.get()).max(self.after(self.seen.get()));
        self.asked.set(answer);
        self.learn(before, nanos, after);
        self.seen.set(self.seen.get().max(self.ticks_before(answer)));
        answer
    }

    /// The time in ns at `passed` ticks after the anchor, which must be within the window. The
    /// addition can't overflow: the ticks are less than `REACH` ns, and an anchor with a window is
    /// at least `REACH` before `u64::MAX`.
    #[inline]
    fn after(&self, passed: u64) -> u64 {
        self.nanos.get() + ((passed * self.scale.get()) >> POINT)
    }

    /// Makes a new anchor if it is time for one, from the kernel's reading `nanos` and the
    /// counter's readings `before` and `after` it.
    fn learn(&self, before: u64, nanos: u64, after: u64) {
        let passed = before.wrapping_sub(self.count.get());
        let elapsed = nanos.saturating_sub(self.nanos.get());
        if elapsed < BASE && (self.window.get() == 0 || passed < self.window.get()) {
            // Too little time has passed for a measurement, or the counter has just not moved.
            return;
        }
        // If so little time has passed but the counter has left the window, it has jumped so far
        // that the measurement can't agree with the scale.
        let measured = scale(elapsed, after.wrapping_sub(self.count.get()));
        let sound = after.wrapping_sub(before) < ticks(GAP, measured);
        let measured = if sound { measured } else { 0 };
        let agrees = measured.abs_diff(self.scale.get()) <= self.scale.get() / TOLERANCE;
        let room = nanos <= u64::MAX - REACH;
        self.count.set(after);
        self.nanos.set(nanos);
        self.scale.set(measured);
        self.window.set(if agrees && room { ticks(REACH, measured) } else { 0 });
        self.seen.set(0);
    }

    /// The largest number of ticks after the anchor that is still before `time`, at most the
    /// window.
    fn ticks_before(&self, time: u64) -> u64 {
        let wide = u128::from(time.saturating_sub(self.nanos.get())) << POINT;
        let needed = wide.div_ceil(u128::from(self.scale.get()).max(1));
        u64::try_from(needed).unwrap_or(u64::MAX).saturating_sub(1).min(self.window.get())
    }
}

#[cfg(test)]
impl Anchor {
    /// A value that changes with each new anchor.
    pub(super) fn identity(&self) -> (u64, u64) {
        (self.count.get(), self.nanos.get())
    }

    /// The duration of a tick by the scale, in ns.
    #[expect(clippy::cast_precision_loss, reason = "for a bound that need not be exact")]
    pub(super) fn tick(&self) -> f64 {
        self.scale.get() as f64 / (1_u64 << POINT) as f64
    }
}

/// The scale by which `ticks` ticks take `nanos` ns; 0 if it can't be represented.
fn scale(nanos: u64, ticks: u64) -> u64 {
    let wide = (u128::from(nanos) << POINT).checked_div(ticks.into());
    wide.and_then(|scale| u64::try_from(scale).ok()).unwrap_or(0)
}

/// The most ticks that take at most `nanos` ns by the scale; 0 if the scale is not known.
fn ticks(nanos: u64, scale: u64) -> u64 {
    (nanos << POINT).checked_div(scale).unwrap_or(0)
}
