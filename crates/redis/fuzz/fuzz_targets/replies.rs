//! Any bytes as the reply of the script to any asks.
#![no_main]
#![allow(dead_code, reason = "only a part of the modules is fuzzed")]

#[path = "../../src/names.rs"]
mod names;
#[path = "../../src/numbers/mod.rs"]
mod numbers;
#[path = "../../tests/support/verbs.rs"]
mod verbs;
#[path = "../../src/wire/mod.rs"]
mod wire;

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tollgate::Quota;
use tollgate::shared::store::{
    Answer, Ask, Charge, LimitSpec, Namespace, Outcome, Part, Receipt, Rule, StoreError,
};
use verbs::VERBS;
use wire::{Batch, Opened};

type Answers = Vec<Result<Answer, StoreError>>;

/// Bytes that decide something; zeros once they are used up.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: u8) -> usize {
        usize::from(self.byte() % end)
    }

    /// A number of any size.
    fn number(&mut self) -> u64 {
        let (bits, low) = (self.byte(), u64::from(self.byte()));
        match bits % 64 {
            0..8 => low,
            bits => (1_u64 << bits).wrapping_add(low).wrapping_sub(3),
        }
    }

    /// As [`number`](Self::number), as the script sends it. Now and then it is none.
    fn push_number(&mut self, bytes: &mut Vec<u8>) {
        let number = match self.number() {
            number if number < 1 << 53 => number as f64,
            number if number % 3 == 0 => -1.0,
            number if number % 3 == 1 => f64::NAN,
            _ => 0.5,
        };
        bytes.extend_from_slice(&number.to_le_bytes());
    }
}

fn namespaces() -> Vec<Namespace> {
    let rules = [Rule::TokenBucket, Rule::FixedWindow, Rule::SlidingWindow, Rule::StrictWindow];
    let quotas = [
        Quota::per_second(10),
        Quota::per(7, Duration::from_secs(3)),
        Quota::per(1 << 40, Duration::from_secs(86_400)),
    ];
    let limit = |rule: Rule| {
        let mut limit = LimitSpec::new(format!("{rule:?}"), rule, quotas[0]);
        limit.quotas = quotas.to_vec();
        limit
    };
    let alone = rules.map(|rule| Namespace::new(format!("{rule:?}"), vec![limit(rule)]));
    alone.into_iter().chain([Namespace::new("all", rules.map(limit).to_vec())]).collect()
}

fn ask(choices: &mut Choices<'_>) -> Ask {
    let verb = VERBS[usize::from(choices.byte()) % VERBS.len()];
    let count = choices.number();
    let parts = (0..1 + choices.below(3)).map(|_| {
        let namespace = choices.below(5);
        let charges = (0..if namespace == 4 { 4 } else { 1 }).map(|_| {
            let mut charge = Charge::new(choices.number());
            charge.quota = choices.below(3);
            charge.receipt = Receipt::new(choices.number(), choices.number());
            charge
        });
        let charges: Vec<_> = charges.collect();
        let subject = ["alice", "bob"][choices.below(2)];
        let mut part = Part::new(namespace, subject, charges);
        part.shadow = choices.below(4) == 3;
        part
    });
    let parts: Vec<_> = parts.collect();
    let mut ask = Ask::over(verb, count, parts);
    ask.patience = Duration::from_micros(choices.number());
    ask
}

/// A reply to these asks that has the right form, or nearly.
fn reply(asks: &[Ask], choices: &mut Choices<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    choices.push_number(&mut bytes);
    for ask in asks {
        let status = choices.byte() % 16;
        bytes.push(match status {
            0..7 => 0,
            7..12 => 1,
            12 => 2,
            13 => 3,
            14 => 4,
            _ => choices.byte(),
        });
        match bytes.last() {
            Some(0 | 1) => {}
            Some(3) => {
                let texts = ["DEBT", "WRONGTYPE x", "PARTLY", "FOREIGN", "OOM", ""];
                let text = texts[choices.below(6)];
                bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
                bytes.extend_from_slice(text.as_bytes());
                continue;
            }
            _ => continue,
        }
        let count = choices.number().min(ask.count);
        bytes.extend_from_slice(&(count as f64).to_le_bytes());
        let subject = |part: &Part| (part.namespace, part.subject.clone());
        let is_twice =
            ask.parts.iter().enumerate().any(|(at, part)| {
                ask.parts[..at].iter().any(|other| subject(other) == subject(part))
            });
        for part in &ask.parts {
            bytes.push(choices.byte() % 2);
            choices.push_number(&mut bytes);
            for _ in 0..part.charges.len() * if is_twice { 6 } else { 3 } {
                choices.push_number(&mut bytes);
            }
        }
    }
    if choices.below(8) == 7 {
        let at = usize::from(choices.byte()) % bytes.len();
        bytes[at] = choices.byte();
    }
    bytes
}

fn decode(opened: &Opened, asks: &[Ask], may_be_plain: bool, reply: &[u8]) -> Answers {
    let batch = Batch::new(opened, asks.to_vec(), false, may_be_plain, |_| None);
    assert!(batch.calls.len() <= 1, "few asks are one call");
    let replies = batch.calls.iter().map(|_| Ok(reply.to_vec())).collect();
    batch.answers(opened, replies).with(Vec::new())
}

fn check(asks: &[Ask], answers: &Answers) {
    assert_eq!(answers.len(), asks.len());
    for (ask, answer) in asks.iter().zip(answers) {
        let Ok(answer) = answer else { continue };
        if answer.outcome == Outcome::Expired {
            assert!(answer.levels.is_empty() && answer.count == 0);
            continue;
        }
        assert!(answer.count <= ask.count);
        let charges = ask.parts.iter().flat_map(|part| &part.charges);
        assert_eq!(answer.levels.len(), charges.count());
        for level in &answer.levels {
            assert!(level.used == 0 || level.remaining < 1 << 40, "{level:?}");
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices(input);
    let namespaces = namespaces();
    let Ok(opened) = Opened::new("prefix:", &namespaces) else { panic!("all quotas are exact") };
    let (is_raw, may_be_plain) = (choices.below(4) == 3, choices.below(2) == 1);
    let asks: Vec<_> = (0..choices.below(4)).map(|_| ask(&mut choices)).collect();
    let bytes = if is_raw { choices.0.to_vec() } else { reply(&asks, &mut choices) };
    let answers = decode(&opened, &asks, may_be_plain, &bytes);
    check(&asks, &answers);
    // A reply is read whole or not at all.
    let is_read = |answers: &Answers| {
        answers
            .iter()
            .any(|answer| !matches!(answer, Err(StoreError::Unreadable(_) | StoreError::Misfit(_))))
    };
    if is_read(&answers) {
        let longer = [&bytes[..], &[0]].concat();
        for other in [&bytes[..bytes.len() - 1], &longer] {
            assert!(!is_read(&decode(&opened, &asks, may_be_plain, other)));
        }
    }
});
