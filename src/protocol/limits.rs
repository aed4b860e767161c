//! [`P2Limits`]: how much one request may take of P2's memory. Its sizes alone decide, before anything is decrypted or
//! allocated: a few ciphertexts can ask for very many, as those of an outer product do.

use super::shared::sizes::Sizes;
use super::summary::Summary;
use crate::error::{Error, Result};
use crate::paillier::PublicKey;

/// What one request may take of P2's memory. The operator of a key server sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct P2Limits {
    /// Bytes of the reply, 256 MiB by default: the largest request that a key server takes by default.
    pub reply_bytes: u64,
    /// Bytes that P2 works in until the reply is written, the reply included, the request not; 1 GiB by default. Several requests at
    /// a time take as much each.
    pub working_bytes: u64,
}

impl Default for P2Limits {
    fn default() -> Self {
        Self {
            reply_bytes: 256 << 20,
            working_bytes: 1 << 30,
        }
    }
}

impl P2Limits {
    /// Refuses what takes more.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn check(&self, summary: &Summary) -> Result<()> {
        let check = |what, value, limit| match value <= limit {
            true => Ok(()),
            false => Err(Error::Limit { what, value, limit }),
        };
        check(
            "bytes of the reply (ask for less at a time, such as smaller batches, or have P2's reply_bytes raised)",
            summary.reply_bytes,
            self.reply_bytes,
        )?;
        check(
            "bytes of P2's work on the request (ask for less at a time, such as smaller batches, or have P2's working_bytes raised)",
            summary.working_bytes,
            self.working_bytes,
        )
    }
}

/// Threads' buffers, and what does not grow with a request.
const FIXED: u64 = 4 << 20;

/// Copies of a ciphertext of the request: as it came, in the form of the kernels, and reduced modulo two squares of
/// primes.
const PER_MASKED_BYTE: u64 = 12;

/// Copies of a ciphertext of the reply: plaintext, random exponent, powers modulo two squares of primes, and in the reply.
const PER_CIPHERTEXT_BYTE: u64 = 9;

/// What a ciphertext takes more than that where keys are small: kernels pad their numbers.
const PER_CIPHERTEXT: u64 = 1000;

/// A value of the request: unpacked or unsealed, as an integer of 64 bytes, and its place.
const PER_VALUE: u64 = 256;

/// A value that is computed: as an integer, transposed, laid out in slots.
const PER_RESULT: u64 = 256;

/// Which two values meet.
const PER_TERM: u64 = 48;

/// Copies of the rest of the reply, which grows while it is written.
const PER_OTHER_BYTE: u64 = 4;

/// Labels beside a garbled circuit, a sixth of its length; sealed halves, unsealed line by line.
const PER_REQUEST_BYTE: u64 = 1;

/// Bytes that P2 works in for a request of `request` bytes, at most. Tables of powers, which a key keeps as long as it
/// lives, are not counted. The factors are upper bounds of what tests/memory.rs measures.
pub(super) fn working_bytes(sizes: &Sizes, request: u64, key: &PublicKey) -> u64 {
    let values: u64 = sizes.groups.iter().map(|g| (g[0] * g[1]) as u64).sum();
    let ciphertext = 8 * key.ring().modulus().width() as u64;
    let [masked, encrypted] =
        [PER_MASKED_BYTE, PER_CIPHERTEXT_BYTE].map(|copies| copies * ciphertext + PER_CIPHERTEXT);
    [
        (sizes.masked, masked),
        (sizes.ciphertexts, encrypted),
        (values, PER_VALUE),
        (sizes.results, PER_RESULT),
        (sizes.terms, PER_TERM),
        (sizes.other_bytes, PER_OTHER_BYTE),
        (request, PER_REQUEST_BYTE),
    ]
    .into_iter()
    .fold(FIXED, |sum, (count, each)| {
        sum.saturating_add(count.saturating_mul(each))
    })
}
