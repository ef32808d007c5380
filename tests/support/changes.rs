//! Changing the limits while they are in use.

use tollgate::CarryOver;
use tollgate::algorithm::Algorithm;

use super::answer::Answer;
use super::any_rule::Rules;
use super::build::{Refusal, names, rules};
use super::session::Session;
use super::vector::{Limit, Step};

impl Session<'_> {
    pub(super) fn set_rate(&mut self, step: &Step) -> Result<Answer, Refusal> {
        let unlimited = step.flag("unlimited") || step.arg("refill_tokens").is_string();
        let mut limits = self.limits.clone();
        if let (Some(limit), false) = (limits.first_mut(), unlimited) {
            limit.refill_tokens = step.arg("refill_tokens").clone();
            if let Some(period) = step.int("refill_period") {
                limit.refill_period = period.saturating_mul(self.vector.times.unit);
            }
        }
        self.install(limits, unlimited, CarryOver::Keep)
    }

    pub(super) fn set_burst(&mut self, step: &Step) -> Result<Answer, Refusal> {
        let mut limits = self.limits.clone();
        let unlimited = self.rules[0].quota().is_unlimited();
        if let (Some(limit), Some(burst)) =
            (limits.first_mut(), step.int_of(&["capacity", "burst", "n"]))
        {
            limit.capacity = burst;
        }
        self.install(limits, unlimited, CarryOver::Keep)
    }

    pub(super) fn replace(&mut self, step: &Step) -> Result<Answer, Refusal> {
        let how = match step.arg("strategy").as_str() {
            Some("as_is") => CarryOver::Keep,
            Some("proportional" | "proportionally") => CarryOver::Proportional,
            Some("additive") => CarryOver::AddDifference,
            Some("reset") => CarryOver::Full,
            other => panic!("unknown strategy {other:?}"),
        };
        let limits = step.limits(self.vector.times);
        let (old, new) = (names(&self.limits, 0), names(&limits, 1));
        let new_and_not_full = limits.iter().zip(&new).any(|(limit, name)| {
            !old.contains(name) && limit.initial.is_some_and(|initial| initial < limit.capacity)
        });
        let answer = self.install(limits, false, how)?;
        Ok(if new_and_not_full { Answer::Missing } else { answer })
    }

    pub(super) fn install(
        &mut self,
        limits: Vec<Limit>,
        unlimited: bool,
        how: CarryOver,
    ) -> Result<Answer, Refusal> {
        let rules = rules(&limits, unlimited)?;
        self.replacements += 1;
        let mut names = names(&limits, self.replacements);
        names.resize(rules.len(), String::new());
        let all = Rules::new(names.into_iter().zip(rules.iter().cloned()))?;
        self.limiter.set_algorithm(how, |_| Ok(all))?;
        (self.rules, self.limits) = (rules, limits);
        Ok(Answer::Done)
    }
}
