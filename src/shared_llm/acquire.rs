//! How a request gets a permit: first of its own process, and then in the store.
//!
//! Requests that have to wait stand in a line, of which the first asks again and again: when what
//! the store lacks may be there, when this process has given something back, and in between,
//! because others give back, too. It would be cheaper to take what is needed for later. But what
//! others have taken for later can't be moved up, so the estimates that requests give back would
//! be lost behind it. Only a request that has waited for long takes a place in the store, so that
//! smaller ones do not overtake it for ever.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Permit;
use super::account::Account;
use super::attempt::Attempt;
use super::charge::Charge;
use crate::llm::engine::{Engine, Handle};
use crate::llm::limiter::acquire;
use crate::llm::{self, Error, LimitKind, OwnedPermit, Tokens};
use crate::shared::{Line, sleep};
use crate::{Clock, Jitter, Timestamp, TokioTimer};

/// How long other keys are preferred to one of which the store has refused a request.
const PREFER_OTHERS: Duration = Duration::from_millis(100);

/// After which time it is asked at the earliest whether other processes have given something back,
/// and after which time at the latest.
const ASK_AGAIN: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// After how long the first of the line takes what it needs for later.
const RESERVE_AFTER: Duration = Duration::from_secs(10);

/// How many keys are tried for a request before it takes a place in the line of one of them.
const MOST_TRIED: u32 = 8;

/// Who has waited for so long asks whether the account was paused meanwhile.
const LONG_WAIT: Duration = Duration::from_millis(200);

/// The shortest sleep before the store is asked again.
const SHORTEST: Duration = Duration::from_millis(1);

/// The accounts of an engine's keys.
pub(super) trait Accounts {
    /// Whether there can be several.
    const SEVERAL: bool;

    /// The account of a key.
    fn of(&self, key: u32) -> Option<Arc<Account>>;

    /// Those in this process who wait for them.
    fn line(&self) -> &Line;
}

/// When a request must have its permit.
#[derive(Clone, Copy)]
pub(super) enum Until {
    /// At once.
    Now,
    Deadline(Instant),
    Forever,
}

impl Until {
    pub(super) fn within(timeout: Duration) -> Self {
        Instant::now().checked_add(timeout).map_or(Self::Forever, Self::Deadline)
    }

    fn left(self) -> Duration {
        match self {
            Self::Now => Duration::ZERO,
            Self::Deadline(at) => at.saturating_duration_since(Instant::now()),
            Self::Forever => Duration::MAX,
        }
    }

    /// # Errors
    ///
    /// If there is no time to wait for what the store has refused.
    fn allows<C: Clock>(self, refused: &Refused<C>) -> Result<(), Error> {
        let (limit, retry_after) = (refused.limit, Some(refused.wait));
        match self {
            Self::Now => Err(Error::Denied { limit, retry_after }),
            Self::Deadline(_) if refused.wait > self.left() => Err(Error::Timeout { retry_after }),
            Self::Deadline(_) | Self::Forever => Ok(()),
        }
    }
}

/// A permit of the process's own limiter whose request is not sent yet. If it is dropped, it is
/// given back.
struct Unsent<C: Clock>(Option<OwnedPermit<C>>);

impl<C: Clock> Unsent<C> {
    fn key(&self) -> Option<u32> {
        self.0.as_ref().map(llm::Permit::key)
    }

    fn tokens(&self) -> Tokens {
        self.0.as_ref().map(llm::Permit::estimate).unwrap_or_default()
    }
}

impl<C: Clock> Drop for Unsent<C> {
    fn drop(&mut self) {
        if let Some(permit) = self.0.take() {
            permit.cancel();
        }
    }
}

/// A key of which the store has refused the request, and for how long.
struct Refused<C: Clock> {
    local: Unsent<C>,
    account: Arc<Account>,
    limit: LimitKind,
    wait: Duration,
}

/// What became of a request with one key.
enum Tried<C: Clock> {
    Permit(Permit<C>),
    Refused(Refused<C>),
    /// The account is paused: the process's own limiter decides what that means.
    Paused,
}

/// Gets a permit of the process's own limiter, and then takes what the request needs in the store.
pub(super) async fn acquire_shared<C: Clock, A: Accounts>(
    engine: &Arc<Engine<C>>,
    accounts: &A,
    tokens: Tokens,
    until: Until,
) -> Result<Permit<C>, Error> {
    let line = accounts.line();
    if !line.is_used() || matches!(until, Until::Now) {
        match try_keys(engine, accounts, tokens, until).await? {
            Tried::Permit(permit) => return Ok(permit),
            Tried::Refused(refused) => until.allows(&refused)?,
            Tried::Paused => {}
        }
    }
    let _place = line.place(until.left()).await.ok_or(Error::Timeout { retry_after: None })?;
    let since = Instant::now();
    loop {
        let mut refused = match try_keys(engine, accounts, tokens, until).await? {
            Tried::Permit(permit) => return Ok(permit),
            Tried::Refused(refused) => refused,
            Tried::Paused => continue,
        };
        until.allows(&refused)?;
        if since.elapsed() >= RESERVE_AFTER {
            let Refused { local, account, .. } = refused;
            refused = match try_key(engine, local, account, until.left()).await? {
                Tried::Permit(permit) => return Ok(permit),
                Tried::Refused(refused) => refused,
                Tried::Paused => continue,
            };
            until.allows(&refused)?;
        }
        let wait = refused.wait;
        // Meanwhile, its own process may use what it gives back.
        drop(refused);
        let pause = wait.min((wait / 8).clamp(ASK_AGAIN[0], ASK_AGAIN[1])).max(SHORTEST);
        let pause = pause + Jitter::up_to(pause / 8).draw();
        line.pause(pause).await.map_err(|_| Error::NoTimer)?;
    }
}

/// Tries one key after the other, each as it is preferred by the process's own limiter.
async fn try_keys<C: Clock, A: Accounts>(
    engine: &Arc<Engine<C>>,
    accounts: &A,
    tokens: Tokens,
    until: Until,
) -> Result<Tried<C>, Error> {
    let mut best: Option<Refused<C>> = None;
    for _ in 0..MOST_TRIED {
        // Other keys are tried if they can serve the request at once.
        let local = match &best {
            None => wait_for_local(engine, tokens, until).await?,
            Some(_) => match take_local(engine, tokens) {
                Ok(local) => local,
                Err(_) => break,
            },
        };
        let key = local.key();
        // The key was removed just now.
        let Some(account) = key.and_then(|key| accounts.of(key)) else { continue };
        let refused = match try_key(engine, local, account, Duration::ZERO).await? {
            Tried::Refused(refused) => refused,
            other => return Ok(other),
        };
        if !A::SEVERAL {
            return Ok(Tried::Refused(refused));
        }
        if let Some(key) = key {
            engine.hold_back(key, refused.wait.min(PREFER_OTHERS));
        }
        best = match best {
            Some(best) if best.wait <= refused.wait => Some(best),
            _ => Some(refused),
        };
    }
    best.map(Tried::Refused).ok_or(Error::NoKeys)
}

/// Takes in the store what a request with a key needs, and waits until it is there.
async fn try_key<C: Clock>(
    engine: &Arc<Engine<C>>,
    local: Unsent<C>,
    account: Arc<Account>,
    patience: Duration,
) -> Result<Tried<C>, Error> {
    match account.take(local.tokens(), patience).await {
        Attempt::Granted(charge, after) => {
            let due = Instant::now().checked_add(after);
            Promise { local, charge: Some(charge), due }.keep(engine, after).await
        }
        Attempt::Paused(pause) => {
            account.knows_pause(pause);
            if let Some(key) = local.key() {
                engine.pause_for(key, pause);
            }
            Ok(Tried::Paused)
        }
        Attempt::Refused(limit, wait) => {
            Ok(Tried::Refused(Refused { local, account, limit, wait }))
        }
        Attempt::Never(error) => Err(error),
        Attempt::Unavailable(retry_after) => Err(Error::Unavailable { retry_after }),
    }
}

/// What a request has taken for later. If it is dropped, all of it is given back.
struct Promise<C: Clock> {
    local: Unsent<C>,
    charge: Option<Charge>,
    /// When it is there; `None` if that can't be represented.
    due: Option<Instant>,
}

impl<C: Clock> Promise<C> {
    async fn keep(mut self, engine: &Arc<Engine<C>>, after: Duration) -> Result<Tried<C>, Error> {
        if !after.is_zero() {
            sleep(after).await.map_err(|_| Error::NoTimer)?;
            if self.is_paused(engine, after).await {
                return Ok(Tried::Paused);
            }
        }
        let permit = self.local.0.take().zip(self.charge.take());
        let permit = permit.map(|(local, charge)| Permit::new(Arc::clone(engine), local, charge));
        permit.map(Tried::Permit).ok_or(Error::Closed)
    }

    /// Whether a server has asked for a pause while the request waited for its time.
    async fn is_paused(&self, engine: &Arc<Engine<C>>, after: Duration) -> bool {
        let Some((key, charge)) = self.local.key().zip(self.charge.as_ref()) else { return false };
        let pause =
            if after >= LONG_WAIT { charge.account.paused_for().await } else { Duration::ZERO };
        if !pause.is_zero() {
            charge.account.knows_pause(pause);
            engine.pause_for(key, pause);
        }
        engine.account_view(key).is_some_and(|view| !view.paused_for.is_zero())
    }
}

impl<C: Clock> Drop for Promise<C> {
    fn drop(&mut self) {
        if let Some(charge) = self.charge.take() {
            charge.cancel(self.due.is_none_or(|due| Instant::now() < due));
        }
    }
}

/// Takes what a request needs of the process's own limiter, now.
fn take_local<C: Clock>(engine: &Arc<Engine<C>>, asked: Tokens) -> Result<Unsent<C>, Error> {
    let (taken, tokens) = engine.try_acquire(asked)?;
    let engine = Handle::Shared(Arc::clone(engine));
    Ok(Unsent(Some(llm::Permit::new(engine, taken, tokens, asked))))
}

/// Waits in the line of the process's own limiter.
async fn wait_for_local<C: Clock>(
    engine: &Arc<Engine<C>>,
    tokens: Tokens,
    until: Until,
) -> Result<Unsent<C>, Error> {
    let deadline = match until {
        Until::Now => return take_local(engine, tokens),
        Until::Deadline(_) => engine.clock().now() + until.left(),
        Until::Forever => Timestamp::MAX,
    };
    let engine = Handle::Shared(Arc::clone(engine));
    Ok(Unsent(Some(acquire(engine, tokens, deadline, &TokioTimer).await?)))
}
