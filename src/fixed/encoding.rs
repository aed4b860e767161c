//! Real numbers and machine integers to fixed-point integers and back.
//!
//! Encoding is exact: x·2^f rounded half to even, for every finite x, however large or small.
//! Nothing saturates or wraps: what does not fit is refused, with its index.

use crate::error::{Error, Result};

/// Fraction bits when the caller names none.
pub const DEFAULT_FRACTION_BITS: u32 = 16;
/// Bound, in bits and with the scale included, of encoded floats when the caller names none.
pub const DEFAULT_FLOAT_BOUND: u32 = 40;
/// Bound of encoded integers when the caller names none.
pub const DEFAULT_INTEGER_BOUND: u32 = 56;
/// The largest bound of a clear value: two bits below an i128, for a sign and a carry.
pub const MAX_BOUND: u32 = 126;
/// The largest number of fraction bits that a value can be encoded with.
pub const MAX_FRACTION_BITS: u32 = 64;
/// The largest scale that products can reach; it keeps decoding to f64 exact.
pub const MAX_SCALE: u32 = 1000;

/// Checks a requested format: `fraction_bits` ≤ 64, 1 ≤ `bound` ≤ 126.
///
/// # Errors
/// [`Error::InvalidArgument`] naming the number that is off.
pub fn check_format(fraction_bits: u32, bound: u32) -> Result<()> {
    if fraction_bits > MAX_FRACTION_BITS {
        return Err(Error::invalid(format!(
            "{fraction_bits} fraction bits; at most {MAX_FRACTION_BITS} are supported"
        )));
    }
    if !(1..=MAX_BOUND).contains(&bound) {
        return Err(Error::invalid(format!(
            "a bound of {bound} bits; clear values take 1 to {MAX_BOUND}"
        )));
    }
    Ok(())
}

/// Bits of |x|: 0 for 0, and |x| < 2^bits_of(x).
pub fn bits_of(x: i128) -> u32 {
    128 - x.unsigned_abs().leading_zeros()
}

/// Whether |x| < 2^bound.
pub fn fits(x: i128, bound: u32) -> bool {
    bits_of(x) <= bound
}

/// The index, axis by axis, of element `flat` (row-major) of an array of that shape.
pub fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (axis, &length) in shape.iter().enumerate().rev() {
        index[axis] = flat % length.max(1);
        flat /= length.max(1);
    }
    index
}

/// The error for an integer that breaks its bound, at `flat` in an array of that shape.
pub(crate) fn out_of_range(
    integer: i128,
    flat: usize,
    shape: &[usize],
    bound: u32,
    scale: u32,
) -> Error {
    Error::OutOfRange {
        index: unravel(flat, shape),
        value: if scale == 0 {
            integer.to_string()
        } else {
            format!("{} (the integer {integer})", decode_f64(integer, scale))
        },
        bound,
        scale,
    }
}

/// Encodes floats, row-major of the given shape, as round-half-even(x·2^f).
///
/// # Errors
/// [`Error::NotFinite`] and [`Error::OutOfRange`] name the first bad element;
/// [`Error::InvalidArgument`] for an impossible format.
pub fn encode_f64(
    values: &[f64],
    shape: &[usize],
    fraction_bits: u32,
    bound: u32,
) -> Result<Vec<i128>> {
    check_format(fraction_bits, bound)?;
    let encode = |(flat, &x): (usize, &f64)| {
        if !x.is_finite() {
            return Err(Error::NotFinite {
                index: unravel(flat, shape),
                value: x.to_string(),
            });
        }
        scaled(x, fraction_bits)
            .filter(|&integer| fits(integer, bound))
            .ok_or_else(|| Error::OutOfRange {
                index: unravel(flat, shape),
                value: x.to_string(),
                bound,
                scale: fraction_bits,
            })
    };
    values.iter().enumerate().map(encode).collect()
}

/// As [`encode_f64`]; every f32 is an f64.
pub fn encode_f32(
    values: &[f32],
    shape: &[usize],
    fraction_bits: u32,
    bound: u32,
) -> Result<Vec<i128>> {
    let wide: Vec<f64> = values.iter().map(|&x| f64::from(x)).collect();
    encode_f64(&wide, shape, fraction_bits, bound)
}

/// Integers with scale 0, checked against the bound.
///
/// # Errors
/// [`Error::OutOfRange`] for the first that does not fit.
pub fn encode_i64(values: &[i64], shape: &[usize], bound: u32) -> Result<Vec<i128>> {
    check_format(0, bound)?;
    let encode = |(flat, &x): (usize, &i64)| {
        let x = i128::from(x);
        fits(x, bound)
            .then_some(x)
            .ok_or_else(|| out_of_range(x, flat, shape, bound, 0))
    };
    values.iter().enumerate().map(encode).collect()
}

/// x / 2^scale as the nearest f64. `scale` ≤ [`MAX_SCALE`], so that only the conversion rounds.
pub fn decode_f64(x: i128, scale: u32) -> f64 {
    x as f64 * 2f64.powi(-(scale.min(MAX_SCALE) as i32))
}

/// The integer itself; what its scale means is the caller's business.
///
/// # Errors
/// [`Error::OutOfRange`] when it does not fit an i64; `flat` and `shape` only name it.
pub fn decode_i64(x: i128, flat: usize, shape: &[usize]) -> Result<i64> {
    i64::try_from(x).map_err(|_| out_of_range(x, flat, shape, 63, 0))
}

/// round-half-even(x·2^f) for a finite x; None at 2^126 and above.
fn scaled(x: f64, fraction_bits: u32) -> Option<i128> {
    let bits = x.to_bits();
    let stored = (bits >> 52 & 0x7ff) as i32;
    let fraction = bits & ((1 << 52) - 1);
    // x = ± mantissa · 2^exponent; subnormal numbers have no implicit bit.
    let (mantissa, exponent) = if stored == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, stored - 1075)
    };
    let shift = exponent + fraction_bits as i32;
    let magnitude = if mantissa == 0 || shift <= -64 {
        0
    } else if shift >= 0 {
        let length = 64 - mantissa.leading_zeros();
        if length + shift as u32 > MAX_BOUND {
            return None;
        }
        i128::from(mantissa) << shift
    } else {
        let down = shift.unsigned_abs();
        let (floor, rest) = (mantissa >> down, mantissa & ((1 << down) - 1));
        let half = 1u64 << (down - 1);
        let up = rest > half || (rest == half && floor & 1 == 1);
        i128::from(floor + u64::from(up))
    };
    Some(if x.is_sign_negative() {
        -magnitude
    } else {
        magnitude
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(x: f64, fraction_bits: u32) -> i128 {
        encode_f64(&[x], &[1], fraction_bits, MAX_BOUND).unwrap()[0]
    }

    #[test]
    fn rounds_half_to_even() {
        for (x, expected) in [
            (0.5, 0),
            (1.5, 2),
            (2.5, 2),
            (-0.5, 0),
            (-1.5, -2),
            (-2.5, -2),
            (0.75, 1),
            (-0.25, 0),
        ] {
            assert_eq!(one(x, 0), expected, "{x}");
        }
        assert_eq!(one(1.0, 16), 65536);
        assert_eq!(one(-0.1, 16), -6554);
    }

    #[test]
    fn extreme_values_are_exact() {
        assert_eq!(one(f64::from_bits(1), 64), 0);
        assert_eq!(one(f64::MIN_POSITIVE, 64), 0);
        assert_eq!(one(2f64.powi(-64), 64), 1);
        assert_eq!(one(2f64.powi(-65), 64), 0);
        assert_eq!(one(2f64.powi(-65) * 1.000001, 64), 1);
        assert_eq!(one(2f64.powi(125), 0), 1 << 125);
        assert_eq!(one(-(2f64.powi(61)), 64), -(1 << 125));
        assert_eq!(one(0.1, 64), 0x1999_9999_9999_9a00);
        assert_eq!(one(-0.0, 16), 0);
    }

    #[test]
    fn refusals_name_the_element() {
        assert_eq!(
            encode_f64(&[0.0, 1.0, 2.0, f64::NAN], &[2, 2], 16, 40),
            Err(Error::NotFinite {
                index: vec![1, 1],
                value: "NaN".into()
            })
        );
        for x in [1e300, f64::MAX, 2f64.powi(24), -(2f64.powi(24))] {
            assert_eq!(
                encode_f64(&[0.0, x], &[2], 16, 40),
                Err(Error::OutOfRange {
                    index: vec![1],
                    value: x.to_string(),
                    bound: 40,
                    scale: 16
                })
            );
        }
        // The largest value below the bound rounds up to it.
        assert!(encode_f64(&[7.9], &[1], 0, 3).is_err());
        assert!(encode_f64(&[7.4], &[1], 0, 3).is_ok());
        assert!(encode_i64(&[-8], &[1], 3).is_err());
        assert_eq!(encode_i64(&[-7, 7], &[2], 3), Ok(vec![-7, 7]));
        assert!(encode_f64(&[], &[0], 65, 40).is_err());
        assert!(encode_f64(&[], &[0], 16, 127).is_err());
        assert!(encode_f64(&[], &[0], 16, 0).is_err());
    }

    #[test]
    fn integers_come_back_or_are_refused() {
        assert_eq!(decode_i64(i128::from(i64::MIN), 0, &[1]), Ok(i64::MIN));
        assert!(
            matches!(decode_i64(1 << 63, 4, &[2, 3]), Err(Error::OutOfRange { index, .. }) if index == [1, 1])
        );
        assert_eq!(bits_of(0), 0);
        assert_eq!(bits_of(-8), 4);
        assert_eq!(bits_of(7), 3);
    }

    proptest! {
        #[test]
        fn floats_round_trip(x in -1e6f64..1e6, f in 0u32..=64) {
            let integer = one(x, f);
            let back = decode_f64(integer, f);
            prop_assert!((back - x).abs() <= 0.5 * 2f64.powi(-(f as i32)));
            prop_assert_eq!(one(back, f), integer);
        }

        #[test]
        fn every_finite_float_is_handled(bits in any::<u64>(), f in 0u32..=64) {
            let x = f64::from_bits(bits);
            let encoded = encode_f64(&[x], &[1], f, MAX_BOUND);
            prop_assert_eq!(encoded.is_ok(), x.is_finite() && x.abs() < 2f64.powi(126 - f as i32));
            if x.is_finite() && f == 0 && x.abs() < 1e30 {
                prop_assert_eq!(encoded.unwrap()[0], x.round_ties_even() as i128);
            }
        }

        #[test]
        fn small_integers_survive(x in any::<i64>()) {
            prop_assert_eq!(decode_i64(encode_i64(&[x], &[1], 64).unwrap()[0], 0, &[1]), Ok(x));
        }
    }
}
