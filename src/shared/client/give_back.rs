//! Taking back what was taken for somebody who does not wait any more.

use std::time::Duration;

use crate::shared::store::{Answer, Ask, Outcome, Verb, Verdict};

/// What gives back the permits that `ask` has taken, if it took any.
pub(crate) fn give_back(ask: &Ask, answer: &Answer) -> Option<Ask> {
    let Outcome::Done { after } = answer.outcome else { return None };
    if !matches!(ask.verb, Verb::Take | Verb::TakeUpTo) || answer.count == 0 {
        return None;
    }
    let mut back = ask.clone();
    back.verb = if after.is_zero() { Verb::HandBack } else { Verb::Cancel };
    back.count = answer.count;
    (back.patience, back.lifetime) = (Duration::ZERO, Duration::MAX);
    let mut levels = answer.levels.iter();
    for part in &mut back.parts {
        for (charge, level) in part.charges.iter_mut().zip(&mut levels) {
            charge.receipt = level.receipt;
            // A shadow part has taken its permits only if they were there.
            if level.verdict != Verdict::Granted {
                charge.cost = 0;
            }
        }
    }
    Some(back)
}
