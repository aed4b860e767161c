//! Operation numbers: which part of the rounding stream an operation of a network draws from.
//!
//! | bits | meaning |
//! |---|---|
//! | 63 | 0; an arithmetic's own numbers have 1 |
//! | 62 | 0 for training, 1 for prediction |
//! | 61..12 | which training attempt, or which prediction |
//! | 11..4 | layer |
//! | 3..0 | role |
//!
//! A number serves one tensor, ever: two values masked with equal r_lo would show P2 their
//! difference modulo the divisor. So a training step that failed is not repeated under its old
//! number: attempts are counted, not completed steps. They agree as long as nothing fails.

use crate::error::{Error, Result};

/// Layers that a number can name.
pub(super) const MAX_LAYERS: usize = 1 << 8;
const SERIES_BITS: u32 = 50;

/// One division of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Rescales a·W.
    Forward = 0,
    /// Scales aᵀ·δ to the increment of the weights.
    Weights = 1,
    /// Scales Σδ to the increment of the biases.
    Biases = 2,
    /// Rescales δ·Wᵀ.
    Backward = 3,
}

/// The numbers of one training attempt or one prediction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series(u64);

impl Series {
    /// Those of training attempt `attempt`, counted from 0.
    pub(super) fn training(attempt: u64) -> Result<Self> {
        Self::new(0, attempt, "training steps")
    }

    /// Those of prediction `count`, counted from 0.
    pub(super) fn prediction(count: u64) -> Result<Self> {
        Self::new(1 << 62, count, "predictions")
    }

    fn new(kind: u64, count: u64, what: &'static str) -> Result<Self> {
        if count >> SERIES_BITS != 0 {
            return Err(Error::Limit {
                what,
                value: count,
                limit: 1 << SERIES_BITS,
            });
        }
        Ok(Self(kind | count << 12))
    }

    /// The number of one division.
    pub(super) fn number(self, layer: usize, role: Role) -> u64 {
        self.0 | (layer as u64) << 4 | role as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differ() {
        let mut numbers = Vec::new();
        for series in [Series::training, Series::prediction] {
            for count in [0, 1, (1 << SERIES_BITS) - 1] {
                for layer in [0, 1, MAX_LAYERS - 1] {
                    for role in [Role::Forward, Role::Weights, Role::Biases, Role::Backward] {
                        numbers.push(series(count).unwrap().number(layer, role));
                    }
                }
            }
            assert!(series(1 << SERIES_BITS).is_err());
        }
        assert!(numbers.iter().all(|number| number >> 63 == 0));
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }
}
