//! Randomness: the operating system's generator, and a seeded one under the feature `test-seed`.

use crate::error::{Error, Result};
use crate::modular::Limbs;
use std::fmt;
use zeroize::Zeroizing;

/// Where masks, keys and encryption randomness come from.
pub struct Random(Source);

enum Source {
    OperatingSystem,
    #[cfg(feature = "test-seed")]
    Seeded(Box<std::sync::Mutex<rand_chacha::ChaCha20Rng>>),
}

impl Random {
    /// The operating system's generator.
    pub fn os() -> Self {
        Self(Source::OperatingSystem)
    }

    /// Reproducible randomness for statistical tests; everything that it makes is predictable.
    #[cfg(feature = "test-seed")]
    pub fn seeded(seed: u64) -> Self {
        use rand_chacha::rand_core::SeedableRng;
        let generator = rand_chacha::ChaCha20Rng::seed_from_u64(seed);
        Self(Source::Seeded(Box::new(std::sync::Mutex::new(generator))))
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        match &self.0 {
            Source::OperatingSystem => getrandom::fill(bytes).map_err(|e| {
                Error::Backend(format!("the operating system gave no randomness: {e}"))
            }),
            #[cfg(feature = "test-seed")]
            Source::Seeded(rng) => {
                use rand_chacha::rand_core::Rng;
                rng.lock()
                    .unwrap_or_else(|e| e.into_inner())
                    .fill_bytes(bytes);
                Ok(())
            }
        }
    }

    /// `rows` numbers, uniform in `[0, 2^bits)`.
    pub fn limbs(&self, rows: usize, bits: usize) -> Result<Limbs> {
        let width = bits.div_ceil(64).max(1);
        let mut bytes = Zeroizing::new(vec![0u8; rows * width * 8]);
        self.fill(&mut bytes)?;
        let mut out = Limbs::zeros(rows, width);
        let spare = 64 * width - bits;
        for (i, row) in bytes.chunks_exact(width * 8).enumerate() {
            let out = out.row_mut(i);
            for (word, bytes) in out.iter_mut().zip(row.chunks_exact(8)) {
                *word = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
            }
            out[width - 1] = out[width - 1].checked_shr(spare as u32).unwrap_or(0);
        }
        Ok(out)
    }

    /// Uniform in `[0, limit)`, by rejection.
    pub fn below(&self, limit: u64) -> Result<u64> {
        assert!(limit > 0);
        let zone = u64::MAX - u64::MAX % limit;
        loop {
            let mut bytes = [0u8; 8];
            self.fill(&mut bytes)?;
            let x = u64::from_le_bytes(bytes);
            if x < zone {
                return Ok(x % limit);
            }
        }
    }

    /// `count` fair coins.
    pub fn coins(&self, count: usize) -> Result<Zeroizing<Vec<bool>>> {
        let mut bytes = Zeroizing::new(vec![0u8; count]);
        self.fill(&mut bytes)?;
        Ok(Zeroizing::new(bytes.iter().map(|b| b & 1 == 1).collect()))
    }

    /// A uniform permutation of `0..count` (Fisher and Yates).
    pub fn permutation(&self, count: usize) -> Result<Zeroizing<Vec<usize>>> {
        let mut order: Zeroizing<Vec<usize>> = Zeroizing::new((0..count).collect());
        for i in (1..count).rev() {
            let j = self.below(i as u64 + 1)? as usize;
            order.swap(i, j);
        }
        Ok(order)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::OperatingSystem => "Random(operating system)",
            #[cfg(feature = "test-seed")]
            Source::Seeded(_) => "Random(seeded, test only)",
        })
    }
}
