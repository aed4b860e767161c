//! Fixed point: how real numbers become integers, how large those integers can get, and the
//! random keys that round them.
//!
//! A value x is held as the integer x·2^f, f its *scale* (fraction bits). Its *bound* ℓ promises
//! |integer| < 2^ℓ. Both are public metadata of a tensor; this module owns their arithmetic and
//! knows nothing about tensors.
#![forbid(unsafe_code)]

pub mod bounds;
mod encoding;
mod rounding;

pub(crate) use encoding::out_of_range;
pub use encoding::{
    DEFAULT_FLOAT_BOUND, DEFAULT_FRACTION_BITS, DEFAULT_INTEGER_BOUND, MAX_BOUND,
    MAX_FRACTION_BITS, MAX_SCALE, bits_of, check_format, decode_f64, decode_i64, encode_f32,
    encode_f64, encode_i64, fits, unravel,
};
pub use rounding::{ROUNDING_KEY_BYTES, RoundingKey, floor_divide};
