//! Asks over several subjects, for a store that can't do them in one call, such as a cluster.
//!
//! Each part of such an ask goes out as an ask of its own, all within the one deadline.
//!
//! A take asks its enforced parts in their order. If one of them refuses, what the parts before it
//! have taken is given back, so that all or nothing holds in the end. In between, others may be
//! refused for permits that come back at once, but nothing is ever granted twice. The other parts
//! only tell their levels then: they are looked at. Shadows come last, since they take only if
//! everybody else has passed.
//!
//! All other verbs refuse nothing, so their parts are asked at the same time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::joined::joined;
use super::{Client, Server};
use crate::shared::race::all;
use crate::shared::store::{Answer, Ask, Level, Outcome, Verb, Verdict};
use crate::shared::{AskError, Decision, Source};

impl Client {
    /// Whether the parts of an ask must go out as asks of their own.
    pub(super) fn must_divide(&self, ask: &Ask) -> bool {
        ask.parts.len() > 1 && !self.spans_subjects()
    }

    /// Decides an ask whose parts go out as asks of their own.
    pub(super) async fn ask_divided(
        &self,
        time: Duration,
        ask: &Ask,
    ) -> Result<Decision, AskError> {
        let divided = Divided { client: self, ask, time, started: Instant::now() };
        match ask.verb {
            Verb::Take => divided.take().await,
            Verb::TakeUpTo => Err(AskError::Misfit(
                "this store charges each subject by itself, so it can't take as much as several \
                 have: take a fixed count, or ask for one subject",
            )),
            Verb::Look
            | Verb::Consume
            | Verb::Raise
            | Verb::Credit
            | Verb::HandBack
            | Verb::Cancel
            | Verb::Reset => divided.each_by_itself().await,
        }
    }
}

/// An ask whose parts go out as asks of their own.
#[derive(Clone, Copy)]
struct Divided<'a> {
    client: &'a Client,
    ask: &'a Ask,
    time: Duration,
    started: Instant,
}

/// What one part has answered, and what it has taken for it.
struct Told {
    answer: Answer,
    taken: Option<Taken>,
}

impl Divided<'_> {
    /// Takes from all enforced parts or from none.
    async fn take(self) -> Result<Decision, AskError> {
        let (client, parts) = (self.client, &self.ask.parts);
        let enforced = || (0..parts.len()).filter(|at| !parts[*at].shadow);
        let mut answers: Vec<Option<Answer>> = vec![None; parts.len()];
        for at in enforced() {
            answers[at] = client.common.refusals.answer_to(&self.part(at, Verb::Take));
        }
        let was_known = answers.iter().any(Option::is_some);
        let source = if was_known { Source::Cached } else { Source::Shared };
        let mut is_refused = was_known;
        // What was taken last is given back first: that matters if two parts have one subject.
        let mut taken = VecDeque::with_capacity(parts.len());
        if !is_refused {
            let mut servers = enforced().map(|at| client.server_of(&self.part(at, Verb::Take)));
            if let Some(out) = servers.find(|server| server.is_out()) {
                return out.without_store(self.ask);
            }
        }
        for at in enforced() {
            if is_refused {
                break;
            }
            let part = self.part(at, Verb::Take);
            let sent = Instant::now();
            let Some(answer) = client.ask_store(self.left(), &part, sent).await? else {
                drop(taken);
                return client.server_of(&part).without_store(self.ask);
            };
            answers[at] = Some(answer.clone());
            is_refused = answer.outcome == Outcome::Refused;
            if is_refused {
                client.note(&part, &answer, sent);
            } else {
                taken.push_front(Taken::new(client, part, answer));
            }
        }
        if is_refused {
            taken.clear();
        }
        // What is left to be asked can't change the decision any more.
        let verb = if is_refused { Verb::Look } else { Verb::Take };
        let rest: Vec<usize> = (0..parts.len()).filter(|at| answers[*at].is_none()).collect();
        let told = all(rest.iter().map(|at| self.tell(self.part(*at, verb)))).await;
        for (at, told) in rest.into_iter().zip(told) {
            let told = told?;
            answers[at] = Some(told.answer);
            taken.extend(told.taken);
        }
        for taken in taken {
            taken.keep(client);
        }
        let answers = answers.into_iter().flatten().collect();
        Ok(Decision { answer: joined(self.ask, answers, &client.common.fallback()), source })
    }

    /// What a part answers that can't change the decision. If its server does not answer, the
    /// outage mode says what to tell, or else nothing is known to be in use.
    async fn tell(self, part: Ask) -> Result<Told, AskError> {
        let client = self.client;
        if let Some(answer) = client.ask_store(self.left(), &part, Instant::now()).await? {
            // A shadow has taken nothing if one of its limits refuses.
            let is_granted = |level: &Level| level.verdict == Verdict::Granted;
            let took = part.verb == Verb::Take && answer.levels.iter().all(is_granted);
            let taken = took.then(|| Taken::new(client, part, answer.clone()));
            return Ok(Told { answer, taken });
        }
        let answer = match client.server_of(&part).without_store(&part) {
            Ok(decision) => decision.answer,
            Err(_) => client.common.fallback().granted(&part),
        };
        Ok(Told { answer, taken: None })
    }

    /// Asks all parts at the same time. The outage mode decides those of which the server does not
    /// answer.
    async fn each_by_itself(self) -> Result<Decision, AskError> {
        let client = self.client;
        let parts = (0..self.ask.parts.len()).map(|at| self.part(at, self.ask.verb));
        let sent = Instant::now();
        let decisions = all(parts.map(|part| async move {
            match client.ask_store(self.left(), &part, sent).await? {
                Some(answer) => {
                    client.note(&part, &answer, sent);
                    Ok(Decision { answer, source: Source::Shared })
                }
                None => client.server_of(&part).without_store(&part),
            }
        }));
        let decisions: Vec<Decision> = decisions.await.into_iter().collect::<Result<_, _>>()?;
        let mut sources = decisions.iter().map(|decision| decision.source);
        let source = sources.find(|source| *source != Source::Shared).unwrap_or(Source::Shared);
        let answers = decisions.into_iter().map(|decision| decision.answer).collect();
        Ok(Decision { answer: joined(self.ask, answers, &client.common.fallback()), source })
    }

    /// The ask of one part. Whoever waits for permits has waited for the parts before it already.
    fn part(self, at: usize, verb: Verb) -> Ask {
        let mut ask = Ask::of(verb, self.ask.count, self.ask.parts[at].clone());
        ask.patience = self.ask.patience.saturating_sub(self.started.elapsed());
        ask
    }

    /// How much of the time is left.
    fn left(self) -> Duration {
        self.time.saturating_sub(self.started.elapsed())
    }
}

/// What a part has taken. It is given back, unless it is kept.
struct Taken {
    server: Arc<Server>,
    ask: Ask,
    answer: Answer,
    is_kept: bool,
}

impl Taken {
    fn new(client: &Client, ask: Ask, answer: Answer) -> Self {
        Self { server: Arc::clone(client.server_of(&ask)), ask, answer, is_kept: false }
    }

    fn keep(mut self, client: &Client) {
        client.note(&self.ask, &self.answer, Instant::now());
        self.is_kept = true;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.is_kept {
            self.server.give_back(&self.ask, &self.answer);
            // Whoever was refused for want of these permits may have them.
            self.server.common.refusals.note(&self.ask, &self.answer, Instant::now());
        }
    }
}
