//! Wide integer arithmetic that saturates instead of overflowing.

use crate::CarryOver;

/// Greatest common divisor (Euclid); `gcd(x, 0) = x`.
pub(super) const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// `ceil(a * b / c)`, with an exact product of 256 bits. Saturates at `u128::MAX`, also for
/// `c = 0`.
pub(super) fn mul_div_ceil(a: u128, b: u128, c: u128) -> u128 {
    if let Some(product) = a.checked_mul(b) {
        return if c == 0 { u128::MAX } else { product.div_ceil(c) };
    }
    let (high, low) = widening_mul(a, b);
    if high >= c {
        return u128::MAX;
    }
    // Long division, one bit at a time. Only `set_quota` with enormous quotas gets here.
    let (mut quotient, mut rest) = (0_u128, high);
    for bit in (0..128).rev() {
        let carry = rest >> 127;
        rest = (rest << 1) | ((low >> bit) & 1);
        if carry == 1 || rest >= c {
            rest = rest.wrapping_sub(c);
            quotient |= 1 << bit;
        }
    }
    quotient.saturating_add(u128::from(rest != 0))
}

/// `floor(a * b / c)`. Where the product does not fit into 128 bits, the result may be one less.
pub(super) fn mul_div_floor(a: u128, b: u128, c: u128) -> u128 {
    match a.checked_mul(b) {
        Some(product) => product.checked_div(c).unwrap_or(0),
        None => mul_div_ceil(a, b, c).saturating_sub(1),
    }
}

/// The 256-bit product as (high, low), by schoolbook multiplication.
fn widening_mul(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let middle = a1 * b0 + ((a0 * b0) >> 64);
    let (middle_high, middle_low) = (middle >> 64, middle & LOW);
    let cross = a0 * b1 + middle_low;
    (a1 * b1 + middle_high + (cross >> 64), (cross << 64) | ((a0 * b0) & LOW))
}

/// How much of a limit of `new` is used after a limit of `old`, of which `used` was used, was
/// replaced. All are in the same unit; the result is rounded up.
///
/// In terms of what is *left*, `Keep` is `min(left, new)`, and `AddDifference` adds what the limit
/// grew by. In terms of what is *used*, both are differences, and debt needs no special case.
pub(super) fn carry_over(used: u128, old: u128, new: u128, how: CarryOver) -> u128 {
    match how {
        CarryOver::Full => 0,
        CarryOver::Proportional => mul_div_ceil(used, new, old),
        CarryOver::Keep | CarryOver::AddDifference if new < old => used.saturating_sub(old - new),
        CarryOver::Keep => used.saturating_add(new - old),
        CarryOver::AddDifference | CarryOver::KeepUsed => used,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn mul_div_ceil_is_exact(a: u128, b: u128, c in 1_u128.., shift in 0_u32..128) {
            let (a, c) = (a >> shift, c.rotate_right(shift).max(1));
            let (exact, one) = (BigUint::from(a) * b, BigUint::from(1_u8));
            let expected = (exact + (c - 1)) / c;
            let expected = u128::try_from(expected.min((one << 128) - 1_u8));
            prop_assert_eq!(Ok(mul_div_ceil(a, b, c)), expected.map_err(|_| ()));
        }

        #[test]
        fn gcd_divides_both(a in 1_u64.., b in 1_u64..) {
            let divisor = gcd(a, b);
            prop_assert_eq!((a % divisor, b % divisor), (0, 0));
            prop_assert_eq!(gcd(a / divisor, b / divisor), 1);
        }
    }
}
