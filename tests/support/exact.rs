//! Exact rationals: the arithmetic that settles who is right.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{FromPrimitive, Signed, ToPrimitive, Zero};
use tollgate::Quota;

pub(crate) fn whole(value: impl Into<BigInt>) -> BigRational {
    BigRational::from_integer(value.into())
}

/// The simplest fraction that reads as `value`, by continued fractions: 0.769…3 is 10/13.
pub(crate) fn simplest_fraction(value: f64) -> Option<BigRational> {
    let target = BigRational::from_f64(value)?;
    let tolerance = target.abs() / whole(1_u64 << 50);
    let (mut before, mut current) = ((whole(0), whole(1)), (whole(1), whole(0)));
    let mut rest = target.clone();
    for _ in 0..64 {
        let term = whole(rest.floor().to_integer());
        let next = (&term * &current.0 + &before.0, &term * &current.1 + &before.1);
        (before, current) = (current, next);
        let found = &current.0 / &current.1;
        if (&found - &target).abs() <= tolerance {
            return Some(found);
        }
        rest = (rest - term).recip();
    }
    Some(target)
}

/// Permits per nanosecond.
pub(crate) fn rate(quota: Quota) -> BigRational {
    whole(quota.permits()) / whole(quota.period().as_nanos())
}

/// How long `rate` takes to bring `missing` permits: exactly, in nanoseconds.
pub(crate) fn time_for(missing: &BigRational, rate: &BigRational) -> BigRational {
    if missing.is_positive() { missing / rate } else { BigRational::zero() }
}

/// The nearest float, to compare with numbers that were written as floats.
pub(crate) fn as_f64(value: &BigRational) -> f64 {
    value.to_f64().unwrap_or(f64::NAN)
}

#[test]
fn floats_become_the_fractions_they_were_meant_to_be() {
    for (numerator, denominator) in [(10_u32, 13_u32), (1, 3), (1, 10), (7, 1), (2, 2001)] {
        let exact = BigRational::new(numerator.into(), denominator.into());
        let float = f64::from(numerator) / f64::from(denominator);
        assert_eq!(simplest_fraction(float), Some(exact));
    }
    let tiny = BigRational::new(1.into(), 10_000_000_000_u64.into());
    assert_eq!(simplest_fraction(1e-10), Some(tiny));
}
