//! What a training is going to show P2: counts from which the width of its masks follows.

/// The values that P2 sees under masks in a training, and the ciphertexts that it gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exposure {
    /// How often the products and values below are seen.
    pub times: u64,
    /// Rows and columns of the results of matrix products.
    pub products: Vec<(u64, u64)>,
    /// Values under masks besides.
    pub values: u64,
    /// Values that are shared once, each perhaps in a ciphertext of its own.
    pub once: u64,
}

impl Exposure {
    /// All values and ciphertexts, where a ciphertext holds `per_ciphertext` terms of a product.
    ///
    /// Of each product P2 sees the result and both cross terms under masks; ciphertexts hold those of a column of the
    /// first cross term, and of a row of the second.
    pub(super) fn total(&self, per_ciphertext: u64) -> u64 {
        let products = self.products.iter().map(|&(rows, columns)| {
            let packs = |lines: u64, each: u64| lines.saturating_mul(each.div_ceil(per_ciphertext));
            rows.saturating_mul(columns)
                .saturating_mul(3)
                .saturating_add(packs(columns, rows))
                .saturating_add(packs(rows, columns))
        });
        let each = products.fold(self.values, u64::saturating_add);
        (each.saturating_mul(self.times)).saturating_add(self.once.saturating_mul(2))
    }
}
