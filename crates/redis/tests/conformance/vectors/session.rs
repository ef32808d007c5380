//! A store in the middle of a vector: what each operation asks of it.

use std::time::Duration;

use tollgate::algorithm::Algorithm;
use tollgate::shared::store::{Ask, Outcome, Rule, Verb, Verdict};
use tollgate::{Clock, ManualClock, Quota, RateLimiter};

use super::answer::Answer;
use super::any_rule::AnyRule;
use super::build;
use super::vector::{Limit, Step, Vector};
use crate::over_store::OverStore;
use crate::place::TICK;

pub(super) struct Session<'a> {
    vector: &'a Vector,
    clock: &'a ManualClock,
    /// Nothing, if the quotas are refused.
    limiter: Option<OverStore>,
    limits: Vec<Limit>,
    /// What gives a reservation back, by its name.
    held: Vec<(Option<String>, Ask)>,
}

/// What a store says to an operation.
pub(super) enum Said {
    Answer(Answer),
    /// A store has no word for it; nothing has changed.
    NoWord(&'static str),
    /// A store has no word for it, and from here on has another state than upstream.
    Ends(&'static str),
}

type Limits = Vec<(Rule, Quota)>;

/// The limits of a vector under the rules of a store. `None` if a quota is not valid.
fn limits(limits: &[Limit]) -> Result<Option<Limits>, &'static str> {
    let Ok(rules) = build::rules(limits, false) else { return Ok(None) };
    let each = rules.iter().zip(limits).map(|(rule, limit)| {
        let quota = rule.quota();
        match rule {
            _ if quota.is_unlimited() => Err("a store refuses an unlimited quota"),
            AnyRule::Greedy(_) => Ok((Rule::TokenBucket, quota)),
            AnyRule::Interval(_)
                if quota.permits() == quota.burst_size() && limit.first_refill.is_none() =>
            {
                Ok((Rule::FixedWindow, quota))
            }
            AnyRule::Interval(_) => {
                Err("of interval refills, stores have windows from the first use")
            }
        }
    });
    each.collect::<Result<_, _>>().map(Some)
}

impl<'a> Session<'a> {
    pub(super) fn new(vector: &'a Vector, clock: &'a ManualClock) -> Result<Self, &'static str> {
        if vector.unlimited {
            return Err("a store refuses an unlimited quota");
        }
        if vector.limits.is_empty() {
            return Err("it is about quotas alone");
        }
        let used = |limit: &Limit| {
            let used =
                limit.initial.map_or(Ok(0), |initial| u64::try_from(limit.capacity - initial));
            used.map_err(|_| "nothing fills a bucket beyond its burst")
        };
        let used = vector.limits.iter().map(used).collect::<Result<Vec<_>, _>>();
        let limiter = match limits(&vector.limits)? {
            None => None,
            Some(limits) => {
                let limiter = OverStore::new(&limits, clock);
                let limiter = limiter.map_err(|_| "the store can't keep the quota exactly")?;
                let mut consume = limiter.asked(Verb::Consume, 1);
                for (charge, used) in consume.parts[0].charges.iter_mut().zip(used?) {
                    charge.cost = used;
                }
                limiter.answer(consume);
                Some(limiter)
            }
        };
        Ok(Self { vector, clock, limiter, limits: vector.limits.clone(), held: Vec::new() })
    }

    pub(super) fn step(&mut self, step: &Step) -> Said {
        let no_word = match step.op.as_str() {
            "every" | "emission_interval" => Some("quotas are no matter of a store"),
            "fraction" => Some("a store tells whole permits"),
            "metrics" => Some("a store counts nothing"),
            "force_add" => Some("nothing fills a bucket beyond its burst"),
            _ => None,
        };
        if let Some(why) = no_word {
            return if step.op == "force_add" { Said::Ends(why) } else { Said::NoWord(why) };
        }
        let Some(limiter) = &self.limiter else { return Said::Answer(Answer::Error) };
        let Ok(n) = u64::try_from(step.int("n").unwrap_or(1)) else {
            return Said::Answer(Answer::Error);
        };
        Said::Answer(match step.op.as_str() {
            "build" => Answer::Done,
            "allow" => Answer::Bool(limiter.allow_n(n)),
            "tokens" => match step.expect.as_ref().and_then(serde_json::Value::as_i64) {
                Some(_) => Answer::Int(available(limiter)),
                None => return Said::NoWord("a store tells whole permits"),
            },
            "available" => Answer::Int(available(limiter)),
            "available_each" => Answer::List(available_each(limiter)),
            "time_to_full" => nanos(limiter.usage().reset_after),
            "consume_max" => consume_max(limiter, step),
            "poll_allow" => return self.poll_allow(limiter, step, n),
            "concurrent_allow" => concurrent_allow(limiter, step, n),
            "probe" | "estimate" => {
                let verb = if step.op == "probe" { Verb::Take } else { Verb::Look };
                let (ok, wait) = taken(limiter, verb, n);
                Answer::Fields(vec![
                    ("ok", Answer::Bool(ok)),
                    ("available", Answer::Int(available(limiter))),
                    ("wait", wait),
                ])
            }
            "check" => check(limiter, n),
            "delay_for" if n > limiter.usage().limit => {
                return Said::NoWord("more than the burst never passes");
            }
            "delay_for" | "retry_in" => taken(limiter, Verb::Look, n).1,
            "consume_debt" | "take" => {
                if limiter.try_answer(limiter.asked(Verb::Consume, n)).is_err() {
                    return Said::Ends("the store can't keep so large a debt");
                }
                // Nothing can be taken while a limit is in debt.
                let paid = taken(limiter, Verb::Look, 0).1;
                if step.op == "take" { Answer::Done } else { paid }
            }
            "add" => {
                limiter.credit(n);
                Answer::Done
            }
            "reset" => {
                limiter.reset();
                Answer::Done
            }
            "reserve" => return Said::Answer(self.reserve(step, n)),
            "cancel" => {
                let name = step.arg("of").as_str();
                let held = self.held.iter().position(|(held, _)| held.as_deref() == name);
                if let Some(place) = held {
                    limiter.answer(self.held.remove(place).1);
                }
                Answer::Done
            }
            "wait" | "wait_max" => return self.wait(limiter, step, n),
            "set_rate" => return self.set_rate(step),
            "set_burst" => return Said::Ends("a store carries shares over, and not permits"),
            "replace" => return self.replace(step),
            other => panic!("unknown operation {other}"),
        })
    }

    fn reserve(&mut self, step: &Step, n: u64) -> Answer {
        let limiter = self.limiter.as_ref().expect("a limiter");
        let mut ask = limiter.asked(Verb::Take, n);
        ask.patience = step.int("max_wait").map_or(Duration::MAX, |max| self.duration(max));
        let answer = limiter.answer(ask.clone());
        let Outcome::Done { after } = answer.outcome else {
            return Answer::Fields(vec![
                ("ok", Answer::Bool(false)),
                ("act_at", Answer::Nanos(None)),
            ]);
        };
        ask.verb = if after.is_zero() { Verb::HandBack } else { Verb::Cancel };
        ask.patience = Duration::ZERO;
        for (charge, level) in ask.parts[0].charges.iter_mut().zip(&answer.levels) {
            charge.receipt = level.receipt;
        }
        self.held.push((step.arg("name").as_str().map(str::to_owned), ask));
        let act_at = self.vector.times.of_clock(self.clock.now() + after);
        Answer::Fields(vec![("ok", Answer::Bool(true)), ("act_at", Answer::At(act_at))])
    }

    /// Takes for later, and lets the time pass.
    fn wait(&self, limiter: &OverStore, step: &Step, n: u64) -> Said {
        if step.flag("cancelled") || step.int("cancel_at").is_some() {
            return Said::Ends("a caller that waits is no matter of a store");
        }
        let mut ask = limiter.asked(Verb::Take, n);
        let max = step.int("max_wait").map(|max| self.duration(max));
        let deadline = step.int("deadline").map(|t| self.vector.times.on_clock(t));
        let until = deadline.map(|at| at.as_nanos().saturating_sub(self.clock.now().as_nanos()));
        ask.patience = max.or(until.map(Duration::from_nanos)).unwrap_or(Duration::MAX);
        let name = if step.op == "wait" { "elapsed" } else { "slept" };
        let (ok, waited) = match limiter.answer(ask).outcome {
            Outcome::Done { after } => (true, after),
            _ => (false, Duration::ZERO),
        };
        self.clock.advance(waited);
        Said::Answer(Answer::Fields(vec![("ok", Answer::Bool(ok)), (name, nanos(waited))]))
    }

    fn poll_allow(&self, limiter: &OverStore, step: &Step, n: u64) -> Said {
        let (Some(every), Some(until)) = (step.int("every"), step.int("until")) else {
            panic!("an interval and an end")
        };
        let mut t = step.t.unwrap_or(self.vector.start);
        let mut granted = 0;
        while t < until {
            self.clock.set(self.vector.times.on_clock(t));
            granted += i128::from(limiter.allow_n(n));
            t += every;
        }
        Said::Answer(Answer::Int(granted))
    }

    /// With the same burst, what is used and the used share are the same.
    fn set_rate(&mut self, step: &Step) -> Said {
        if step.flag("unlimited") || step.arg("refill_tokens").is_string() {
            return Said::Ends("a store refuses an unlimited quota");
        }
        let mut new = self.limits.clone();
        new[0].refill_tokens = step.arg("refill_tokens").clone();
        if let Some(period) = step.int("refill_period") {
            new[0].refill_period = period.saturating_mul(self.vector.times.unit);
        }
        self.change(new)
    }

    fn replace(&mut self, step: &Step) -> Said {
        let new = step.limits(self.vector.times);
        let is_share =
            matches!(step.arg("strategy").as_str(), Some("proportional" | "proportionally"));
        if !is_share || new.len() != self.limits.len() {
            return Said::Ends("a store carries shares over, and not permits");
        }
        self.change(new)
    }

    fn change(&mut self, new: Vec<Limit>) -> Said {
        let limiter = self.limiter.as_ref().expect("a limiter");
        match limits(&new) {
            Ok(Some(changed)) => {
                let quotas: Vec<_> = changed.iter().map(|(_, quota)| *quota).collect();
                if limiter.set_quotas(&quotas).is_err() {
                    return Said::Ends("the store can't keep the quota exactly");
                }
                self.limits = new;
                Said::Answer(Answer::Done)
            }
            Ok(None) => Said::Answer(Answer::Error),
            Err(why) => Said::Ends(why),
        }
    }

    fn duration(&self, time: i128) -> Duration {
        let nanos = time.saturating_mul(self.vector.times.unit).max(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

fn available_each(limiter: &OverStore) -> Vec<i128> {
    let answer = limiter.ask(Verb::Look, 0);
    let each = answer.levels.iter().zip(limiter.quotas());
    each.map(|(level, quota)| i128::from(quota.burst_size()) - i128::from(level.used)).collect()
}

/// The permits of the limit that has the least; below zero, the debt.
fn available(limiter: &OverStore) -> i128 {
    available_each(limiter).into_iter().min().expect("a limit")
}

/// Whether all limits pass so many permits, and the longest of their waits.
fn taken(limiter: &OverStore, verb: Verb, n: u64) -> (bool, Answer) {
    let answer = limiter.ask(verb, n);
    if answer.levels.iter().any(|level| level.verdict == Verdict::Never) {
        return (false, Answer::Nanos(None));
    }
    let refusing = answer.levels.iter().filter(|level| level.verdict == Verdict::Refused);
    let wait = refusing.map(|level| level.wait).max().unwrap_or_default();
    (matches!(answer.outcome, Outcome::Done { .. }), nanos(wait))
}

/// redis-cell's reply.
fn check(limiter: &OverStore, n: u64) -> Answer {
    let (ok, wait) = taken(limiter, Verb::Take, n);
    let usage = limiter.usage();
    Answer::Fields(vec![
        ("limited", Answer::Bool(!ok)),
        ("limit", Answer::Int(usage.limit.into())),
        ("remaining", Answer::Int(usage.remaining.into())),
        ("retry_after", if ok { Answer::Nanos(None) } else { wait }),
        ("reset_after", nanos(usage.reset_after)),
    ])
}

/// Asks on as many threads as the vector says.
fn concurrent_allow(limiter: &OverStore, step: &Step, n: u64) -> Answer {
    let calls = step.int_of(&["calls", "callers", "threads", "requests", "count", "times"]);
    let granted = std::thread::scope(|scope| {
        let calls = 0..calls.expect("a number of calls");
        let callers: Vec<_> = calls.map(|_| scope.spawn(|| limiter.allow_n(n))).collect();
        let answers = callers.into_iter().map(|caller| caller.join().expect("no panic"));
        answers.filter(|granted| *granted).count()
    });
    Answer::Int(i128::try_from(granted).expect("a count fits"))
}

fn consume_max(limiter: &OverStore, step: &Step) -> Answer {
    match u64::try_from(step.int("limit").unwrap_or(u64::MAX.into())) {
        Ok(limit) => Answer::Int(limiter.try_acquire_up_to(limit).into()),
        Err(_) => Answer::Error,
    }
}

/// A wait, rounded up to what all stores tell apart.
fn nanos(duration: Duration) -> Answer {
    let tick = TICK.as_nanos();
    Answer::Nanos(i128::try_from(duration.as_nanos().next_multiple_of(tick)).ok())
}
