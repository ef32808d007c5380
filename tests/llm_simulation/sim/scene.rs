//! What a scene consists of.

use super::{Failure, Nanos, Others, Server};

/// Servers, and what comes upon them.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) accounts: Vec<Account>,
    /// Whether the client knows its limits from the beginning.
    pub(crate) told: bool,
    /// A percentage of each limit that the client leaves to others.
    pub(crate) kept_back: u8,
    pub(crate) failures: Vec<Failure>,
    pub(crate) others: Others,
    pub(crate) restart: Option<Restart>,
    pub(crate) traffic: Traffic,
    /// Whether the client sends requests again whose answer is bad, if that may help. It always
    /// does after a 429.
    pub(crate) retries: bool,
    /// Whether messages take next to no time; else they take as long as in the internet.
    pub(crate) near: bool,
    /// How wrong estimates are: up to this factor.
    pub(crate) wrong: f64,
    /// The client's clock, too fast by so many millionths.
    pub(crate) drift: i64,
    pub(crate) length: Nanos,
    /// Another one is another day.
    pub(crate) seed: u64,
}

/// Some keys of one account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) keys: usize,
    pub(crate) server: Server,
}

/// When requests come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Traffic {
    /// At random times, so many for each that the limits let pass.
    Load(f64),
    /// At random times, this far apart on average.
    Every(Nanos),
    /// By callers who wait for each answer before they call again.
    Callers { callers: usize, calls: usize },
}

/// The client's process ends, and another one begins, which asks again all that had no answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restart {
    pub(crate) at: Nanos,
    /// Whether the client's state is handed on.
    pub(crate) keeps_state: bool,
}

impl Scene {
    /// The account of each key.
    pub(crate) fn accounts_of_keys(&self) -> Vec<usize> {
        let of = |(number, account): (usize, &Account)| vec![number; account.keys];
        self.accounts.iter().enumerate().flat_map(of).collect()
    }

    /// How many wait at most; who comes then goes away. Callers always wait.
    pub(crate) fn room(&self) -> usize {
        match self.traffic {
            Traffic::Callers { callers, .. } => callers,
            Traffic::Load(_) | Traffic::Every(_) => 16,
        }
    }
}
