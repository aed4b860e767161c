//! P1's work in a product: the cross terms, packs of the lines of one factor to the power of the
//! other's masks, part by part.

use super::Operand;
use super::ahead::{Composer, Term};
use crate::error::{Error, Result};
use crate::fixed::bounds::ceil_log2;
use crate::modular::exponentiation::{Exponents, multi_power};
use crate::modular::{Limbs, Residues, Ring};
use crate::paillier::Slots;
use crate::parallel;
use crate::protocol::masking::{Masker, RandomPart};
use crate::protocol::profile::{Phase, measure};
use crate::protocol::wide::Wide;
use crate::tensor::{Packs, Share};
use std::ops::Range;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A factor as P1 uses it: p lines, packed along them.
pub struct Prepared {
    pub packs: Arc<Packs>,
    pub share: Share,
    /// Masks, line by line.
    pub masks: Limbs,
    pub lines: usize,
    pub per_line: usize,
    pub bound: u32,
}

impl Prepared {
    /// `along_lines`: whether the lines of the tensor are those of the product.
    pub fn new(operand: &Operand, along_lines: bool) -> Result<Self> {
        let Operand { tensor, shared } = operand;
        let packs = if along_lines {
            &shared.rows
        } else {
            &shared.columns
        };
        let packs = packs.clone().ok_or_else(|| {
            Error::invalid("a factor of a product has not been packed along its lines")
        })?;
        let [lines, per_line] = packs.slots.dimensions();
        let masks = shared.share.masks();
        Ok(Self {
            packs,
            share: shared.share.clone(),
            masks: if along_lines {
                masks
            } else {
                transposed(&masks, per_line, lines)
            },
            lines,
            per_line,
            bound: tensor.bound(),
        })
    }
}

fn transposed(rows: &Limbs, lines: usize, per_line: usize) -> Limbs {
    let mut out = Limbs::zeros(rows.rows(), rows.width());
    for i in 0..lines {
        for j in 0..per_line {
            out.row_mut(j * lines + i)
                .copy_from_slice(rows.row(i * per_line + j));
        }
    }
    out
}

/// The packs of Σ_t lines[t]·masks[t, j] + plain[j] for each j.
pub struct CrossProducts<'a> {
    pub factor: &'a Prepared,
    pub other: &'a Prepared,
    pub plain: Zeroizing<Vec<Wide>>,
    pub term: Term,
}

impl CrossProducts<'_> {
    /// In which parts they are made. Every part uses ciphertexts of the factor of its own, so that
    /// no table of powers is made twice.
    pub fn cut(&self, composer: &Composer<'_>) -> Vec<Range<usize>> {
        let blocks = self.term.slots.packs_per_line();
        let parts = match composer.cuts() {
            true => (self.term.slots.packs() / smallest_part(self.ring())).clamp(1, blocks.max(1)),
            false => 1,
        };
        let step = blocks.div_ceil(parts).max(1);
        let starts = (0..blocks).step_by(step);
        starts.map(|s| s..blocks.min(s + step)).collect()
    }

    fn ring(&self) -> &dyn Ring {
        &**self.factor.packs.residues.ring()
    }

    pub fn packs_in(&self, part: Option<&Range<usize>>) -> usize {
        part.map_or(0, |blocks| blocks.len() * self.other.per_line)
    }

    pub fn make(
        mut self,
        masker: &Masker<'_>,
        composer: &mut Composer<'_>,
        cut: Vec<Range<usize>>,
    ) -> Result<Term> {
        let large = self.term.slots.packs() >= smallest_part(self.ring());
        for blocks in cut {
            let work = work(self.factor.lines, self.packs_in(Some(&blocks)));
            let ciphertexts = self.part(masker, blocks.clone())?;
            composer.take(masker, &mut self.term, blocks, ciphertexts, work, large)?;
        }
        Ok(self.term)
    }

    fn part(&self, masker: &Masker<'_>, blocks: Range<usize>) -> Result<Residues> {
        let Self {
            factor,
            other,
            plain,
            term,
        } = self;
        let slots = term.slots.with_blocks(blocks.clone());
        let packs = measure(
            Phase::MultiExponentiation,
            factor.lines * slots.packs(),
            || {
                let outputs = other.per_line;
                products_of_packs(
                    factor,
                    blocks.clone(),
                    &other.masks,
                    other.share.mask_bits,
                    outputs,
                )
            },
        );
        let plain = values_in(plain, &term.slots, &slots, blocks.start);
        // A factor's ciphertexts are fresh, so that the length of their random exponents is known.
        let random_bits =
            masker.key.exponent_bits() + other.share.mask_bits + ceil_log2(factor.lines) + 1;
        let packed = masker.conceal(
            &packs,
            slots,
            &plain,
            term.offset_bits,
            RandomPart::Below(random_bits),
        )?;
        Ok(packed.ciphertexts)
    }
}

/// The values of a part that begins with this block of every line.
fn values_in(all: &[Wide], slots: &Slots, part: &Slots, first: usize) -> Zeroizing<Vec<Wide>> {
    let ([lines, per_line], [_, width]) = (slots.dimensions(), part.dimensions());
    let mut values = Zeroizing::new(Vec::with_capacity(lines * width));
    for line in 0..lines {
        let start = line * per_line + first * slots.per_pack();
        values.extend_from_slice(&all[start..start + width]);
    }
    values
}

/// Ciphertexts of a part that is sent ahead, at least: fewer would leave lanes and cores idle, and
/// a message costs as much as a few of them. Measured for one core.
fn smallest_part(ring: &dyn Ring) -> usize {
    match ring.whole() {
        true => usize::MAX,
        false => (ring.lanes() * parallel::threads()).max(SMALLEST_PART),
    }
}

const SMALLEST_PART: usize = 32;

/// Making so many ciphertexts of products of `terms` powers each, in powers. To re-randomise one
/// takes about as long as a dozen of them.
pub fn work(terms: usize, ciphertexts: usize) -> u64 {
    (terms as u64 + 12) * ciphertexts as u64
}

/// Of some of the packs of every line.
fn products_of_packs(
    factor: &Prepared,
    blocks: Range<usize>,
    masks: &Limbs,
    mask_bits: u32,
    outputs: usize,
) -> Residues {
    let (lines, all) = (factor.lines, factor.packs.slots.packs_per_line());
    let used: Vec<usize> = (0..lines)
        .flat_map(|t| blocks.clone().map(move |block| t * all + block))
        .collect();
    let bases = factor.packs.residues.gather(&used);
    let blocks = blocks.len();
    let mut indices = Vec::with_capacity(outputs * blocks * lines);
    let mut exponents = Limbs::zeros(outputs * blocks * lines, masks.width());
    for j in 0..outputs {
        for block in 0..blocks {
            for t in 0..lines {
                exponents
                    .row_mut(indices.len())
                    .copy_from_slice(masks.row(t * outputs + j));
                indices.push(t * blocks + block);
            }
        }
    }
    let exponents = Exponents::new(&exponents, mask_bits as usize);
    multi_power(&bases, &indices, &exponents, lines)
}
