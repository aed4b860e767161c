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

/// Names a job: random bytes that a P1 draws when it is made. What P2 seals for one job it opens for no other.
pub(crate) type JobLabel = [u8; 16];

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
    /// P2's halves are sealed for this job.
    pub job: JobLabel,
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

    /// Whether it serves where `wanted` is asked for.
    fn is(&self, wanted: &Wanted) -> bool {
        self.has_lines(wanted) && (self.mask_bits, self.job) == (wanted.mask_bits, wanted.job)
    }

    fn has_lines(&self, wanted: &Wanted) -> bool {
        (self.lines.len(), self.per_line) == (wanted.lines, wanted.per_line)
    }

    fn described(&self) -> Wanted {
        Wanted {
            job: self.job,
            lines: self.lines.len(),
            per_line: self.per_line,
            mask_bits: self.mask_bits,
        }
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
#[derive(Debug, Clone)]
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

/// Which shares of some elements are looked for: another shape has other lines, another bound other masks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub job: JobLabel,
    pub lines: usize,
    pub per_line: usize,
    pub mask_bits: u32,
}

/// What one look at the shares of a storage finds.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub share: Option<Share>,
    /// Packs of the same lines, the widest there are: they depend neither on masks nor on jobs.
    pub rows: Option<Arc<Packs>>,
    pub columns: Option<Arc<Packs>>,
}

/// The shares of one storage: its elements may be in use in several shapes, under masks of several
/// lengths and in several jobs, at the same time and on several threads. A cache: an operation holds what it
/// found here for as long as it needs it, and shares anew what it does not find.
#[derive(Debug, Default)]
pub(crate) struct Shares(Mutex<Vec<Arc<Shared>>>);

/// Shares that are kept, the latest ones.
const KEPT: usize = 16;

impl Shares {
    pub fn known(&self, wanted: &Wanted) -> Known {
        let all = self.lock();
        let mut known = Known::default();
        for shared in all.iter().filter(|s| s.share.has_lines(wanted)) {
            if shared.share.is(wanted) {
                known.share = Some(shared.share.clone());
            }
            known.rows = wider(&known.rows, &shared.rows);
            known.columns = wider(&known.columns, &shared.columns);
        }
        known
    }

    /// Takes the place of what was known of the same lines and masks, whose packs stay where the new ones are
    /// narrower or missing.
    pub fn put(&self, mut shared: Shared) {
        let wanted = shared.share.described();
        // Under one lock, so that no thread's packs are lost to another's.
        let mut all = self.lock();
        if let Some(at) = all.iter().position(|s| s.share.is(&wanted)) {
            let known = all.remove(at);
            shared.rows = wider(&known.rows, &shared.rows);
            shared.columns = wider(&known.columns, &shared.columns);
        }
        let surplus = (all.len() + 1).saturating_sub(KEPT);
        all.drain(..surplus);
        all.push(Arc::new(shared));
    }

    /// The same, to be filled on its own from here on.
    pub fn copy(&self) -> Self {
        Self(Mutex::new(self.lock().clone()))
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

fn wider(one: &Option<Arc<Packs>>, other: &Option<Arc<Packs>>) -> Option<Arc<Packs>> {
    let both = [one, other].into_iter().flatten();
    both.max_by_key(|packs| packs.slots.bits()).cloned()
}

impl fmt::Debug for Share {
    /// Neither masks nor sealed halves.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share")
            .field("lines", &self.lines.len())
            .field("per_line", &self.per_line)
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
