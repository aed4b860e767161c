//! Key identifiers: how tensors, messages and files name the key that they belong to.

use crate::error::{Error, Result};
use std::fmt;

/// A digest of everything that encryption uses: N, h_s and the kind of exponents.
///
/// It is the fingerprint in the file of the public key. A key of other software is known by N alone and has the
/// id of that; [`super::PublicKey::check_takes`] says which ciphertexts go with which key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 32]);

impl fmt::Display for KeyId {
    /// The first eight bytes in hexadecimal: enough to tell keys apart in a message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl KeyId {
    /// All 32 bytes in hexadecimal: how configuration files and logs name a key.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Reads [`KeyId::to_hex`], in either case.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything but 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "'{text}' is no key id; it has 64 hexadecimal digits"
            ))
        };
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut id = [0; 32];
        for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).ok_or_else(wrong);
            *byte = (digit(digits[0])? << 4 | digit(digits[1])?) as u8;
        }
        Ok(Self(id))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_and_back() {
        let id = KeyId(std::array::from_fn(|i| (i * 37) as u8));
        assert_eq!(KeyId::from_hex(&id.to_hex()), Ok(id));
        assert_eq!(KeyId::from_hex(&id.to_hex().to_uppercase()), Ok(id));
        assert!(id.to_hex().starts_with(&id.to_string()));
        for wrong in ["", "00", &"g".repeat(64), &"é".repeat(32), &"0".repeat(66)] {
            assert!(KeyId::from_hex(wrong).is_err(), "{wrong}");
        }
    }
}
