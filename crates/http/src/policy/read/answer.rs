//! Reading `[response]` and `[penalty]`.

use std::time::Duration;

use tollgate::Quota;

use super::names::key;
use super::quota::{duration, quota};
use super::table::{Table, list, once, word};
use crate::policy::code::Code;
use crate::policy::message::shown;
use crate::policy::print::duration_text;
use crate::policy::problems::Problems;
use crate::policy::settings::{Algorithm, Dialect, KeyPart, Penalty, Response};
use crate::policy::source::{Entry, Node};
use crate::policy::words::Word;

pub(in crate::policy) const RESPONSE: &[&str] = &["headers", "x_ratelimit_reset", "body"];

pub(in crate::policy) const PENALTY: &[&str] =
    &["key", "after", "block", "growth", "max", "forget"];

pub(super) fn response(entry: &Entry, problems: &mut Problems) -> Response {
    let Some(table) = Table::new(&entry.node, &entry.place, RESPONSE, problems) else {
        return Response::default();
    };
    let headers = table.get("headers").and_then(|node| headers(node, problems));
    Response {
        headers: headers.unwrap_or_else(|| Response::default().headers),
        x_ratelimit_reset: table.word("x_ratelimit_reset", problems),
        body: table.word("body", problems),
    }
}

fn headers(node: &Node, problems: &mut Problems) -> Option<Vec<Dialect>> {
    let items = list(node, "headers", "[\"ratelimit\"]", problems)?;
    let dialects: Vec<(Dialect, &Node)> =
        items.iter().filter_map(|item| Some((word(item, "headers", problems)?, item))).collect();
    let at = |wanted| dialects.iter().position(|(dialect, _)| *dialect == wanted);
    if let (Some(new), Some(old)) = (at(Dialect::RateLimit), at(Dialect::RateLimit07))
        && let Some((_, node)) = dialects.get(new.max(old))
    {
        problems.add(&node.place, Code::BothGiven, || {
            "`ratelimit` and `ratelimit-07` are both given, but their fields have the same names: \
             write one of them"
                .into()
        });
    }
    Some(once(dialects, |dialect| shown(dialect.word()), problems))
}

/// A penalty. Without `key`, it is for the caller; without `growth`, each block is twice as long
/// as the one before; without `max`, a block is at most one hour long (or `block`, if that is
/// longer); without `forget`, blocks are forgotten after a day.
pub(super) fn penalty(entry: &Entry, problems: &mut Problems) -> Option<Penalty> {
    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let table = Table::new(&entry.node, &entry.place, PENALTY, problems)?;
    let parts = table.get("key").map(|node| key(node, problems));
    let after = table
        .required("after", "write how many refusals are put up with, such as `30/min`", problems)
        .and_then(|node| quota(node, Algorithm::TokenBucket, problems));
    if after == Some(Quota::unlimited()) {
        problems.add(table.node.place_of("after"), Code::Contradiction, || {
            "`after` is `unlimited`, so nobody would ever be blocked: leave `[penalty]` out".into()
        });
    }
    let time = |key: &str, problems: &mut Problems| {
        table.get(key).and_then(|node| duration(node, key, problems))
    };
    let block = time("block", problems);
    if table.get("block").is_none() {
        problems.add(table.place, Code::MissingValue, || {
            "`block` is missing: write how long the first block is, such as `1min`".into()
        });
    }
    let (max, forget) = (time("max", problems), time("forget", problems));
    let growth = table.number("growth", 1..=u32::MAX, Code::BadValue, problems);
    let (after, block) = (after?, block?);
    if let Some(max) = max.filter(|max| *max < block) {
        problems.add(table.node.place_of("max"), Code::Contradiction, || {
            let (max, block) = (duration_text(max), duration_text(block));
            format!("`max` is `{max}`, which is shorter than `block`, `{block}`")
        });
    }
    Some(Penalty {
        key: parts.unwrap_or_else(|| vec![KeyPart::Caller]),
        after,
        block,
        growth: growth.unwrap_or(2),
        max: max.unwrap_or(HOUR.max(block)),
        forget: forget.unwrap_or(DAY),
    })
}
