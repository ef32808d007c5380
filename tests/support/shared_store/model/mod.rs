//! What each rule means, in exact numbers and without a thought for speed.
//!
//! A store may round receipts, and the level after a change of the quota, by its tick. So a model
//! has two sides: as little as can be in use, and as much. They are the same but for what was
//! rounded. Times are nanoseconds.

mod bucket;
mod fixed;
mod sliding;
mod strict;

use std::ops::RangeInclusive;

use tollgate::Quota;
use tollgate::shared::store::Rule;

use bucket::Bucket;
use fixed::Fixed;
use sliding::Sliding;
use strict::Strict;

/// As little as can be, up to as much.
pub(crate) type Range = RangeInclusive<u64>;

/// A limit of one subject.
#[derive(Clone, Debug)]
pub(crate) enum Model {
    Bucket(Box<Bucket>),
    Fixed(Fixed),
    Sliding(Sliding),
    Strict(Strict),
}

/// What a model knows of a charge, to take it back.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// When the permits were taken.
    pub(crate) at: u64,
    /// When the bucket would have been full if nothing had ever been given back, for both sides.
    pub(crate) charged_until: Option<[num_rational::BigRational; 2]>,
    /// How often the quota had changed.
    pub(crate) changes: u32,
}

macro_rules! each {
    ($self:expr, $model:ident => $call:expr) => {
        match $self {
            Model::Bucket($model) => $call,
            Model::Fixed($model) => $call,
            Model::Sliding($model) => $call,
            Model::Strict($model) => $call,
        }
    };
}

impl Model {
    pub(crate) fn full(rule: Rule, quota: Quota, tick: u64) -> Self {
        match rule {
            Rule::FixedWindow => Self::Fixed(Fixed::full(quota)),
            Rule::SlidingWindow => Self::Sliding(Sliding::full(quota)),
            Rule::StrictWindow => Self::Strict(Strict::full(quota)),
            _ => Self::Bucket(Box::new(Bucket::full(quota, tick))),
        }
    }

    pub(crate) fn quota(&self) -> Quota {
        each!(self, model => model.quota)
    }

    /// Permits in use, fractions rounded up.
    pub(crate) fn used(&self, now: u64) -> Range {
        each!(self, model => model.used(now))
    }

    /// When so many permits are there. For more than the burst, nobody asks.
    pub(crate) fn ready(&self, now: u64, permits: u64) -> Range {
        each!(self, model => model.ready(now, permits))
    }

    /// When nothing is in use.
    pub(crate) fn full_at(&self, now: u64) -> Range {
        each!(self, model => model.full_at(now))
    }

    /// Takes permits, now or for later; with `is_in_use`, what is consumed already.
    pub(crate) fn take(&mut self, now: u64, permits: u64, is_in_use: bool) -> Mark {
        let charged_until = match self {
            Self::Bucket(bucket) if is_in_use => Some(bucket.consume(now, permits)),
            Self::Bucket(bucket) => Some(bucket.take(now, permits)),
            Self::Fixed(window) => {
                window.take(now, permits);
                None
            }
            Self::Sliding(window) => {
                window.take(now, permits);
                None
            }
            Self::Strict(window) => {
                window.take(now, permits);
                None
            }
        };
        Mark { at: now, charged_until, changes: self.changes() }
    }

    /// Takes what is missing until so many permits are in use.
    pub(crate) fn raise(&mut self, now: u64, permits: u64) {
        each!(self, model => model.raise(now, permits));
    }

    pub(crate) fn credit(&mut self, now: u64, permits: u64) {
        each!(self, model => model.credit(now, permits));
    }

    pub(crate) fn hand_back(&mut self, now: u64, permits: u64, mark: &mut Mark, unfollowed: bool) {
        each!(self, model => model.hand_back(now, permits, mark, unfollowed));
    }

    /// How often the quota has changed.
    pub(crate) fn changes(&self) -> u32 {
        match self {
            Self::Bucket(bucket) => bucket.changes,
            _ => 0,
        }
    }

    /// Carries the used share over. Only token buckets do here: the windows are compared under one
    /// quota.
    pub(crate) fn change(&mut self, now: u64, quota: Quota) {
        match self {
            Self::Bucket(bucket) => bucket.change(now, quota),
            other => assert_eq!(other.quota(), quota),
        }
    }
}
