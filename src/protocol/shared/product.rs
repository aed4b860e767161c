//! One matrix product of shared values; [`super::products`] says how it is computed.

use super::ahead::{Composer, Term};
use super::cross::{CrossProducts, Prepared, work};
use super::open::{Label, Which, read_term, values_of};
use super::products::Item;
use super::{Answering, Halves, Operand, read_halves_with_limbs, write_share};
use crate::error::{Error, Result};
use crate::fixed::bounds::ceil_log2;
use crate::parallel;
use crate::protocol::masking::Masker;
use crate::protocol::p2::{MAX_TERMS, MAX_VALUES};
use crate::protocol::wide::{self, Wide};
use crate::wire::{Reader, Writer};
use zeroize::Zeroizing;

/// A factor of a product: a shared matrix, as it is or transposed.
#[derive(Debug, Clone, Copy)]
pub struct Factor<'a> {
    pub operand: &'a Operand,
    pub transposed: bool,
}

/// Bits of a shared factor: its values and its masks.
#[derive(Debug, Clone, Copy)]
pub struct FactorBits {
    pub bound: u32,
    pub mask: u32,
}

impl FactorBits {
    /// Of values of `bound` bits under masks that hide them with σ bits.
    pub fn new(bound: u32, sigma: u32) -> Self {
        let mask = bound + 1 + sigma;
        Self { bound, mask }
    }
}

/// Bits of the numbers in one product.
pub struct Widths {
    /// |RW| and |XS| < 2^cross.
    cross: u32,
    /// RS and ρ2 < 2^wide, |K| < 2^(wide−1).
    wide: u32,
}

impl Widths {
    /// Of factors contracted over p, a divisor of `divisor_bits` and results of `result` bits.
    pub fn new(
        x: FactorBits,
        w: FactorBits,
        p: usize,
        sigma: u32,
        divisor_bits: u32,
        result: u32,
    ) -> Self {
        let terms = ceil_log2(p);
        let cross = (x.bound + w.mask).max(x.mask + w.bound) + terms;
        Self {
            cross,
            wide: (x.mask + w.mask + terms)
                .max(cross + 1 + sigma)
                .max(divisor_bits + result + sigma + 2),
        }
    }

    /// u = XS + RS − ρ2 − K + 2^(wide+1): RS and ρ2 are not negative, |XS| and |K| < 2^(wide−1).
    pub fn slot(&self) -> u32 {
        self.wide + 2
    }

    fn offset_u(&self) -> u32 {
        self.wide + 1
    }

    fn offset_v(&self) -> u32 {
        self.cross + 1
    }
}

fn check_size(m: usize, p: usize, q: usize) -> Result<()> {
    let outputs = m.saturating_mul(q);
    Error::check_limit("outputs of a matrix product", outputs, MAX_VALUES)?;
    let terms = outputs.saturating_mul(p);
    Error::check_limit("terms of a matrix product", terms, MAX_TERMS)
}

/// A product that P1 is going to ask for.
pub struct Product {
    transposed: [bool; 2],
    left: Prepared,
    right: Prepared,
    widths: Widths,
}

impl Product {
    /// Checks that the factors fit each other, and that what is sent fits their slots.
    pub fn new(masker: &Masker<'_>, x: Factor<'_>, y: Factor<'_>, item: &Item<'_>) -> Result<Self> {
        // Lines of X are its columns, so that m runs along a line.
        let left = Prepared::new(x.operand, x.transposed)?;
        let right = Prepared::new(y.operand, !y.transposed)?;
        let (m, p, q) = (left.per_line, left.lines, right.per_line);
        let results: usize = item.shape.iter().product();
        if right.lines != p || m * q != results {
            return Err(Error::shape(format!(
                "a product of {m} × {p} and {} × {q} with {results} results",
                right.lines
            )));
        }
        check_size(m, p, q)?;
        let divisor_bits = u64::BITS - item.divisor.leading_zeros();
        let bits = |factor: &Prepared| FactorBits {
            bound: factor.bound,
            mask: factor.share.mask_bits,
        };
        let widths = Widths::new(
            bits(&left),
            bits(&right),
            p,
            masker.sigma(),
            divisor_bits,
            item.meta.bound,
        );
        for packs in [&left.packs, &right.packs] {
            let bits = packs.slots.bits() as u32;
            if bits < widths.slot() {
                return Err(Error::Bound {
                    what: "a masked product in a slot of its factors",
                    needed: widths.slot(),
                    limit: bits,
                });
            }
        }
        Ok(Self {
            transposed: [x.transposed, y.transposed],
            left,
            right,
            widths,
        })
    }

    /// What P1 has to do for both terms, see [`work`].
    pub fn work(&self) -> u64 {
        let of = |factor: &Prepared, other: &Prepared| {
            work(
                factor.lines,
                other.per_line * factor.packs.slots.packs_per_line(),
            )
        };
        of(&self.left, &self.right) + of(&self.right, &self.left)
    }

    /// Makes the terms, some of it ahead of the request, and writes the product.
    pub fn write(
        &self,
        masker: &Masker<'_>,
        w: &mut Writer,
        composer: &mut Composer<'_>,
        number: usize,
        item: &Item<'_>,
        hiding: &[Wide],
    ) -> Result<()> {
        let [u, v] = self.terms(masker, composer, number, hiding)?;
        w.u16(0);
        let shares = [&self.left.share, &self.right.share];
        for (share, transposed) in shares.into_iter().zip(self.transposed) {
            write_share(w, share);
            w.u16(u16::from(transposed));
        }
        w.u64(item.divisor);
        composer.write(w, &u);
        composer.write(w, &v);
        Ok(())
    }

    fn terms(
        &self,
        masker: &Masker<'_>,
        composer: &mut Composer<'_>,
        number: usize,
        hiding: &[Wide],
    ) -> Result<[Term; 2]> {
        let Self {
            left,
            right,
            widths,
            ..
        } = self;
        let (m, p, q) = (left.per_line, left.lines, right.per_line);
        let rho2 = masker
            .random
            .limbs(m * q, (widths.cross + 1 + masker.sigma()) as usize)?;
        let products = inner_products(
            &wide::from_rows(&left.masks),
            &wide::from_rows(&right.masks),
            [m, p, q],
            left.share.mask_bits.max(right.share.mask_bits) < 64,
        );
        let offset_u = wide::power_of_two(widths.offset_u());
        let offset_v = wide::power_of_two(widths.offset_v());
        let mut plain_u = Zeroizing::new(vec![Wide::ZERO; q * m]);
        let mut plain_v = Zeroizing::new(Vec::with_capacity(m * q));
        for k in 0..m * q {
            let rho2 = wide::from_row(rho2.row(k));
            let rho1 = products[k].wrapping_sub(&rho2).wrapping_sub(&hiding[k]);
            // u lies column by column, v row by row.
            plain_u[k % q * m + k / q] = rho1.wrapping_add(&offset_u);
            plain_v.push(rho2.wrapping_add(&offset_v));
        }
        // u[j] = Σ_t X[t]·S[t, j], v[i] = Σ_t R[t, i]·W[t].
        let u = CrossProducts {
            factor: left,
            other: right,
            plain: plain_u,
            term: Term {
                item: number,
                which: Which::U,
                slots: left.packs.slots.with_lines(q),
                offset_bits: widths.offset_u(),
                parts: vec![],
            },
        };
        let v = CrossProducts {
            factor: right,
            other: left,
            plain: plain_v,
            term: Term {
                item: number,
                which: Which::V,
                slots: right.packs.slots.with_lines(m),
                offset_bits: widths.offset_v(),
                parts: vec![],
            },
        };
        // What comes last had better be small: P2 has not seen it when P1 is done.
        let cuts = [&u, &v].map(|cross| cross.cut(composer));
        let last = [&u, &v].map(|cross| cross.packs_in(cuts[cross.term.which as usize].last()));
        let [cut_u, cut_v] = cuts;
        if last[0] < last[1] {
            let v = v.make(masker, composer, cut_v)?;
            return Ok([u.make(masker, composer, cut_u)?, v]);
        }
        let u = u.make(masker, composer, cut_u)?;
        Ok([u, v.make(masker, composer, cut_v)?])
    }
}

/// `out[i·q + j] = Σ_t a[t·m + i]·b[t·q + j]`. `narrow`: every number is known to fit a signed limb. What the numbers
/// are makes no difference to the time.
fn inner_products(
    a: &[Wide],
    b: &[Wide],
    [m, p, q]: [usize; 3],
    narrow: bool,
) -> Zeroizing<Vec<Wide>> {
    let terms = |k: usize| (0..p).map(move |t| (&a[t * m + k / q], &b[t * q + k % q]));
    Zeroizing::new(
        parallel::over(0..m * q)
            .map(|k| match narrow {
                true => narrow_sum(terms(k)),
                false => terms(k).fold(Wide::ZERO, |sum, (x, y)| {
                    sum.wrapping_add(&x.wrapping_mul(y))
                }),
            })
            .collect(),
    )
}

/// Σ x·y of numbers of one signed limb, the two limbs of the products summed apart.
fn narrow_sum<'a>(terms: impl Iterator<Item = (&'a Wide, &'a Wide)>) -> Wide {
    let limb = |x: &Wide| i128::from(x.as_words()[0] as i64);
    let (low, high) = terms.fold((0u128, 0i128), |(low, high), (x, y)| {
        let product = limb(x) * limb(y);
        (low + u128::from(product as u64), high + (product >> 64))
    });
    let high = wide::from_i128(high).shl_vartime(u64::BITS);
    high.wrapping_add(&Wide::from_u128(low))
}

/// P2: the results of a product, still to be divided, and by what.
pub fn read_product(
    r: &mut Reader<'_>,
    p2: &Answering<'_>,
    label: Option<Label>,
    number: usize,
) -> Result<(Halves, u64)> {
    let mut factors = Vec::with_capacity(2);
    let mut narrow = true;
    for lines_are_the_products in [true, false] {
        let (halves, limbs) = read_halves_with_limbs(r, p2)?;
        narrow &= limbs == 1;
        let transposed = r.u16()? == 1;
        // Both as p lines: those of X are its columns.
        factors.push(match transposed == lines_are_the_products {
            true => halves,
            false => halves.transposed(),
        });
    }
    let divisor = r.u64()?;
    let (x, w) = (&factors[0], &factors[1]);
    let (m, p, q) = (x.per_line, x.lines, w.per_line);
    let u = read_term(r, p2, label, number, Which::U)?;
    let v = read_term(r, p2, label, number, Which::V)?;
    if w.lines != p || u.dimensions() != [q, m] || v.dimensions() != [m, q] {
        return Err(r.error(format!(
            "a product of {m} × {p} and {} × {q} with {:?} and {:?} masked terms",
            w.lines,
            u.dimensions(),
            v.dimensions()
        )));
    }
    check_size(m, p, q)?;
    // Products of absurdly wide numbers would wrap: garbage for the one who asked for it.
    let mut values = inner_products(&x.values, &w.values, [m, p, q], narrow);
    let [u, v] = values_of([&u, &v], p2)?;
    for (k, z) in values.iter_mut().enumerate() {
        *z = z
            .wrapping_sub(u.at(k % q, k / q))
            .wrapping_sub(v.at(k / q, k % q));
    }
    let halves = Halves {
        lines: m,
        per_line: q,
        values,
    };
    Ok((halves, divisor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn narrow_sums_are_the_wide_ones() {
        let (m, p, q) = (3, 50, 2);
        let random = |count: usize| -> Vec<Wide> {
            let words = Random::os().limbs(count, 64).unwrap();
            let extremes = [i64::MIN, i64::MAX, -1, 0];
            (0..count)
                .map(|i| *extremes.get(i / m).unwrap_or(&(words.row(i)[0] as i64)))
                .map(|x| wide::from_i128(x.into()))
                .collect()
        };
        for (a, b) in [
            (random(m * p), random(p * q)),
            (
                vec![wide::from_i128(i64::MIN.into()); m * p],
                vec![wide::from_i128(i64::MIN.into()); p * q],
            ),
            (
                vec![wide::from_i128(i64::MIN.into()); m * p],
                vec![wide::from_i128(i64::MAX.into()); p * q],
            ),
        ] {
            let [narrow, general] =
                [true, false].map(|narrow| inner_products(&a, &b, [m, p, q], narrow));
            assert_eq!(*narrow, *general);
        }
    }
}
