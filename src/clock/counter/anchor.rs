//! The arithmetic of the counter clock: what one thread knows, and what it makes of a reading.
//!
//! Pure but for the functions it is given, which read the counter and the kernel's clock (ns). Tests give it others;
//! nothing else differs.
//!
//! # The bound
//!
//! Let `K` be the kernel's reading at the moment of a reading `R`, and [`SPAN`] one millisecond. The kernel's clock is
//! taken for right, and never steps back. Then
//!
//! ```text
//! K − (r × SPAN + d)  ≤  R  ≤  K + SPAN
//! ```
//!
//! where `r ≥ 1` is how many times longer than by the scale a tick has taken at most since the thread's last anchor,
//! and `d` how long the counter has stood still since then, or for how long it was set back.
//!
//! *Not too late.* `R` is one of three. (1) The kernel's reading: `R = K`. (2) An anchor's reading of the kernel, which
//! is not after now, plus `i = passed × scale`. The window is chosen so that `i < REACH < SPAN` for each `passed` below
//! it, whatever the scale is. So `R < K + SPAN`. (3) An answer given before, which by (1) and (2) was at most what was
//! then `K`, plus `SPAN`; and `K` has not become less since. Nothing is asked of the counter, nor of the scale.
//!
//! *Not too early.* Let `k` be the anchor's reading of the kernel; then `R ≥ k + i`, with `i` rounded down. The counter
//! was read just before `k`, and has counted at most `gap + passed` whole ticks since then: up to the anchor, and from
//! there. So less than `gap + passed + 1` ticks of time have gone by, each of at most `r × scale`, and an anchor
//! is used only if `(gap + 1) × scale ≤ GAP`. Thus `K − k ≤ r × (GAP + i + 1) + d`, and with `i + 1 ≤ REACH` (both are
//! whole) `K − R ≤ r × (GAP + i + 1) − i + d ≤ r × (GAP + REACH) + d = r × SPAN + d`.
//!
//! *Steady.* While counter and kernel run evenly, the scale is that between two anchors at least `SPAN / 2` apart, each
//! early by at most `GAP`. So `i` is wrong by at most `2 × GAP`, and `R` by at most `4 × GAP`: 16 µs. What is
//! seen is far below that, because the gap is the time of one reading of the kernel's clock: some 50 ns.
//!
//! *Never backwards in a thread.* Between two anchors `passed` grows from reading to reading, and `R` with it. Of
//! an answer that is not of this kind, what is kept is how many ticks it lies after the anchor; only what has passed more
//! is interpolated.

use std::cell::Cell;

/// The bound, and about how long the kernel's clock is not read: 1 ms.
pub(super) const SPAN: u64 = 1_000_000;
/// At most so far apart (ns, by the scale) are the readings of the counter and the kernel's clock that make an anchor.
const GAP: u64 = 4_000;
/// So long after the anchor (ns) the kernel is asked.
const REACH: u64 = SPAN - GAP;
/// A scale is measured over at least so long (ns).
const BASE: u64 = SPAN / 2;
/// Bits of a scale after the point.
const POINT: u32 = 32;
/// Two measures in a row may differ by this part.
const TOLERANCE: u64 = 64;

/// One thread's anchor: two readings made together, and the scale by which to go on from them.
///
/// On one cache line: a reading loads most of it, and stores one word.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Anchor {
    /// The counter at the anchor.
    count: Cell<u64>,
    /// The kernel's clock at the anchor or just before it, ns.
    nanos: Cell<u64>,
    /// Nanoseconds a tick, as a fixed-point number; 0: not known.
    scale: Cell<u64>,
    /// So many ticks after the anchor the kernel is asked; 0: always.
    window: Cell<u64>,
    /// Only what has passed more ticks since the anchor is later than the last answer.
    seen: Cell<u64>,
    /// The last answer that was not interpolated.
    asked: Cell<u64>,
}

impl Anchor {
    /// As if both had been read at 0.
    ///
    /// As a rule both have counted from about there since the machine was started, so the first measure may even be
    /// right. If it is not, the second does not agree with it.
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

    /// The time now (ns), from the anchor, if it is known from there.
    ///
    /// There is no slow way in here, so that nothing must be saved for it around the fast one.
    #[inline]
    pub(super) fn interpolate(&self, counter: impl FnOnce() -> u64) -> Option<u64> {
        let window = self.window.get();
        if window == 0 {
            return None;
        }
        // A counter that went back to before the anchor has passed far too much: it wraps.
        let passed = counter().wrapping_sub(self.count.get());
        // Not more than seen: it stands still, went back, or ticks so slowly that this is the same tick as before.
        if passed > self.seen.get() && passed < window {
            self.seen.set(passed);
            return Some(self.after(passed));
        }
        None
    }

    /// The time now (ns), from the kernel; and perhaps a new anchor.
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

    /// So many ticks after the anchor, fewer than the window. Can't overflow: that is less than `REACH` ns, and
    /// no anchor is later than `REACH` before the end of time.
    #[inline]
    fn after(&self, passed: u64) -> u64 {
        self.nanos.get() + ((passed * self.scale.get()) >> POINT)
    }

    /// Makes a new anchor if it is time: of the kernel's reading, and the counter's `before` and `after` it.
    fn learn(&self, before: u64, nanos: u64, after: u64) {
        let passed = before.wrapping_sub(self.count.get());
        let elapsed = nanos.saturating_sub(self.nanos.get());
        if elapsed < BASE && (self.window.get() == 0 || passed < self.window.get()) {
            // There is nothing to measure over yet, or the counter has only not moved on.
            return;
        }
        // Where so little time has passed all the same, the counter jumped by far too much to agree.
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

    /// The most ticks after the anchor that are still before `time`, as far as they are in the window.
    fn ticks_before(&self, time: u64) -> u64 {
        let wide = u128::from(time.saturating_sub(self.nanos.get())) << POINT;
        let needed = wide.div_ceil(u128::from(self.scale.get()).max(1));
        u64::try_from(needed).unwrap_or(u64::MAX).saturating_sub(1).min(self.window.get())
    }
}

#[cfg(test)]
impl Anchor {
    /// Changes with each new anchor.
    pub(super) fn identity(&self) -> (u64, u64) {
        (self.count.get(), self.nanos.get())
    }

    /// How long a tick takes by the scale, in ns.
    #[expect(clippy::cast_precision_loss, reason = "for a bound that need not be exact")]
    pub(super) fn tick(&self) -> f64 {
        self.scale.get() as f64 / (1_u64 << POINT) as f64
    }
}

/// The scale by which so many ticks take so long; 0 if there is none.
fn scale(nanos: u64, ticks: u64) -> u64 {
    let wide = (u128::from(nanos) << POINT).checked_div(ticks.into());
    wide.and_then(|scale| u64::try_from(scale).ok()).unwrap_or(0)
}

/// How many ticks take so long at most, by the scale; none by a scale that is not known.
fn ticks(nanos: u64, scale: u64) -> u64 {
    (nanos << POINT).checked_div(scale).unwrap_or(0)
}
