//! One worker: it asks the model as often as its limiter lets it.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tollgate::llm::{Burst, Limiter, Limits};
use tollgate::shared::{Client, Outage};
use tollgate::shared_llm;
use tollgate_redis::Redis;

use crate::chat::{Model, Prompt};
use crate::{AnyError, PLAN, WORKERS};

/// What the workers know of each other.
#[derive(Clone, Copy)]
pub(crate) enum Sharing {
    /// Nothing: each has all limits of the key.
    Nothing,
    /// Each has its part of the limits.
    Quarters,
    /// They share the limits through Redis.
    Shared,
}

impl Sharing {
    pub(crate) const ALL: [Self; 3] = [Self::Nothing, Self::Quarters, Self::Shared];

    /// The key that the workers use, each time another one.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Nothing => "sk-nothing",
            Self::Quarters => "sk-quarters",
            Self::Shared => "sk-shared",
        }
    }
}

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "each for itself, all limits",
            Self::Quarters => "each for itself, a quarter of them",
            Self::Shared => "limits shared through Redis",
        })
    }
}

impl FromStr for Sharing {
    type Err = String;

    fn from_str(key: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|sharing| sharing.key() == key);
        found.ok_or_else(|| format!("no worker has the key {key}"))
    }
}

/// Works until the process is ended.
pub(crate) async fn work(
    sharing: Sharing,
    number: u32,
    model: SocketAddr,
    redis: &str,
) -> Result<(), AnyError> {
    let part = match sharing {
        Sharing::Quarters => WORKERS,
        Sharing::Nothing | Sharing::Shared => 1,
    };
    // The model enforces its limits by the second, so a hundredth of a minute can be used at once.
    let limits = Limits::new()
        .requests_per_minute((PLAN.requests() / part).into())
        .tokens_per_minute((PLAN.tokens() / part).into())
        .burst(Burst::Percent(if part == 1 { 1 } else { 4 }));
    let limiter = Limiter::builder().limits(limits).build()?;
    // Two workers have much to do, and two ask once a second.
    let (askers, pause) = match number {
        0 => (40, Duration::ZERO),
        1 => (20, Duration::ZERO),
        _ => (1, Duration::from_secs(1)),
    };
    let (model, prompts) = (Model::at(model), Arc::new(Prompt::mixed(1_000)));
    let limiter = match sharing {
        Sharing::Nothing | Sharing::Quarters => Either::Own(Arc::new(limiter)),
        Sharing::Shared => {
            // What to do if Redis does not answer: each worker goes on with a quarter.
            let store = Client::builder(Redis::connect(redis).await?)
                .deadline(Duration::from_millis(500))
                .on_outage(Outage::local_share(1, WORKERS));
            Either::Shared(shared_llm::Limiter::new(limiter, &store, "model/key")?)
        }
    };
    let mut tasks = JoinSet::new();
    for asker in 0..askers {
        let (model, limiter, prompts) = (model.clone(), limiter.clone(), Arc::clone(&prompts));
        tasks.spawn(async move {
            let from = (number as usize * 250 + asker * 17) % prompts.len();
            for prompt in prompts.iter().cycle().skip(from) {
                limiter.ask(&model, sharing.key(), *prompt).await?;
                tokio::time::sleep(pause).await;
            }
            Ok::<(), AnyError>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// A limiter of either kind: they have the same words.
#[derive(Clone)]
enum Either {
    Own(Arc<Limiter>),
    Shared(shared_llm::Limiter),
}

impl Either {
    /// Asks the model once the limits permit it.
    async fn ask(&self, model: &Model, key: &str, prompt: Prompt) -> Result<(), AnyError> {
        match self {
            Self::Own(limiter) => {
                let permit = limiter.acquire(prompt.estimate()).await?;
                permit.end(&model.ask(key, prompt).await?.reply());
            }
            Self::Shared(limiter) => {
                let permit = limiter.acquire(prompt.estimate()).await?;
                permit.end(&model.ask(key, prompt).await?.reply());
            }
        }
        Ok(())
    }
}
