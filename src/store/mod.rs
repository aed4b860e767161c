//! Ciphertexts that go by the name of a 64-bit integer, for hosts whose arrays hold nothing else
//! (`torch.int64`), and the operations of the drop-in module `lltm_cpp` on such words.
//!
//! A *word* of a ciphertext tensor is one of two things:
//!
//! - Under a *small* key (N² below 2^62) it is the ciphertext itself, a residue modulo N².
//! - Under any other key it is a reference (`slots`) into a [`Store`], a number from 2^62 up; or, if it
//!   is below 2^62, the residue itself (callers write literal ones, trivial encryptions of 0).
//!
//! Whoever holds words tells the store now and then which of them are still in use
//! ([`Store::mark`], [`Store::sweep`]); how they are found is the host's business.
//!
//! This layer computes what it is asked to, for both parties in one process, with the masks that the
//! caller chose: the protocols with all their guarantees are in [`crate::protocol`]. Here the time of a function
//! depends on numbers that are encrypted, decrypted, added or multiplied with (they are GMP's integers of any size; exponents
//! of up to 120 bits are faster), and under small keys on everything. Decryption and encryption under other keys are those of
//! [`crate::paillier`]. No error depends on a plaintext, except that numbers which do not fit are not encrypted.

mod batch;
mod key;
mod numbers;
mod operations;
mod slots;
mod small;

pub use key::{KeyNumber, StoreKey};
pub use numbers::Numbers;

use crate::error::Result;
use crate::random::Random;
use slots::Slots;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where references lead. Usable from several threads.
pub struct Store {
    slots: Mutex<Slots>,
    random: Random,
    wrapped: AtomicU64,
}

impl Store {
    /// An empty store, whose references no other store takes for its own.
    pub fn new() -> Self {
        crate::modular::clear_freed_integers();
        Self {
            slots: Mutex::new(Slots::default()),
            random: Random::os(),
            wrapped: AtomicU64::new(0),
        }
    }

    /// Number of ciphertexts that references lead to, used or not.
    pub fn len(&self) -> usize {
        self.slots().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether enough was added since the last [`Store::sweep`] for another one to pay: half as many
    /// bytes as were in use then, and 16 MiB at least.
    pub fn is_due(&self) -> bool {
        self.slots().is_due()
    }

    /// Notes that these words are in use. Words that are no references of this store are ignored.
    pub fn mark(&self, words: &[i64]) {
        self.slots().mark(words);
    }

    /// Frees what neither this nor the last round of marks named and nobody has pinned; forgets the
    /// marks. A reference whose ciphertext was freed is refused from then on. Returns how many.
    ///
    /// Two rounds, because a host looks for words while its threads go on moving them.
    pub fn sweep(&self) -> usize {
        self.slots().sweep()
    }

    /// Keeps the ciphertext of a reference until [`Store::unpin`]; pins add up.
    ///
    /// # Errors
    /// [`crate::Error::Finished`] for a reference that leads nowhere.
    pub fn pin(&self, word: i64) -> Result<()> {
        self.slots().pin(word)
    }

    /// Takes back one [`Store::pin`].
    ///
    /// # Errors
    /// As [`Store::pin`]; [`crate::Error::InvalidArgument`] if it was not pinned.
    pub fn unpin(&self, word: i64) -> Result<()> {
        self.slots().unpin(word)
    }

    /// How many plaintexts did not fit (−N/2, N/2) since this was last asked, and wrapped modulo N: results of P2,
    /// and numbers that were encrypted under a small key (under others these are errors). It is for P2 alone.
    pub fn take_wrapped(&self) -> u64 {
        self.wrapped.swap(0, Ordering::Relaxed)
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        // A panic inside leaves a slot too many at worst.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({} ciphertexts)", self.len())
    }
}
