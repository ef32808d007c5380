//! The hardware counter, on platforms where one instruction reads it.

pub(super) use imp::{is_steady, read};

/// The time stamp counter of x86-64.
#[cfg(all(
    target_arch = "x86_64",
    any(target_os = "linux", target_os = "android", target_vendor = "apple", windows),
    not(any(miri, tollgate_loom))
))]
mod imp {
    use std::sync::OnceLock;

    #[inline]
    #[allow(
        unsafe_code,
        reason = "the only unsafe call of this crate; its comment says why it is sound"
    )]
    pub(crate) fn read() -> u64 {
        // SAFETY: every x86-64 CPU has this instruction. It has no operands and touches no memory.
        unsafe { std::arch::x86_64::_rdtsc() }
    }

    /// Whether the CPU reports that the counter ticks evenly, also while the CPU sleeps. With a
    /// counter that stops while the CPU sleeps, a waiting thread would wake too early by the clock
    /// and sleep again and again.
    pub(crate) fn is_steady() -> bool {
        static STEADY: OnceLock<bool> = OnceLock::new();
        *STEADY.get_or_init(|| {
            let power = raw_cpuid::CpuId::new().get_advanced_power_mgmt_info();
            power.is_some_and(|power| power.has_invariant_tsc())
        })
    }
}

/// The virtual count of the generic timer of aarch64. The architecture guarantees that it ticks
/// evenly on all cores, also while they sleep.
#[cfg(all(
    target_arch = "aarch64",
    any(target_os = "linux", target_os = "android", target_vendor = "apple", windows),
    not(any(miri, tollgate_loom))
))]
mod imp {
    use aarch64_cpu::registers::{CNTVCT_EL0, Readable};

    #[inline]
    pub(crate) fn read() -> u64 {
        CNTVCT_EL0.get()
    }

    pub(crate) const fn is_steady() -> bool {
        true
    }
}

/// Other platforms have no counter. Models and interpreters can't execute such an instruction.
#[cfg(not(all(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    any(target_os = "linux", target_os = "android", target_vendor = "apple", windows),
    not(any(miri, tollgate_loom))
)))]
mod imp {
    pub(crate) const fn read() -> u64 {
        0
    }

    pub(crate) const fn is_steady() -> bool {
        false
    }
}
