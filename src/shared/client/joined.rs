//! One answer made of those of the parts of an ask, each of which was asked by itself.

use std::time::Duration;

use crate::shared::outage::Fallback;
use crate::shared::store::{Answer, Ask, Level, Outcome, Part, Receipt, Verb, Verdict};

/// The answer to an ask, of which these are the answers to its parts, in their order.
pub(super) fn joined(ask: &Ask, mut answers: Vec<Answer>, fallback: &Fallback) -> Answer {
    let mut each = ask.parts.iter().zip(&answers);
    if each.any(|(part, answer)| !part.shadow && answer.outcome == Outcome::Refused) {
        if matches!(ask.verb, Verb::Take | Verb::Look) {
            for (part, answer) in ask.parts.iter().zip(&mut answers) {
                untake(ask.count, part, answer, fallback);
            }
        }
        return Answer::new(Outcome::Refused, 0, levels(answers));
    }
    let after = |answer: &Answer| match answer.outcome {
        Outcome::Done { after } => after,
        Outcome::Refused | Outcome::Expired => Duration::ZERO,
    };
    let after = answers.iter().map(after).max().unwrap_or_default();
    Answer::new(Outcome::Done { after }, ask.count, levels(answers))
}

fn levels(answers: Vec<Answer>) -> impl Iterator<Item = Level> {
    answers.into_iter().flat_map(|answer| answer.levels)
}

/// Makes the levels of a part what they are without its charges, which another part has prevented.
/// How long they still need until they are full is left as it was with the charges.
fn untake(count: u64, part: &Part, answer: &mut Answer, fallback: &Fallback) {
    // Such a part has taken nothing, and its levels say so.
    if answer.levels.iter().any(|level| level.verdict != Verdict::Granted) {
        return;
    }
    let charges = part.charges.iter().zip(fallback.bursts(part));
    for (level, (charge, burst)) in answer.levels.iter_mut().zip(charges) {
        level.receipt = Receipt::default();
        let permits = charge.cost.saturating_mul(count);
        if permits == 0 {
            continue;
        }
        // Of permits that were taken for later, the wait is part of the verdict. Otherwise it is
        // that for the next permit, and there are some now.
        if level.used <= burst {
            level.wait = Duration::ZERO;
        }
        level.used = level.used.saturating_sub(permits);
        level.remaining = burst.saturating_sub(level.used);
        if level.used == 0 {
            level.full_after = Duration::ZERO;
        }
    }
}
