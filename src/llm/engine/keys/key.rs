//! One key, as the engine knows it: a number, an account, and a status.

/// A key. The engine knows nothing of its id and secret; a limiter has just one key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// The number of the key's account.
    pub(crate) account: usize,
    pub(super) status: KeyStatus,
    pub(super) in_flight: u64,
}

/// Whether a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyStatus {
    Active,
    /// The server does not accept the key.
    Disabled,
    /// The key's number can be reused once none of its requests is in flight.
    Removed,
}

impl Key {
    pub(crate) fn new(account: usize) -> Self {
        Self { account, status: KeyStatus::Active, in_flight: 0 }
    }

    /// Whether the key's number can be reused: the key is removed, and no permit refers to it.
    pub(super) fn is_free(&self) -> bool {
        self.status == KeyStatus::Removed && self.in_flight == 0
    }

    /// Whether the server does not accept the key.
    pub(crate) fn is_disabled(&self) -> bool {
        self.status == KeyStatus::Disabled
    }

    #[inline]
    pub(super) fn is_active(&self) -> bool {
        self.status == KeyStatus::Active
    }
}
