//! Integers of any size and either sign, as hosts pass them.

use crate::error::{Error, Result};
use rug::Integer;
use rug::integer::Order;

/// A list of integers in little-endian two's complement, `each` bytes a number: an `int64_t` array
/// on a little-endian machine is one of 8 bytes each.
#[derive(Debug, Clone, Copy)]
pub struct Numbers<'a> {
    data: &'a [u8],
    each: usize,
}

/// Bytes that a number may take: twice the largest N².
const MOST_BYTES: usize = 8192;

impl<'a> Numbers<'a> {
    /// `data` holds a whole number of integers of `each` bytes.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], [`Error::Limit`].
    pub fn new(data: &'a [u8], each: usize) -> Result<Self> {
        Error::check_limit("bytes of a number", each, MOST_BYTES)?;
        if each == 0 || !data.len().is_multiple_of(each) {
            return Err(Error::invalid(format!(
                "{} bytes are not a whole number of integers of {each} bytes",
                data.len()
            )));
        }
        Ok(Self { data, each })
    }

    /// How many integers there are.
    pub fn len(&self) -> usize {
        self.data.len() / self.each
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The integers.
    pub(super) fn integers(&self) -> Vec<Integer> {
        let signed = |bytes: &[u8]| {
            let value = Integer::from_digits(bytes, Order::Lsf);
            match bytes[bytes.len() - 1] >> 7 {
                0 => value,
                _ => value - (Integer::from(1) << (8 * bytes.len() as u32)),
            }
        };
        self.data.chunks_exact(self.each).map(signed).collect()
    }
}

/// The integers as [`Numbers`] takes them, in as few multiples of 8 bytes as hold every one: how many
/// each takes, and the bytes.
pub(super) fn to_bytes(values: &[Integer]) -> (usize, Vec<u8>) {
    let bits = values.iter().map(Integer::signed_bits).max().unwrap_or(1);
    let each = 8 * (bits as usize).div_ceil(64);
    let modulus = Integer::from(1) << (8 * each as u32);
    let mut out = vec![0; each * values.len()];
    for (value, place) in values.iter().zip(out.chunks_exact_mut(each.max(1))) {
        let value = match value.is_negative() {
            true => Integer::from(value + &modulus),
            false => value.clone(),
        };
        let digits = value.to_digits::<u8>(Order::Lsf);
        place[..digits.len()].copy_from_slice(&digits);
    }
    (each, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_either_sign_come_back() {
        let big: Integer = Integer::from(3) << 200;
        for values in [
            vec![],
            vec![0, 1, -1, i64::MAX, i64::MIN],
            vec![-128, 127, 128, -129],
        ] {
            let bytes: Vec<u8> = values.iter().flat_map(|v: &i64| v.to_le_bytes()).collect();
            let integers = Numbers::new(&bytes, 8).unwrap().integers();
            assert_eq!(integers, values);
            assert_eq!(to_bytes(&integers), (8, bytes));
        }
        let large = vec![big.clone(), -big, Integer::from(-1)];
        let (each, bytes) = to_bytes(&large);
        assert_eq!(each, 32);
        assert_eq!(Numbers::new(&bytes, each).unwrap().integers(), large);
        assert_eq!(Numbers::new(&[0xff, 1], 1).unwrap().integers(), [-1, 1]);
    }

    #[test]
    fn wrong_lengths_are_refused() {
        assert!(Numbers::new(&[1, 2, 3], 2).is_err());
        assert!(Numbers::new(&[1, 2, 3], 0).is_err());
        assert!(Numbers::new(&[], usize::MAX).is_err());
    }
}
