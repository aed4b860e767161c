//! What P1 keeps of values that it shares with P2: masks, and P2's halves sealed by P2.
//!
//! A value x is shared when P2 can read x + r and P1 knows r. P2 keeps nothing between calls, so
//! it seals its half for itself, line by line, and P1 carries it until it is needed again. Shares
//! are a cache beside the ciphertexts ([`super::Ciphertexts`]): a tensor without them gets new
//! ones from P2.

use crate::modular::{Limbs, Residues};
use crate::paillier::Slots;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

/// One line of shared values (along the last axis).
pub(crate) struct Line {
    /// P2's half, which only P2 can open.
    pub sealed: Vec<u8>,
    /// P1's half: r, not negative, a row a value.
    pub masks: Limbs,
}

/// Shared values, line by line.
#[derive(Clone)]
pub(crate) struct Share {
    pub per_line: usize,
    /// Every mask is below `2^mask_bits`.
    pub mask_bits: u32,
    pub lines: Vec<Arc<Line>>,
}

impl Share {
    /// All masks, row-major.
    pub fn masks(&self) -> Limbs {
        let width = self.lines.first().map_or(1, |l| l.masks.width());
        let mut all = Limbs::zeros(self.lines.len() * self.per_line, width);
        for (i, line) in self.lines.iter().enumerate() {
            for j in 0..self.per_line {
                let at = i * self.per_line + j;
                all.row_mut(at).copy_from_slice(line.masks.row(j));
            }
        }
        all
    }

    /// Whether it has so many lines of so many values under masks of so many bits: another shape of
    /// the same elements has other lines, another bound other masks.
    pub fn is(&self, lines: usize, per_line: usize, mask_bits: u32) -> bool {
        (self.lines.len(), self.per_line, self.mask_bits) == (lines, per_line, mask_bits)
    }

    fn gather(&self, lines: &[usize]) -> Self {
        Self {
            lines: lines.iter().map(|&i| self.lines[i].clone()).collect(),
            ..*self
        }
    }
}

/// Several values a ciphertext.
#[derive(Debug)]
pub(crate) struct Packs {
    pub slots: Slots,
    pub residues: Residues,
}

impl Packs {
    /// Whole lines of it.
    pub fn gather(&self, lines: &[usize]) -> Self {
        let each = self.slots.packs_per_line();
        let indices: Vec<usize> = lines
            .iter()
            .flat_map(|line| line * each..(line + 1) * each)
            .collect();
        Self {
            slots: self.slots.with_lines(lines.len()),
            residues: self.residues.gather(&indices),
        }
    }
}

/// What is known of a tensor's elements besides its ciphertexts.
#[derive(Clone)]
pub(crate) struct Shared {
    pub share: Share,
    /// Packs along the last axis, fresh from P2: their randomness has the length of a fresh
    /// encryption's.
    pub rows: Option<Arc<Packs>>,
    /// The same along the first of two axes, a line a column.
    pub columns: Option<Arc<Packs>>,
}

impl Shared {
    /// What remains of it for some lines: no packs across them.
    pub fn gather(&self, lines: &[usize]) -> Self {
        Self {
            share: self.share.gather(lines),
            rows: self.rows.as_ref().map(|p| Arc::new(p.gather(lines))),
            columns: None,
        }
    }
}

/// The shares of one storage: its elements may be in use in several shapes, or under masks of several
/// lengths, at the same time and on several threads.
#[derive(Debug, Default)]
pub(crate) struct Shares(Mutex<Vec<Arc<Shared>>>);

/// Shares that are kept; enough for the operands of the operations that run at the same time.
const KEPT: usize = 16;

impl Shares {
    /// With so many lines of so many values under masks of so many bits.
    pub fn get(&self, lines: usize, per_line: usize, mask_bits: u32) -> Option<Arc<Shared>> {
        self.find(|share| share.is(lines, per_line, mask_bits))
    }

    /// With such lines, whatever the masks are: packs do not depend on them.
    pub fn of_lines(&self, lines: usize, per_line: usize) -> Option<Arc<Shared>> {
        self.find(|share| share.is(lines, per_line, share.mask_bits))
    }

    fn find(&self, wanted: impl Fn(&Share) -> bool) -> Option<Arc<Shared>> {
        latest(&self.lock(), wanted)
    }

    /// Takes the place of what was known of the same lines and masks. Of packs of these lines, the
    /// known ones stay where the new ones are narrower or missing: other threads may need them.
    pub fn put(&self, mut shared: Shared) {
        let Share {
            per_line,
            mask_bits,
            ref lines,
        } = shared.share;
        let lines = lines.len();
        // Under one lock, so that no thread's packs are lost to another's.
        let mut all = self.lock();
        if let Some(known) = latest(&all, |s| s.is(lines, per_line, s.mask_bits)) {
            shared.rows = wider(&known.rows, shared.rows);
            shared.columns = wider(&known.columns, shared.columns);
        }
        all.retain(|s| !s.share.is(lines, per_line, mask_bits));
        let surplus = (all.len() + 1).saturating_sub(KEPT);
        all.drain(..surplus);
        all.push(Arc::new(shared));
    }

    /// What remains for elements that make up whole lines, as `lines_of` tells from the length of
    /// a line.
    pub fn gather(&self, lines_of: impl Fn(usize) -> Option<Vec<usize>>) -> Self {
        let all = self.lock();
        let gathered = all.iter().filter_map(|shared| {
            let lines = lines_of(shared.share.per_line)?;
            Some(Arc::new(shared.gather(&lines)))
        });
        Self(Mutex::new(gathered.collect()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Shared>>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn latest(all: &[Arc<Shared>], wanted: impl Fn(&Share) -> bool) -> Option<Arc<Shared>> {
    all.iter().rev().find(|s| wanted(&s.share)).cloned()
}

fn wider(known: &Option<Arc<Packs>>, new: Option<Arc<Packs>>) -> Option<Arc<Packs>> {
    let both = [known.clone(), new];
    both.into_iter()
        .flatten()
        .max_by_key(|packs| packs.slots.bits())
}

impl fmt::Debug for Shared {
    /// Neither masks nor sealed halves.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("lines", &self.share.lines.len())
            .field("per_line", &self.share.per_line)
            .finish_non_exhaustive()
    }
}

/// The lines that `indices` name, if they name whole lines of `per_line` elements in their order.
pub(crate) fn whole_lines(indices: &[usize], per_line: usize) -> Option<Vec<usize>> {
    if per_line == 0 || !indices.len().is_multiple_of(per_line) {
        return None;
    }
    indices
        .chunks_exact(per_line)
        .map(|line| {
            let whole = line[0].is_multiple_of(per_line)
                && line.iter().enumerate().all(|(j, &i)| i == line[0] + j);
            whole.then_some(line[0] / per_line)
        })
        .collect()
}
