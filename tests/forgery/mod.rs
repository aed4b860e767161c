//! Files of keys with other numbers in them, as somebody would forge them who knows the format.

use rug::Integer;
use rug::integer::Order;
use sha2::{Digest, Sha256};
use smlp::PublicKey;

/// Header and fingerprint; contents follow.
pub const CONTENTS: usize = 8 + 32;

/// Gives contents the fingerprint that goes with them.
pub fn with_fingerprint(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(b"smlp: fingerprint, version 1");
    hash.update(&bytes[6..8]);
    hash.update(&bytes[CONTENTS..]);
    bytes[8..CONTENTS].copy_from_slice(&hash.finalize());
    bytes
}

/// The file of a public key with another h_s.
pub fn with_base(key: &PublicKey, h_s: &Integer) -> Vec<u8> {
    let mut bytes = key.to_bytes();
    let width = key.ring().modulus().width() * 8;
    let at = bytes.len() - width;
    put(&mut bytes[at..], h_s);
    with_fingerprint(bytes)
}

/// A number in as many bytes as there are.
pub fn put(bytes: &mut [u8], number: &Integer) {
    let digits = number.to_digits::<u8>(Order::Lsf);
    bytes[..digits.len()].copy_from_slice(&digits);
    bytes[digits.len()..].fill(0);
}

/// N.
pub fn modulus(key: &PublicKey) -> Integer {
    Integer::from_digits(&key.modulus_bytes(), Order::Msf)
}
