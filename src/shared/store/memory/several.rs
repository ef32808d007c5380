//! Asks over several parts: all shards are locked in one order, the verb runs on copies of the
//! buckets, and the copies replace the buckets if it was done.

use std::time::Duration;

use smallvec::SmallVec;

use super::buckets::{Failure, Shards};
use super::party::{BucketsOfOne, Call, DONE, Levels, Party};
use super::shard::{Shard, is_idle};
use crate::Timestamp;
use crate::shared::store::{Answer, Outcome, Receipt, Verb};
use crate::sync::MutexGuard;

/// The parts of an ask. Two of them can be about the same subject.
pub(super) type Parties<'a> = SmallVec<[Party<'a>; 4]>;

/// A copy of what is known of a subject.
#[derive(Clone)]
struct Copy<'a> {
    party: Party<'a>,
    hash: u64,
    /// Where the subject's shard is among the locked ones.
    shard: usize,
    is_known: bool,
    buckets: BucketsOfOne,
}

/// All copies of an ask, and for each of its parts the index of its copy.
#[derive(Clone)]
struct Copies<'a> {
    all: SmallVec<[Copy<'a>; 4]>,
    of_part: SmallVec<[usize; 4]>,
}

impl Copies<'_> {
    fn of(&mut self, part: usize) -> &mut BucketsOfOne {
        &mut self.all[self.of_part[part]].buckets
    }
}

/// Does what the call says with all parties.
pub(super) fn execute(
    shards: &Shards,
    parties: &[Party<'_>],
    call: Call,
    now: Timestamp,
) -> Result<Answer, Failure> {
    let hashes: SmallVec<[u64; 4]> = parties.iter().map(|party| shards.hash(party)).collect();
    let mut order: SmallVec<[usize; 4]> =
        hashes.iter().map(|hash| shards.index_of(*hash)).collect();
    order.sort_unstable();
    order.dedup();
    let mut locked: SmallVec<[MutexGuard<'_, Shard>; 4]> =
        order.iter().map(|index| shards.lock(*index)).collect();
    let now = locked.iter_mut().fold(now, |now, shard| shard.advance(now));
    for shard in &mut locked {
        shard.advance(now);
    }
    let mut copies = Copies { all: SmallVec::new(), of_part: SmallVec::new() };
    for (party, hash) in parties.iter().zip(&hashes) {
        let same = |copy: &Copy<'_>| copy.hash == *hash && copy.party.is_same_subject(party);
        let index = copies.all.iter().position(same).unwrap_or_else(|| {
            let shard = order.binary_search(&shards.index_of(*hash)).unwrap_or_default();
            let known = locked[shard].get(*hash, party);
            let (party, hash, is_known) = (*party, *hash, known.is_some());
            let buckets = known.cloned().unwrap_or_else(|| party.full(now));
            copies.all.push(Copy { party, hash, shard, is_known, buckets });
            copies.all.len() - 1
        });
        copies.of_part.push(index);
    }
    let (answer, after) = decide(parties, call, copies, now)?;
    if let Some(copies) = after {
        commit(shards, &mut locked, copies, now)?;
    }
    Ok(answer)
}

/// The answer, and the copies if they replace what is known.
type Decision<'a> = (Answer, Option<Copies<'a>>);

fn decide<'a>(
    parties: &[Party<'_>],
    call: Call,
    before: Copies<'a>,
    now: Timestamp,
) -> Result<Decision<'a>, Failure> {
    match call.verb {
        Verb::Take => Ok(take(parties, call.count, call.patience, before, now)),
        Verb::Look => {
            let (answer, _) = take(parties, call.count, call.patience, before, now);
            Ok((answer, None))
        }
        Verb::TakeUpTo => Ok(take_up_to(parties, call.count, before, now)),
        _ => {
            let mut copies = before;
            let mut levels: SmallVec<[Levels; 4]> = SmallVec::new();
            for (index, party) in parties.iter().enumerate() {
                levels.push(party.impose(copies.of(index), call, now)?);
            }
            for ((index, party), levels) in parties.iter().enumerate().zip(&mut levels) {
                party.show(copies.of(index), now, levels);
            }
            let levels = levels.into_iter().flatten().collect();
            Ok((Answer { outcome: DONE, count: call.count, levels }, Some(copies)))
        }
    }
}

/// Takes from all parties that are not shadows, or from none. Shadows come last, each by itself.
fn take<'a>(
    parties: &[Party<'_>],
    count: u64,
    patience: Duration,
    mut before: Copies<'a>,
    now: Timestamp,
) -> Decision<'a> {
    let mut copies = before.clone();
    let (mut all_pass, mut longest) = (true, Duration::ZERO);
    let mut levels: SmallVec<[Levels; 4]> = parties.iter().map(|_| Levels::new()).collect();
    for shadows in [false, true] {
        let each = parties.iter().enumerate().zip(&mut levels);
        for ((index, party), levels) in each.filter(|((_, party), _)| party.shadow == shadows) {
            let buckets = copies.of(index);
            let (passes, after) = party.judge(buckets, count, patience, now, levels);
            if !shadows {
                all_pass &= passes;
                longest = longest.max(after);
            }
            if passes && all_pass {
                party.take(buckets, count, now, levels);
            }
        }
    }
    let taken = all_pass;
    for ((index, party), levels) in parties.iter().enumerate().zip(&mut levels) {
        if taken {
            party.show(copies.of(index), now, levels);
        } else {
            levels.iter_mut().for_each(|level| level.receipt = Receipt::default());
            party.show(before.of(index), now, levels);
        }
    }
    let levels = levels.into_iter().flatten().collect();
    if taken {
        (Answer { outcome: Outcome::Done { after: longest }, count, levels }, Some(copies))
    } else {
        (Answer { outcome: Outcome::Refused, count: 0, levels }, None)
    }
}

/// Takes as many times as possible, at most `count` times.
fn take_up_to<'a>(
    parties: &[Party<'_>],
    count: u64,
    mut before: Copies<'a>,
    now: Timestamp,
) -> Decision<'a> {
    let enforced = parties.iter().enumerate().filter(|(_, party)| !party.shadow);
    let most = enforced
        .fold(count, |most, (index, party)| most.min(party.times(before.of(index), most, now)));
    let attempt = |times: u64| take(parties, times, Duration::ZERO, before.clone(), now);
    let best = attempt(most.max(count.min(1)));
    if best.1.is_some() || most <= 1 {
        return best;
    }
    // Several parts charge the same subject, so together they get fewer.
    let (mut fits, mut too_many) = (0, most);
    while too_many - fits > 1 {
        let middle = fits + (too_many - fits) / 2;
        if attempt(middle).1.is_some() {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    attempt(fits.max(1))
}

/// Replaces what is known with the copies.
fn commit(
    shards: &Shards,
    locked: &mut [MutexGuard<'_, Shard>],
    copies: Copies<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let is_new = |copy: &&Copy<'_>| !copy.is_known && !is_idle(&copy.buckets, now);
    if !shards.room.reserve(copies.all.iter().filter(is_new).count()) {
        return Err(Failure::NoRoom);
    }
    // New subjects come last, because each evicts others that are full in the table.
    let (known, new): (Vec<_>, Vec<_>) = copies.all.into_iter().partition(|copy| copy.is_known);
    for Copy { party, hash, shard, buckets, .. } in known {
        if is_idle(&buckets, now) {
            locked[shard].remove(hash, &party, &shards.room);
        } else if let Some(known) = locked[shard].get_mut(hash, &party) {
            *known = buckets;
        }
    }
    for Copy { party, hash, shard, buckets, .. } in new {
        if !is_idle(&buckets, now) {
            locked[shard].insert(hash, &party, buckets, &shards.hasher, &shards.room);
        }
    }
    Ok(())
}
