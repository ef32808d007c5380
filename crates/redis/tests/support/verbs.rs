//! Everything that a store can be asked.

use tollgate::shared::store::Verb;

pub const VERBS: [Verb; 9] = [
    Verb::Take,
    Verb::TakeUpTo,
    Verb::Look,
    Verb::Consume,
    Verb::Raise,
    Verb::Credit,
    Verb::HandBack,
    Verb::Cancel,
    Verb::Reset,
];
