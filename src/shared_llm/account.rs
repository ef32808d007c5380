//! An account as the store knows it.
//!
//! Each limit is a namespace of its own, whose subject is the account, because limits are learned: a
//! process that learns one more opens one more namespace, and still shares the others. All of them
//! are charged in one ask.
//!
//! The pause that a server asks for is a limit as well: a token bucket of a permit per microsecond, of
//! which each request takes one. To pause the account is to raise its level until it has a debt of as
//! many microseconds. So the store needs to know nothing of pauses.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::OpenError;
use super::line::Line;
use crate::Quota;
use crate::llm::engine::account::{Account as LocalAccount, AccountView, MeterView};
use crate::llm::{LimitKind, Limits, Tokens};
use crate::shared::store::{Ask, Charge, LimitSpec, Namespace, Part, Rule, Verb};
use crate::shared::{Client, ClientBuilder, Slots};
use crate::sync::Mutex;
use crate::{Clock, ManualClock};

/// The place of the pause among the namespaces.
pub(super) const PAUSE: usize = 0;

/// Microseconds of a pause that are no pause yet: so many requests can begin at the same instant.
pub(super) const PAUSE_BURST: u64 = 1_000;

/// How long the slot of a request stays taken if its process dies.
const SLOT_EXPIRES: Duration = Duration::from_secs(60);

/// An account that several processes use.
pub(super) struct Account {
    pub(super) client: Client,
    /// Those in this process who wait for it, and perhaps for others.
    pub(super) line: Arc<Line>,
    pub(super) subject: Arc<str>,
    /// The slots of requests in flight, if their number is limited.
    pub(super) slots: Option<Slots>,
    pub(super) known: Mutex<Known>,
    /// Held while the store is opened anew, which calls foreign code. Nothing else takes it.
    opening: Mutex<()>,
}

/// What this process knows of the account's limits.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// In the order of their namespaces, of which the first is that of the pause.
    pub(super) limits: Vec<Limit>,
    /// Until when the store knows that the account is paused.
    pub(super) paused_until: Option<Instant>,
}

/// A limit in the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) kind: LimitKind,
    pub(super) per_period: u64,
    pub(super) burst: u64,
    is_strict: bool,
    /// Whether requests are charged. A limit that is no longer in force keeps its namespace.
    pub(super) is_in_force: bool,
    /// What was in use by the store's last answer, and when that came.
    pub(super) seen: Option<(Instant, u64)>,
}

impl Limit {
    fn new(meter: &MeterView, is_strict: bool) -> Self {
        let MeterView { kind, per_period, burst, .. } = *meter;
        Self { kind, per_period, burst, is_strict, is_in_force: true, seen: None }
    }

    fn namespace(&self) -> Option<Namespace> {
        let (counted, period) = self.kind.metered()?;
        let quota = Quota::per(self.per_period, period.as_duration());
        let (rule, quota) = match self.is_strict {
            true => (Rule::StrictWindow, quota),
            false => (Rule::TokenBucket, quota.burst(self.burst)),
        };
        let name = format!("llm/{counted}/{}s", period.as_secs());
        Some(Namespace::new(name, vec![LimitSpec::new("used", rule, quota)]))
    }

    /// What is in use at least, by the store's last answer, if nobody has given anything back.
    pub(super) fn used_by_now(&self) -> u64 {
        let Some((at, used)) = self.seen else { return 0 };
        let period = self.kind.period().map_or(Duration::MAX, |period| period.as_duration());
        let refilled =
            u128::from(self.per_period) * at.elapsed().as_nanos() / period.as_nanos().max(1);
        used.saturating_sub(u64::try_from(refilled).unwrap_or(u64::MAX).saturating_add(1))
    }
}

impl Account {
    /// Opens the store with the limits of an account.
    pub(super) fn open(
        store: &ClientBuilder,
        subject: impl Into<Arc<str>>,
        view: &AccountView,
        line: Arc<Line>,
    ) -> Result<Self, OpenError> {
        let subject = subject.into();
        let limits: Vec<_> =
            view.meters.iter().map(|meter| Limit::new(meter, view.is_strict)).collect();
        // A pause can end early, and the process's own limiter knows of it anyway.
        let client = store.clone().trust_refusals_for(Duration::ZERO);
        let client = client.open(&namespaces(&limits))?;
        let slots = match view.max_concurrent {
            Some(most) => {
                let name = format!("llm/{subject}");
                Some(Slots::new(store.clone(), name, most, SLOT_EXPIRES)?)
            }
            None => None,
        };
        let known = Mutex::new(Known { limits, paused_until: None });
        Ok(Self { client, line, subject, slots, known, opening: Mutex::new(()) })
    }

    /// As [`open`](Self::open), with configured limits.
    pub(super) fn configured(
        store: &ClientBuilder,
        subject: impl Into<Arc<str>>,
        limits: Limits,
        line: Arc<Line>,
    ) -> Result<Self, OpenError> {
        let now = ManualClock::new().now();
        let view = LocalAccount::new(limits, now)?.shared_view(now);
        Self::open(store, subject, &view, line)
    }

    /// The limits that a request is charged, with their namespaces and what it costs.
    pub(super) fn costs(&self, tokens: Tokens) -> SmallVec<[(usize, LimitKind, u64); 4]> {
        let known = self.known.lock();
        let in_force = known.limits.iter().enumerate().filter(|(_, limit)| limit.is_in_force);
        let costs = in_force.map(|(at, limit)| (at + 1, limit.kind, limit.kind.cost(tokens)));
        costs.filter(|(_, _, cost)| *cost > 0).collect()
    }

    /// A charge of one namespace.
    pub(super) fn part(&self, namespace: usize, charge: Charge) -> Part {
        Part::new(namespace, Arc::clone(&self.subject), [charge])
    }

    pub(super) fn ask(&self, verb: Verb, parts: impl IntoIterator<Item = Part>) -> Ask {
        Ask::over(verb, 1, parts)
    }

    /// Makes the limits in the store those that are in force in this process.
    ///
    /// If the store can't keep one of them, all stay as they are.
    pub(super) fn follow(&self, view: &AccountView) {
        if self.known.lock().follows(view) {
            return;
        }
        let _opening = self.opening.lock();
        let mut limits = self.known.lock().limits.clone();
        for limit in &mut limits {
            limit.is_in_force = view.meters.iter().any(|meter| meter.kind == limit.kind);
        }
        for meter in &view.meters {
            match limits.iter_mut().find(|limit| limit.kind == meter.kind) {
                Some(limit) => {
                    (limit.per_period, limit.burst) = (meter.per_period, meter.burst);
                }
                None => limits.push(Limit::new(meter, view.is_strict)),
            }
        }
        if let Err(error) = self.client.set_namespaces(&namespaces(&limits)) {
            crate::events::warn!(
                account = %self.subject,
                %error,
                "a limit that was learned can't be shared"
            );
            return;
        }
        self.known.lock().limits = limits;
    }
}

impl Known {
    fn follows(&self, view: &AccountView) -> bool {
        let in_force = self.limits.iter().filter(|limit| limit.is_in_force);
        let is_same = |meter: &MeterView| {
            self.limits.iter().any(|limit| {
                limit.is_in_force
                    && limit.kind == meter.kind
                    && (limit.per_period, limit.burst) == (meter.per_period, meter.burst)
            })
        };
        in_force.count() == view.meters.len() && view.meters.iter().all(is_same)
    }
}

/// The namespace of the pause, and those of the limits.
fn namespaces(limits: &[Limit]) -> Vec<Namespace> {
    let micros = Quota::per(1_000_000, Duration::from_secs(1)).burst(PAUSE_BURST);
    let pause = LimitSpec::new("micros", Rule::TokenBucket, micros);
    let pause = Namespace::new("llm/pause", vec![pause]);
    std::iter::once(pause).chain(limits.iter().filter_map(Limit::namespace)).collect()
}
