//! The counter in hardware, where there is one that can be read for the price of an instruction.

pub(super) use imp::{is_steady, read};

/// The time stamp counter.
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
        // SAFETY: every x86-64 CPU has this instruction. It takes no argument and touches no memory.
        unsafe { std::arch::x86_64::_rdtsc() }
    }

    /// Whether the CPU says that it ticks evenly, asleep or awake. One that stops while the CPU sleeps would let a thread
    /// that waits sleep again and again.
    pub(crate) fn is_steady() -> bool {
        static STEADY: OnceLock<bool> = OnceLock::new();
        *STEADY.get_or_init(|| {
            let power = raw_cpuid::CpuId::new().get_advanced_power_mgmt_info();
            power.is_some_and(|power| power.has_invariant_tsc())
        })
    }
}

/// The generic timer's virtual count, which by the architecture ticks evenly on all cores, asleep or awake.
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

/// None. Nor in models and interpreters, which have no such instruction.
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
