//! Replies of the script as answers.

use std::time::Duration;

use smallvec::SmallVec;
use tollgate::shared::store::{Answer, Ask, Level, Outcome, StoreError, Verb};

use super::Opened;
use super::encode::{Batch, Call, DEBT, MOST_TIMES, is_twice, patience, permits, verb};
use crate::numbers::{Asked, Raw};

/// A reply, of which the first part has been read. `None` means that it is not one that the script
/// gives.
struct Reader<'a>(&'a [u8]);

type Read<T> = Option<T>;

/// What a reply says of an ask. `None`: the script has left it to the one that does all asks.
type MaybeAnswer = Option<Result<Answer, StoreError>>;

impl Batch {
    /// The answers of the asks, from the reply to each call, and the asks without an answer, which
    /// the other script has to do.
    pub(crate) fn answers(
        self,
        opened: &Opened,
        replies: Vec<Result<Vec<u8>, StoreError>>,
    ) -> Answers {
        // By far the most frequent case.
        if let ([call], [Ok(reply)]) = (&self.calls[..], &replies[..])
            && call.members.len() == self.asks.len()
        {
            let read = read(opened, &self.asks, call, reply);
            let answers = read.unwrap_or_else(|error| vec![Some(Err(error)); self.asks.len()]);
            return Answers::new(answers, self.asks);
        }
        let mut answers: Vec<Option<MaybeAnswer>> = self.misfits.iter().map(|_| None).collect();
        for (call, reply) in self.calls.iter().zip(replies) {
            let read = reply.and_then(|reply| read(opened, &self.asks, call, &reply));
            match read {
                Ok(read) => {
                    for (at, answer) in call.members.iter().zip(read) {
                        answers[*at] = Some(answer);
                    }
                }
                Err(error) => {
                    for at in &call.members {
                        answers[*at] = Some(Some(Err(error.clone())));
                    }
                }
            }
        }
        let without_call = |misfit: Option<&'static str>| {
            Some(Err(misfit.map_or_else(no_reply, StoreError::Misfit)))
        };
        let each = answers.into_iter().zip(&self.misfits);
        let answers: Vec<MaybeAnswer> =
            each.map(|(answer, misfit)| answer.unwrap_or_else(|| without_call(*misfit))).collect();
        Answers::new(answers, self.asks)
    }
}

/// The answers to a batch.
pub(crate) struct Answers {
    answers: Vec<MaybeAnswer>,
    /// The asks without an answer.
    pub(crate) left: Vec<Ask>,
}

impl Answers {
    fn new(answers: Vec<MaybeAnswer>, asks: Vec<Ask>) -> Self {
        let mut left = Vec::new();
        if answers.iter().any(Option::is_none) {
            let unanswered = asks.into_iter().zip(&answers);
            left.extend(unanswered.filter(|(_, answer)| answer.is_none()).map(|(ask, _)| ask));
        }
        Self { answers, left }
    }

    /// All answers, those that were missing among them.
    pub(crate) fn with(
        self,
        missing: Vec<Result<Answer, StoreError>>,
    ) -> Vec<Result<Answer, StoreError>> {
        let mut missing = missing.into_iter();
        let mut next = || missing.next().unwrap_or_else(|| Err(no_reply()));
        self.answers.into_iter().map(|answer| answer.unwrap_or_else(&mut next)).collect()
    }
}

fn no_reply() -> StoreError {
    StoreError::Unreadable("no reply belongs to the ask".into())
}

/// The time on the clock of the decision, in µs, that a reply begins with.
pub(crate) fn clock(reply: &[u8]) -> Option<u64> {
    Reader(reply).number()
}

/// The answers to one call. A reply that is too short or too long by anything is not believed at
/// all.
fn read(
    opened: &Opened,
    asks: &[Ask],
    call: &Call,
    reply: &[u8],
) -> Result<Vec<MaybeAnswer>, StoreError> {
    let mut reader = Reader(reply);
    let mut all = || {
        reader.number()?;
        let members = call.members.iter().map(|at| reader.answer(opened, call, &asks[*at]));
        let mut answers = Vec::with_capacity(call.members.len());
        for answer in members {
            answers.push(answer?);
        }
        reader.0.is_empty().then_some(answers)
    };
    all().ok_or_else(|| {
        let length = reply.len();
        StoreError::Unreadable(format!("a reply of {length} bytes is not one of the script"))
    })
}

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    /// A whole number below 2^53.
    fn number(&mut self) -> Read<u64> {
        let number = f64::from_le_bytes(self.bytes()?);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked before"
        )]
        let whole = || number as u64;
        ((0.0..9_007_199_254_740_992.0).contains(&number) && number.fract() == 0.0).then(whole)
    }

    fn flag(&mut self) -> Read<bool> {
        match self.bytes()? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    fn raw(&mut self) -> Read<Raw> {
        Some([self.number()?, self.number()?, self.number()?])
    }

    fn answer(&mut self, opened: &Opened, call: &Call, ask: &Ask) -> Read<MaybeAnswer> {
        let done = match self.bytes()? {
            [0] => true,
            [1] => false,
            [2] => return Some(Some(Ok(Answer::new(Outcome::Expired, 0, [])))),
            [3] => return self.error().map(|error| Some(Err(error))),
            [4] if call.is_plain => return Some(None),
            _ => return None,
        };
        let count = self.number()?;
        let (mut levels, mut after) = (SmallVec::<[Level; 2]>::new(), Duration::ZERO);
        // The script was told of at most so many times.
        let count = if count >= MOST_TIMES { ask.count } else { count };
        if count > ask.count {
            return None;
        }
        let (verb, is_twice) = (verb(ask), is_twice(opened, ask));
        let times = if verb == Verb::TakeUpTo { count.max(1) } else { 1 };
        for part in &ask.parts {
            let (is_done, now) = (self.flag()?, self.number()?);
            let limits = &opened.namespaces[part.namespace].limits;
            for (limit, charge) in limits.iter().zip(&part.charges) {
                let raw = self.raw()?;
                let before = if is_twice { Some(self.raw()?) } else { None };
                let permits = permits(ask, *charge).saturating_mul(times.into());
                let (is_free, patience) = (charge.cost == 0, patience(ask));
                let receipt = charge.receipt;
                let asked = Asked { verb, permits, is_free, is_done, patience, receipt, now };
                let (level, later) = limit[charge.quota].level(raw, before, asked);
                levels.push(level);
                if !part.shadow {
                    after = after.max(later);
                }
            }
        }
        let outcome = if done { Outcome::Done { after } } else { Outcome::Refused };
        let mut answer = Answer::new(outcome, count, []);
        answer.levels = levels;
        Some(Some(Ok(answer)))
    }

    /// An error of one ask. It was found before anything was written, but for one case, which says
    /// so.
    fn error(&mut self) -> Read<StoreError> {
        let length = usize::from(u16::from_le_bytes(self.bytes()?));
        let text = String::from_utf8_lossy(self.0.get(..length)?).into_owned();
        self.0 = &self.0[length..];
        Some(match text.split(' ').next() {
            Some("DEBT") => StoreError::Misfit(DEBT),
            Some("PARTLY") => StoreError::Unreadable(text),
            Some("FOREIGN" | "WRONGTYPE") => StoreError::Foreign(text),
            _ => StoreError::Refused(text),
        })
    }
}
