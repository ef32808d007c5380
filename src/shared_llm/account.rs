//! An account as the store knows it.
//!
//! Each limit is a namespace of its own, whose subject is the account, because limits are learned:
//! a process that learns one more opens one more namespace, and still shares the others. All of
//! them are charged in one ask. A store whose asks have one subject, such as a cluster, has one
//! namespace for all limits that are configured, and does not share those that are learned.
//!
//! The pause that a server asks for is a limit as well: a token bucket of a permit per
//! microsecond, of which each request takes one. To pause the account is to raise its level until
//! it has a debt of as many microseconds. So the store needs to know nothing of pauses.

use std::sync::Arc;
use std::time::Duration;

use smallvec::{SmallVec, smallvec};
use tokio::time::Instant;

use super::OpenError;
use crate::Quota;
use crate::llm::engine::account::{Account as LocalAccount, AccountView, MeterView};
use crate::llm::{LimitKind, Limits, Period, Tokens};
use crate::shared::store::{Answer, Ask, Charge, Level, LimitSpec, Namespace, Part, Rule, Verb};
use crate::shared::{Client, ClientBuilder, Line, Slots};
use crate::sync::Mutex;
use crate::{Clock, ManualClock};

/// The place of the pause among the limits.
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
    /// How many limits the only namespace has; `None` if each limit has its own.
    together: Option<usize>,
    /// Held while the store is opened anew, which calls foreign code. Nothing else takes it.
    opening: Mutex<()>,
}

/// What this process knows of the account's limits.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// In the order of their places, of which the first is that of the pause.
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
    /// Whether requests are charged. A limit that is no longer in force keeps its place.
    pub(super) is_in_force: bool,
    /// What was in use by the store's last answer, and when that came.
    pub(super) seen: Option<(Instant, u64)>,
}

impl Limit {
    fn new(meter: &MeterView, is_strict: bool) -> Self {
        let MeterView { kind, per_period, burst, .. } = *meter;
        Self { kind, per_period, burst, is_strict, is_in_force: true, seen: None }
    }

    fn spec(&self) -> Option<LimitSpec> {
        let (counted, period) = self.kind.metered()?;
        let quota = Quota::per(self.per_period, period.as_duration());
        let (rule, quota) = if self.is_strict {
            (Rule::StrictWindow, quota)
        } else {
            (Rule::TokenBucket, quota.burst(self.burst))
        };
        Some(LimitSpec::new(format!("{counted}/{}s", period.as_secs()), rule, quota))
    }

    /// What is in use at least, by the store's last answer, if nobody has given anything back.
    pub(super) fn used_by_now(&self) -> u64 {
        let Some((at, used)) = self.seen else { return 0 };
        let period = self.kind.period().map_or(Duration::MAX, Period::as_duration);
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
        let spread = client.clone().open(&each_apart(&limits))?;
        let (client, together) = if spread.spans_subjects() {
            (spread, None)
        } else {
            (client.open(&[all_together(&limits)])?, Some(1 + limits.len()))
        };
        let slots = match view.max_concurrent {
            Some(most) => {
                let name = format!("llm/{subject}");
                Some(Slots::new(store.clone(), name, most, SLOT_EXPIRES)?)
            }
            None => None,
        };
        let known = Mutex::new(Known { limits, paused_until: None });
        Ok(Self { client, line, subject, slots, known, together, opening: Mutex::new(()) })
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

    /// The limits that a request is charged, with their places and what it costs.
    pub(super) fn costs(&self, tokens: Tokens) -> SmallVec<[(usize, LimitKind, u64); 4]> {
        let known = self.known.lock();
        let in_force = known.limits.iter().enumerate().filter(|(_, limit)| limit.is_in_force);
        let costs = in_force.map(|(at, limit)| (1 + at, limit.kind, limit.kind.cost(tokens)));
        costs.filter(|(_, _, cost)| *cost > 0).collect()
    }

    /// An ask that charges the limits at these places.
    pub(super) fn ask(&self, verb: Verb, charges: &[(usize, Charge)]) -> Ask {
        let subject = || Arc::clone(&self.subject);
        let Some(limits) = self.together else {
            let parts = charges.iter().map(|(at, charge)| Part::new(*at, subject(), [*charge]));
            return Ask::over(verb, 1, parts);
        };
        let mut all: SmallVec<[Charge; 8]> = smallvec![Charge::new(0); limits];
        for (at, charge) in charges {
            if let Some(place) = all.get_mut(*at) {
                *place = *charge;
            }
        }
        Ask::new(verb, 1, Part::new(0, subject(), all))
    }

    /// The levels that an answer has for such charges.
    pub(super) fn levels(
        &self,
        answer: &Answer,
        places: impl Iterator<Item = usize>,
    ) -> SmallVec<[Level; 4]> {
        let level = |(nth, at)| answer.levels.get(self.together.map_or(nth, |_| at)).copied();
        places.enumerate().filter_map(level).collect()
    }

    /// Makes the limits in the store those that are in force in this process.
    ///
    /// If the store can't keep one of them, all stay as they are.
    pub(super) fn follow(&self, view: &AccountView) {
        if self.known.lock().follows(view, self.together.is_some()) {
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
                None if self.together.is_some() => {}
                None => limits.push(Limit::new(meter, view.is_strict)),
            }
        }
        let namespaces = match self.together {
            Some(_) => vec![all_together(&limits)],
            None => each_apart(&limits),
        };
        if let Err(error) = self.client.set_namespaces(&namespaces) {
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
    /// Whether the limits are those that are in force. If all are `fixed`, others do not matter.
    fn follows(&self, view: &AccountView, fixed: bool) -> bool {
        let meter_of = |kind| view.meters.iter().find(|meter| meter.kind == kind);
        let is_same = |limit: &Limit| match meter_of(limit.kind) {
            Some(meter) => {
                let quota = (meter.per_period, meter.burst);
                limit.is_in_force && quota == (limit.per_period, limit.burst)
            }
            None => !limit.is_in_force,
        };
        let is_known = |meter: &MeterView| self.limits.iter().any(|it| it.kind == meter.kind);
        self.limits.iter().all(is_same) && (fixed || view.meters.iter().all(is_known))
    }
}

/// The limit for pauses, and all others.
fn specs(limits: &[Limit]) -> impl Iterator<Item = LimitSpec> {
    let micros = Quota::per(1_000_000, Duration::from_secs(1)).burst(PAUSE_BURST);
    let pause = LimitSpec::new("pause", Rule::TokenBucket, micros);
    std::iter::once(pause).chain(limits.iter().filter_map(Limit::spec))
}

/// A namespace for each limit.
fn each_apart(limits: &[Limit]) -> Vec<Namespace> {
    let alone = |limit: LimitSpec| Namespace::new(format!("llm/{}", limit.name), vec![limit]);
    specs(limits).map(alone).collect()
}

/// A namespace of all limits.
fn all_together(limits: &[Limit]) -> Namespace {
    Namespace::new("llm", specs(limits).collect())
}
