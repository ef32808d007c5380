//! What a cluster says of itself, and which number each of its masters has.

use redis::{Value, from_redis_value};

use super::slots::SLOTS;
use crate::connection::redirect::Address;

/// No master.
pub(super) const NOBODY: u16 = u16::MAX;

/// The masters of a cluster, and which of them has each slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topology {
    pub(super) masters: Vec<Address>,
    /// The master of each slot, by its place among the masters.
    pub(super) owners: Vec<u16>,
}

impl Topology {
    pub(super) fn empty() -> Self {
        Self { masters: Vec::new(), owners: vec![NOBODY; SLOTS.into()] }
    }

    /// Reads the reply to `CLUSTER SLOTS` of the server at `host`, which is meant where no other is
    /// named. `None` if that is no such reply, or names no master.
    pub(super) fn read(reply: Value, host: &str) -> Option<Self> {
        let Value::Array(ranges) = reply else { return None };
        let mut topology = Self::empty();
        for range in ranges {
            let Value::Array(range) = range else { return None };
            let mut range = range.into_iter();
            let (first, last) = (number(range.next()?)?, number(range.next()?)?);
            let Value::Array(master) = range.next()? else { return None };
            let mut master = master.into_iter();
            let named: Option<String> = from_redis_value(master.next()?).ok()?;
            let host = match named.as_deref() {
                None | Some("") => host,
                // The master does not say how it is reached.
                Some("?") => continue,
                Some(named) => named,
            };
            let owner = topology.place((host.to_string(), number(master.next()?)?))?;
            topology.owners.get_mut(first.into()..=last.into())?.fill(owner);
        }
        (!topology.masters.is_empty()).then_some(topology)
    }

    fn place(&mut self, address: Address) -> Option<u16> {
        let known = self.masters.iter().position(|master| *master == address);
        let place = known.unwrap_or_else(|| {
            self.masters.push(address);
            self.masters.len() - 1
        });
        u16::try_from(place).ok().filter(|place| *place < NOBODY)
    }

    /// The numbers of the masters, if those of an earlier topology had the numbers `before`.
    ///
    /// A master keeps its number. A server that has come in the place of one that is no master any
    /// more, as a replica that was promoted, has the number of that one. Others have the least
    /// number that is free.
    pub(super) fn numbers(&self, earlier: &Self, before: &[usize]) -> Vec<usize> {
        let mut numbers: Vec<Option<usize>> = self
            .masters
            .iter()
            .map(|master| earlier.masters.iter().position(|known| known == master))
            .map(|place| place.map(|place| before[place]))
            .collect();
        for slot in 0..usize::from(SLOTS) {
            let (now, then) = (usize::from(self.owners[slot]), usize::from(earlier.owners[slot]));
            let (Some(None), Some(number)) = (numbers.get(now), before.get(then)) else { continue };
            if !numbers.contains(&Some(*number)) {
                numbers[now] = Some(*number);
            }
        }
        let mut taken: Vec<_> = numbers.iter().copied().flatten().collect();
        let mut free = || {
            let number = (0..taken.len()).find(|number| !taken.contains(number));
            let number = number.unwrap_or(taken.len());
            taken.push(number);
            number
        };
        numbers.into_iter().map(|number| number.unwrap_or_else(&mut free)).collect()
    }
}

/// A slot or a port. What does not fit is none, while the crate would cut it off.
fn number(value: Value) -> Option<u16> {
    from_redis_value::<i64>(value).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let server = |host, port| Value::Array(vec![host, Value::Int(port), text("id")]);
        let (master, replica) = (server(host, port), server(text("replica"), 1));
        Value::Array(vec![Value::Int(first), Value::Int(last), master, replica])
    }

    fn topology(masters: &[(&str, u16, u16)]) -> Topology {
        let ranges = masters
            .iter()
            .map(|(host, first, last)| range((*first).into(), (*last).into(), text(host), 6379));
        Topology::read(Value::Array(ranges.collect()), "asked").expect("a reply of the right form")
    }

    #[test]
    fn a_reply_is_read() {
        let reply = Value::Array(vec![
            range(0, 99, text("a"), 1),
            range(100, 199, Value::Nil, 2),
            range(200, 299, text(""), 2),
            range(300, 300, text("?"), 3),
            range(400, 16383, text("a"), 1),
        ]);
        let read = Topology::read(reply, "asked").expect("a reply of the right form");
        assert_eq!(read.masters, [("a".into(), 1), ("asked".into(), 2)]);
        let at = |slot: usize| read.owners[slot];
        assert_eq!([at(0), at(100), at(250), at(299), at(16383)], [0, 1, 1, 1, 0]);
        assert_eq!([at(300), at(399)], [NOBODY; 2]);
    }

    #[test]
    fn other_replies_are_nothing() {
        for reply in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![Value::Array(vec![Value::Int(1)])]),
            Value::Array(vec![range(5, 16384, text("a"), 1)]),
            Value::Array(vec![range(9, 5, text("a"), 1)]),
            Value::Array(vec![range(-1, 5, text("a"), 1)]),
            Value::Array(vec![range(0, 5, text("a"), 65536)]),
            Value::Array(vec![range(0, 5, Value::Int(7), 1), Value::Okay]),
        ] {
            assert!(Topology::read(reply.clone(), "asked").is_none(), "{reply:?}");
        }
    }

    #[test]
    fn numbers_stay_with_the_slots_of_a_server_that_is_gone() {
        let none = Topology::empty();
        let first = topology(&[("a", 0, 99), ("b", 100, 199), ("c", 200, 299)]);
        let numbers = first.numbers(&none, &[]);
        assert_eq!(numbers, [0, 1, 2]);
        // A replica of `b` was promoted, and the masters come in another order.
        let promoted = topology(&[("c", 200, 299), ("b2", 100, 199), ("a", 0, 99)]);
        assert_eq!(promoted.numbers(&first, &numbers), [2, 1, 0]);
        // A new master has some of the slots of a master that goes on.
        let grown = topology(&[("a", 0, 49), ("d", 50, 99), ("b", 100, 199), ("c", 200, 299)]);
        assert_eq!(grown.numbers(&first, &numbers), [0, 3, 1, 2]);
        // A master has gone, and another has its slots; then a number is free.
        let shrunk = topology(&[("a", 0, 199), ("c", 200, 299)]);
        let after = shrunk.numbers(&first, &numbers);
        assert_eq!(after, [0, 2]);
        let again = topology(&[("a", 0, 99), ("e", 100, 199), ("c", 200, 299)]);
        assert_eq!(again.numbers(&shrunk, &after), [0, 1, 2]);
        // Two servers have come for one.
        let split = topology(&[("a", 0, 99), ("x", 100, 149), ("y", 150, 199), ("c", 200, 299)]);
        assert_eq!(split.numbers(&first, &numbers), [0, 1, 3, 2]);
    }
}
