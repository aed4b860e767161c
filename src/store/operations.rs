//! What the names of `lltm_cpp` do, on words. Shapes are the host's business: here everything is a
//! list, and of two operands the shorter may be a single element.
//!
//! What P2 does (decrypt, compute, encrypt) needs the private key in the given one.

use super::batch::Batch;
use super::numbers::to_bytes;
use super::{Numbers, Store, StoreKey};
use crate::error::{Error, Result};
use rug::Integer;
use rug::ops::DivRounding;

impl Store {
    /// Fresh encryptions.
    ///
    /// # Errors
    /// [`Error::Bound`] for a number beyond ±N/2, except under small keys: see
    /// [`Store::take_wrapped`].
    pub fn encrypt(&self, key: &StoreKey, values: Numbers<'_>) -> Result<Vec<i64>> {
        self.seal(key, &values.integers())
    }

    /// Plaintexts as [`Numbers`] takes them: bytes of each, and all of them.
    ///
    /// # Errors
    /// As all functions that read words: [`Error::Finished`] for a reference that leads nowhere,
    /// [`Error::KeyMismatch`] for one of another key, [`Error::InvalidArgument`] for a negative
    /// word or a public key where the private one is needed, [`Error::Malformed`] for a residue
    /// that encrypts nothing.
    pub fn decrypt(&self, key: &StoreKey, words: &[i64]) -> Result<(usize, Vec<u8>)> {
        Ok(to_bytes(&self.open(key, words)?))
    }

    /// E(x_i + y_i).
    ///
    /// # Errors
    /// Those of words; [`Error::Shape`].
    pub fn add(&self, key: &StoreKey, x: &[i64], y: &[i64]) -> Result<Vec<i64>> {
        let (x, y) = self.pair(key, x, y)?;
        self.save(key, &x.multiply(&y))
    }

    /// E(x_i − y_i). Errors as [`Store::add`].
    pub fn subtract(&self, key: &StoreKey, x: &[i64], y: &[i64]) -> Result<Vec<i64>> {
        let (x, y) = self.pair(key, x, y)?;
        self.save(key, &x.multiply(&y.power(&[Integer::from(-1)])?))
    }

    /// E(x_i + r_i) for clear numbers, one each or one for all. Errors as [`Store::add`].
    pub fn add_numbers(&self, key: &StoreKey, x: &[i64], r: Numbers<'_>) -> Result<Vec<i64>> {
        one_or_as_many("numbers", r.len(), x.len())?;
        self.save(key, &self.load(key, x)?.add_clear(&r.integers()))
    }

    /// E(x_i · r_i) for clear numbers of either sign, one each or one for all. Errors as
    /// [`Store::add`].
    pub fn multiply_numbers(&self, key: &StoreKey, x: &[i64], r: Numbers<'_>) -> Result<Vec<i64>> {
        one_or_as_many("numbers", r.len(), x.len())?;
        self.save(key, &self.load(key, x)?.power(&r.integers())?)
    }

    /// The sum of every `width` elements; with a width of 0, of everything, which may be nothing.
    ///
    /// # Errors
    /// Those of words; [`Error::Shape`].
    pub fn sum(&self, key: &StoreKey, x: &[i64], width: usize) -> Result<Vec<i64>> {
        let batch = self.load(key, x)?;
        let sums = match (width, x.len()) {
            (0, 0) => return self.seal(key, &[Integer::new()]),
            (0, all) => batch.products(all),
            _ => batch.products(rows_of(x.len(), width)?),
        };
        self.save(key, &sums)
    }

    /// P2's half of a product: E(⌊x_i · y_i / q⌋).
    ///
    /// # Errors
    /// Those of words; [`Error::Shape`]; [`Error::InvalidArgument`] for q = 0. None for a product beyond ±N/2: it
    /// wraps, see [`Store::take_wrapped`].
    pub fn p2_multiply(&self, key: &StoreKey, x: &[i64], y: &[i64], q: u64) -> Result<Vec<i64>> {
        let len = common(x.len(), y.len())?;
        let q = divisor(q)?;
        let (x, y) = (self.open(key, x)?, self.open(key, y)?);
        let pairs = x.iter().cycle().zip(y.iter().cycle()).take(len);
        let products: Vec<_> = pairs.map(|(x, y)| scaled_product(x, y, &q)).collect();
        self.seal_results(key, &products)
    }

    /// E(y_i)^x_i, x decrypted. Errors as [`Store::p2_multiply`]; [`Error::Malformed`] for a y without an inverse, which
    /// negative exponents alone would miss.
    pub fn p2_power(&self, key: &StoreKey, x: &[i64], y: &[i64]) -> Result<Vec<i64>> {
        let len = common(x.len(), y.len())?;
        let exponents = self.open(key, x)?;
        let bases = spread(self.load(key, y)?, len);
        bases.refuse_non_units()?;
        self.save(key, &bases.power(&exponents)?)
    }

    /// P2's half of a matrix product, x of `m × p`, y of `p × n`: E(Σ_k ⌊x_ik · y_kj / q⌋), row-major.
    ///
    /// # Errors
    /// As [`Store::p2_multiply`].
    pub fn p2_matmul(
        &self,
        key: &StoreKey,
        x: &[i64],
        y: &[i64],
        shape: [usize; 3],
        q: u64,
    ) -> Result<Vec<i64>> {
        let [m, p, n] = shape;
        if m.checked_mul(p) != Some(x.len()) || p.checked_mul(n) != Some(y.len()) {
            return Err(Error::shape(format!(
                "matrices of {m} × {p} and {p} × {n} in lists of {} and {} elements",
                x.len(),
                y.len()
            )));
        }
        let q = divisor(q)?;
        let (x, y) = (self.open(key, x)?, self.open(key, y)?);
        let entry = |i: usize, j: usize| {
            let terms = (0..p).map(|k| scaled_product(&x[i * p + k], &y[k * n + j], &q));
            terms.fold(Integer::new(), |sum, term| sum + term)
        };
        let entries = (0..m).flat_map(|i| (0..n).map(move |j| (i, j)));
        let sums: Vec<_> = entries.map(|(i, j)| entry(i, j)).collect();
        self.seal_results(key, &sums)
    }

    /// P2's sum of every `width` elements, decrypted and encrypted again.
    ///
    /// # Errors
    /// As [`Store::p2_multiply`].
    pub fn p2_sum(&self, key: &StoreKey, x: &[i64], width: usize) -> Result<Vec<i64>> {
        let width = rows_of(x.len(), width)?;
        let sums: Vec<Integer> = self
            .open(key, x)?
            .chunks_exact(width)
            .map(|row| row.iter().sum())
            .collect();
        self.seal_results(key, &sums)
    }

    /// P1's half of a product: E(m_i − r_a·a_i − r_b·b_i − r_a·r_b). The masks are a single number
    /// each.
    ///
    /// # Errors
    /// As [`Store::add`].
    pub fn unmask(
        &self,
        key: &StoreKey,
        [a, b, m]: [&[i64]; 3],
        r_a: Numbers<'_>,
        r_b: Numbers<'_>,
    ) -> Result<Vec<i64>> {
        one_or_as_many("elements of a", a.len(), m.len())?;
        one_or_as_many("elements of b", b.len(), m.len())?;
        let (a, b) = (self.lifted(key, a, r_a)?, self.lifted(key, b, r_b)?);
        let (a, b) = (spread(a, m.len()), spread(b, m.len()));
        self.unmasked(key, m, &a.multiply(&b), r_a, r_b)
    }

    /// P1's half of a matrix product: E(m_ij − r_a·a_i − r_b·b_j − r_a·r_b), m row-major.
    ///
    /// # Errors
    /// As [`Store::add`].
    pub fn unmask_matrix(
        &self,
        key: &StoreKey,
        [a, b, m]: [&[i64]; 3],
        r_a: Numbers<'_>,
        r_b: Numbers<'_>,
    ) -> Result<Vec<i64>> {
        if a.len().checked_mul(b.len()) != Some(m.len()) {
            return Err(Error::shape(format!(
                "{} row sums and {} column sums for {} elements",
                a.len(),
                b.len(),
                m.len()
            )));
        }
        let (rows, columns) = (self.lifted(key, a, r_a)?, self.lifted(key, b, r_b)?);
        let row_of: Vec<_> = (0..m.len()).map(|k| k / b.len()).collect();
        let column_of: Vec<_> = (0..m.len()).map(|k| k % b.len()).collect();
        let both = rows.gather(&row_of).multiply(&columns.gather(&column_of));
        self.unmasked(key, m, &both, r_a, r_b)
    }

    /// E(−r · x_i).
    fn lifted(&self, key: &StoreKey, x: &[i64], r: Numbers<'_>) -> Result<Batch> {
        self.load(key, x)?.power(&[-single(r)?])
    }

    fn unmasked(
        &self,
        key: &StoreKey,
        m: &[i64],
        lifted: &Batch,
        r_a: Numbers<'_>,
        r_b: Numbers<'_>,
    ) -> Result<Vec<i64>> {
        let product = self.load(key, m)?.multiply(lifted);
        self.save(key, &product.add_clear(&[-(single(r_a)? * single(r_b)?)]))
    }

    /// Both operands, of one length.
    fn pair(&self, key: &StoreKey, x: &[i64], y: &[i64]) -> Result<(Batch, Batch)> {
        let len = common(x.len(), y.len())?;
        let (x, y) = (self.load(key, x)?, self.load(key, y)?);
        Ok((spread(x, len), spread(y, len)))
    }
}

/// A single element as many times as there are others.
fn spread(batch: Batch, len: usize) -> Batch {
    match batch.len() == len {
        true => batch,
        false => batch.gather(&vec![0; len]),
    }
}

/// ⌊x·y/q⌋.
fn scaled_product(x: &Integer, y: &Integer, q: &Integer) -> Integer {
    Integer::from(x * y).div_floor(q)
}

fn divisor(q: u64) -> Result<Integer> {
    match q {
        0 => Err(Error::invalid("division by q = 0; q is at least 1")),
        q => Ok(Integer::from(q)),
    }
}

fn single(r: Numbers<'_>) -> Result<Integer> {
    match r.integers().pop() {
        Some(value) if r.len() == 1 => Ok(value),
        _ => Err(Error::shape(format!(
            "a mask is one number, not {}",
            r.len()
        ))),
    }
}

fn common(x: usize, y: usize) -> Result<usize> {
    match (x, y) {
        (x, y) if x == y => Ok(x),
        (1, len) | (len, 1) => Ok(len),
        _ => Err(Error::shape(format!(
            "operands of {x} and {y} elements; both need as many, or one of them a single one"
        ))),
    }
}

fn one_or_as_many(what: &str, count: usize, len: usize) -> Result<()> {
    match count == 1 || count == len {
        true => Ok(()),
        false => Err(Error::shape(format!(
            "{count} {what} for {len} ciphertexts; needed is one, or one each"
        ))),
    }
}

fn rows_of(len: usize, width: usize) -> Result<usize> {
    match width > 0 && len.is_multiple_of(width) {
        true => Ok(width),
        false => Err(Error::shape(format!(
            "{len} elements are no whole number of rows of {width}"
        ))),
    }
}

#[cfg(test)]
mod tests;
