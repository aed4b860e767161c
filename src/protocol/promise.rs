//! How wide masks are: σ follows from what P1 promises and from how much P2 gets to see.
//!
//! A mask of σ bits more than its value hides it up to 2^−σ, m of them up to m·2^−σ. P1 promises that P2's
//! advantage over guessing stays at most 2^−s. So whatever P2 is to see is known before anything is sent, σ is
//! derived from it, and a [`Budget`] stops what would show more.
//!
//! What counts: every value that P2 sees under a mask of its own, attempts that fail included, and every ciphertext that
//! P1 re-randomises.
//!
//! The trainings of a network share one promise. How many there will be is not known in advance, so the j-th (from
//! 0) takes a share of 1/((j+1)(j+2)) of it: all shares together are 1, and a training that follows many others has
//! masks that are a few bits wider.

use crate::error::{Error, Result};
use crate::paillier::MAX_SIGMA;
use std::sync::atomic::{AtomicU64, Ordering};

/// s when the caller does not choose, in bits.
pub const DEFAULT_SECURITY: u32 = 40;

/// What calls outside of trainings may show P2 when the caller does not choose: a million predictions of a small network.
pub const DEFAULT_VALUES: u64 = 1 << 28;

/// The smallest σ; a mask of fewer bits hides nothing worth hiding.
pub const MIN_SIGMA: u32 = 40;

/// What P1 promises of its masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// Nothing is promised without.
    security: Option<u32>,
    values: u64,
    sigma: Option<u32>,
}

impl Default for Promise {
    /// 2^−40, over 2^28 values outside of trainings.
    fn default() -> Self {
        Self {
            security: Some(DEFAULT_SECURITY),
            values: DEFAULT_VALUES,
            sigma: None,
        }
    }
}

impl Promise {
    /// P2's advantage over guessing is at most 2^−`security`, over each network's trainings and over all other calls of
    /// a P1; 40 at least.
    pub fn of(security: u32) -> Self {
        Self {
            security: Some(security),
            ..Self::default()
        }
    }

    /// Calls outside of trainings show P2 at most so many values, ciphertexts included; past that they are refused.
    pub fn values(self, values: u64) -> Self {
        Self { values, ..self }
    }

    /// Masks have exactly `sigma` bits of statistical security, 40 to 128. Whatever that is too few for is refused; calls
    /// outside of trainings may show what masks of this width allow.
    pub fn with_sigma(self, sigma: u32) -> Self {
        let sigma = Some(sigma);
        Self { sigma, ..self }
    }

    /// Masks of `sigma` bits and no promise: for tests and for measuring, never for data.
    pub fn insecure(sigma: u32) -> Self {
        Self {
            security: None,
            values: 0,
            sigma: Some(sigma),
        }
    }

    /// The promised bits s; 0 where nothing is promised.
    pub fn security(&self) -> u32 {
        self.security.unwrap_or(0)
    }

    /// What calls outside of trainings may show.
    pub(super) fn serving(&self) -> Result<Budget> {
        if let Some(security) = self.security
            && !(DEFAULT_SECURITY..=MAX_SIGMA).contains(&security)
        {
            return Err(Error::invalid(format!(
                "a promise of 2^-{security}; {DEFAULT_SECURITY} to {MAX_SIGMA} bits are supported, {DEFAULT_SECURITY} is the default"
            )));
        }
        if let Some(sigma) = self.sigma
            && !(MIN_SIGMA..=MAX_SIGMA).contains(&sigma)
        {
            return Err(Error::invalid(format!(
                "masks of {sigma} bits of statistical security; {MIN_SIGMA} to {MAX_SIGMA} are supported"
            )));
        }
        // All that masks of this width allow, which is one value at least; or what they are chosen for.
        let values = self.sigma.map_or(self.values, |_| 1);
        self.budget_for("calls outside of trainings", values, self.security())
    }

    /// What a training that shows at most `values` may show, after `before` trainings of the same network.
    pub(super) fn training(&self, values: u64, before: u64) -> Result<Budget> {
        // The share of the j-th is 2^−bits at least.
        let share = match self.security {
            None => 0,
            Some(security) => security + log2_of_share(before),
        };
        self.budget_for(
            &format!("a training of this network, after {before} others,"),
            values,
            share,
        )
    }

    fn budget_for(&self, what: &str, values: u64, share: u32) -> Result<Budget> {
        let needed = (share + ceil_log2(values)).max(MIN_SIGMA);
        match self.sigma {
            Some(sigma) if sigma >= needed || share == 0 => Ok(self.budget(sigma, share)),
            Some(sigma) => Err(Error::Insecure(format!(
                "masks of {sigma} bits keep the promise of 2^-{} for 2^{} values that P2 sees, and {what} may show up \
                 to {values}, for which {needed} bits are needed; leave the width of masks to the library, or choose \
                 at least {needed}",
                self.security(),
                sigma.saturating_sub(share)
            ))),
            None if needed > MAX_SIGMA => Err(Error::Insecure(format!(
                "{what} may show P2 up to {values} values; to keep the promise of 2^-{} masks would need {needed} bits, \
                 and at most {MAX_SIGMA} are supported; promise less, or show less at once",
                self.security()
            ))),
            None => Ok(self.budget(needed, share)),
        }
    }

    fn budget(&self, sigma: u32, share: u32) -> Budget {
        Budget {
            promise: *self,
            sigma,
            values: 1u64
                .checked_shl(sigma.saturating_sub(share))
                .unwrap_or(u64::MAX),
            shown: AtomicU64::new(0),
        }
    }
}

/// log2((j+1)(j+2)), rounded up.
fn log2_of_share(before: u64) -> u32 {
    let j = u128::from(before.min(1 << 60));
    u128::BITS - ((j + 1) * (j + 2) - 1).leading_zeros()
}

fn ceil_log2(values: u64) -> u32 {
    u64::BITS - values.saturating_sub(1).leading_zeros()
}

/// The width of masks, and what P2 may still see under masks of this width.
#[derive(Debug)]
pub(crate) struct Budget {
    promise: Promise,
    pub sigma: u32,
    values: u64,
    shown: AtomicU64,
}

impl Budget {
    /// Takes so many values out of it, before they are sent.
    ///
    /// # Errors
    /// [`Error::Insecure`] when there are not so many left.
    pub fn spend(&self, values: u64) -> Result<()> {
        let left = |shown: u64| shown.checked_add(values).filter(|&all| all <= self.values);
        match self
            .shown
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
        {
            Ok(_) => Ok(()),
            Err(shown) => Err(Error::Insecure(format!(
                "P2 has seen {shown} values under masks of {} bits, and {values} more would exceed the {} that keep the \
                 promise of 2^-{}; make a P1 for more values",
                self.sigma,
                self.values,
                self.promise.security()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigma_follows_from_the_promise() {
        // Digits, MNIST, a toy: log2 of the values, and one bit for the first of the trainings.
        let sigma = |values, before| Promise::default().training(values, before).map(|b| b.sigma);
        assert_eq!(sigma(1 << 23, 0), Ok(64));
        assert_eq!(sigma((1 << 23) + 1, 0), Ok(65));
        assert_eq!(sigma(1 << 33, 0), Ok(74));
        assert_eq!(sigma(1, 0), Ok(41));
        assert_eq!(sigma(0, 0), Ok(41));
        // 1/2, 1/6, 1/12, ..., 1/10100.
        for (before, bits) in [(0, 1), (1, 3), (2, 4), (3, 5), (9, 7), (99, 14)] {
            assert_eq!(sigma(1 << 20, before), Ok(60 + bits), "{before}");
        }
        assert_eq!(
            Promise::of(64).training(1 << 20, 0).map(|b| b.sigma),
            Ok(85)
        );
        assert_eq!(Promise::default().serving().map(|b| b.sigma), Ok(68));
        assert_eq!(
            Promise::default().values(3).serving().map(|b| b.sigma),
            Ok(42)
        );
        let error = Promise::of(100).training(1 << 40, 0).unwrap_err();
        assert!(error.to_string().contains("141 bits"), "{error}");
        assert!(sigma(u64::MAX, u64::MAX).is_err());
    }

    #[test]
    fn shares_add_up_to_one_at_most() {
        let sum: f64 = (0..10_000)
            .map(|j| 2f64.powi(-(log2_of_share(j) as i32)))
            .sum();
        assert!(sum <= 1.0, "{sum}");
    }

    #[test]
    fn a_width_that_is_too_small_is_refused_by_numbers() {
        let fixed = Promise::default().with_sigma(64);
        assert!(fixed.training(1 << 23, 0).is_ok());
        let error = fixed.training((1 << 23) + 1, 0).unwrap_err().to_string();
        for part in ["64 bits", "2^-40", "2^23", "8388609", "65"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(Promise::insecure(40).training(1 << 40, 7).is_ok());
        for sigma in [0, 39, 129] {
            assert!(Promise::default().with_sigma(sigma).serving().is_err());
            assert!(Promise::insecure(sigma).serving().is_err());
        }
        let error = Promise::of(100).with_sigma(64).serving().unwrap_err();
        assert!(error.to_string().contains("64 bits"), "{error}");
        assert!(error.to_string().contains("100 bits are needed"), "{error}");
        for security in [0, 1, 39, 129] {
            assert!(Promise::of(security).serving().is_err(), "{security}");
        }
    }

    #[test]
    fn a_budget_ends() {
        let budget = Promise::default().values(8).serving().unwrap();
        budget.spend(5).unwrap();
        let error = budget.spend(4).unwrap_err().to_string();
        assert!(
            error.contains("seen 5") && error.contains("exceed the 8"),
            "{error}"
        );
        budget.spend(3).unwrap();
        assert!(budget.spend(1).is_err() && budget.spend(u64::MAX).is_err());
        budget.spend(0).unwrap();
        // A fixed width allows what it hides.
        let fixed = Promise::default().with_sigma(43).serving().unwrap();
        fixed.spend(8).unwrap();
        assert!(fixed.spend(1).is_err());
        Promise::insecure(40)
            .serving()
            .unwrap()
            .spend(1 << 39)
            .unwrap();
    }
}
