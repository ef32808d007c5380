//! Replies that are not what the script sends.

use std::sync::Arc;

use tollgate::Quota;
use tollgate::shared::store::{
    Answer, Ask, Charge, LimitSpec, Namespace, Outcome, Part, Receipt, Rule, StoreError, Verb,
};

use super::{Batch, Opened};
use crate::numbers::push;

fn opened() -> Opened {
    let limit = |name: &str, rule| LimitSpec::new(name, rule, Quota::per_second(10));
    let limits = vec![
        limit("a", Rule::TokenBucket),
        limit("b", Rule::FixedWindow),
        limit("c", Rule::SlidingWindow),
        limit("d", Rule::StrictWindow),
    ];
    let opened = Opened::new("", &[Namespace::new("users", limits)]);
    opened.unwrap_or_else(|error| panic!("{error}"))
}

fn part(subject: &str) -> Part {
    Part::new(0, subject, [1, 1, 1, 1].map(Charge::new))
}

fn asks() -> Vec<Ask> {
    let mut twice = Ask::new(Verb::TakeUpTo, 5, part("bob"));
    twice.parts.push(part("bob"));
    let back = Ask::new(Verb::Cancel, 1, part("carol"));
    vec![Ask::new(Verb::Take, 1, part("alice")), twice, back]
}

fn decode(reply: &[u8]) -> Vec<Result<Answer, StoreError>> {
    let opened = opened();
    let batch = Batch::new(&opened, asks(), false, true, |_| None);
    assert_eq!(batch.calls.len(), 1);
    batch.answers(&opened, vec![Ok(reply.to_vec())]).with(Vec::new())
}

/// A reply to the asks, in which everything is `number`, as far as it was asked for.
fn reply(number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    push(&mut bytes, number);
    for (parts, numbers, most) in [(1, 3, 1), (2, 6, 5), (1, 3, 1)] {
        bytes.push(0);
        push(&mut bytes, number.min(most));
        for _ in 0..parts {
            bytes.push(1);
            push(&mut bytes, number);
            (0..4 * numbers).for_each(|_| push(&mut bytes, number));
        }
    }
    bytes
}

fn are_unreadable(answers: &[Result<Answer, StoreError>]) -> bool {
    answers.len() == 3 && answers.iter().all(|it| matches!(it, Err(StoreError::Unreadable(_))))
}

#[test]
fn a_reply_is_read_whole_or_not_at_all() {
    let whole = reply(3);
    assert!(decode(&whole).iter().all(Result::is_ok));
    for length in 0..whole.len() {
        assert!(are_unreadable(&decode(&whole[..length])), "{length} bytes");
    }
    let mut longer = whole;
    longer.push(0);
    assert!(are_unreadable(&decode(&longer)));
}

#[test]
fn an_ask_without_levels_is_read() {
    let mut bytes = Vec::new();
    push(&mut bytes, 1);
    bytes.push(2);
    let text = b"DEBT";
    for text in [&b"WRONGTYPE that"[..], text] {
        bytes.push(3);
        bytes.extend_from_slice(&u16::try_from(text.len()).unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(text);
    }
    let answers = decode(&bytes);
    assert_eq!(answers[0], Ok(Answer::new(Outcome::Expired, 0, [])));
    assert!(matches!(answers[1], Err(StoreError::Foreign(_))));
    assert!(matches!(answers[2], Err(StoreError::Misfit(_))));
    bytes.pop();
    assert!(are_unreadable(&decode(&bytes)));
}

#[test]
fn numbers_that_the_script_never_sends_are_no_numbers() {
    for bad in [-1.0, 0.5, f64::NAN, f64::INFINITY, 9_007_199_254_740_992.0, 1e300] {
        let mut bytes = reply(3);
        bytes[9..17].copy_from_slice(&f64::to_le_bytes(bad));
        assert!(are_unreadable(&decode(&bytes)), "{bad}");
    }
    for flag in [2, 255] {
        let mut bytes = reply(3);
        bytes[17] = flag;
        assert!(are_unreadable(&decode(&bytes)), "{flag}");
    }
}

#[test]
fn nobody_has_more_than_was_asked_for() {
    let mut bytes = reply(3);
    let count = &mut bytes[9..17];
    assert_eq!(count, f64::to_le_bytes(1.0));
    count.copy_from_slice(&f64::to_le_bytes(2.0));
    assert!(are_unreadable(&decode(&bytes)));
}

#[test]
fn no_reply_makes_it_panic() {
    let most = (1 << 53) - 1;
    for number in [0, 1, most / 2, most] {
        assert!(decode(&reply(number)).iter().all(Result::is_ok), "{number}");
    }
    // Random damage, by a generator of our own.
    let mut seed = 1_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    for _ in 0..20_000 {
        let mut bytes = reply(random() % 1_000);
        for _ in 0..=random() % 4 {
            let at = usize::try_from(random()).unwrap_or(0) % bytes.len();
            bytes[at] = u8::try_from(random() % 256).unwrap_or(0);
        }
        assert_eq!(decode(&bytes).len(), 3);
    }
}

#[test]
fn enormous_asks_fit() {
    let opened = opened();
    let mut charge = Charge::new(u64::MAX);
    charge.receipt = Receipt::new(u64::MAX, u64::MAX);
    let part = Part::new(0, Arc::from("x".repeat(1 << 16)), [charge; 4]);
    for verb in [Verb::Take, Verb::TakeUpTo, Verb::Look, Verb::Credit, Verb::HandBack, Verb::Cancel]
    {
        let mut ask = Ask::new(verb, u64::MAX, part.clone());
        ask.patience = std::time::Duration::MAX;
        let batch = Batch::new(&opened, vec![ask; 300], false, true, |_| Some(u64::MAX));
        assert!((2..=5).contains(&batch.calls.len()), "at most 256 asks a call");
        assert!(batch.calls.iter().all(|call| call.keys.iter().all(|key| key.len() < 100)));
    }
    let consume = Ask::new(Verb::Consume, u64::MAX, part.clone());
    let mut many = Ask::new(Verb::Take, 1, part.clone());
    many.parts.extend(vec![part.clone(); 64]);
    let raise = Ask::new(Verb::Raise, u64::MAX, part.clone());
    for ask in [consume, raise, many] {
        let batch = Batch::new(&opened, vec![ask], false, true, |_| None);
        let answers = batch.answers(&opened, Vec::new()).with(Vec::new());
        assert!(matches!(answers[..], [Err(StoreError::Misfit(_))]), "{answers:?}");
    }
}
