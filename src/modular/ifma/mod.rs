//! The AVX-512 IFMA backend: eight numbers at a time, one a lane, in limbs of 52 bits.
//!
//! | file | owns |
//! |---|---|
//! | `kernels` | the inner loops, the only intrinsics |
//! | `batch` | batches in memory, conversion from and to 64-bit limbs |
//! | `plain` | Montgomery form for any odd modulus |
//! | `wanted` | what a look-up reads |
//! | `nadic` | two digits modulo the root of a modulus that is a square: a third faster |
//!
//! All sizes are chosen at run time. Numbers are padded to a multiple of five limbs (digits of
//! ten), so that toy moduli work, if not fast; there is no limit but the crate's own on the modulus.

mod batch;
mod kernels;
mod nadic;
mod plain;
#[cfg(test)]
mod tests;
mod wanted;

use super::{Backend, Block, Modulus, Ring, Selection, integer_from_limbs};
use batch::{Batch, Vectors, split, unite};
use kernels::{Cpu, LANES, LIMB_BITS, Montgomery, Scan, TOGETHER, Vector};
use nadic::Nadic;
use plain::Plain;
use rug::Integer;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use wanted::Wanted;
use zeroize::Zeroizing;

/// The IFMA backend. It exists only where the processor has the instructions.
#[derive(Debug, Clone, Copy)]
pub struct Ifma(Cpu);

impl Ifma {
    /// The backend, if this processor has AVX-512 F and IFMA.
    pub fn detect() -> Option<&'static Self> {
        static FOUND: OnceLock<Option<Ifma>> = OnceLock::new();
        FOUND.get_or_init(|| Cpu::detect().map(Self)).as_ref()
    }
}

impl Backend for Ifma {
    fn name(&self) -> &'static str {
        "ifma"
    }

    fn ring(&self, modulus: Modulus) -> Arc<dyn Ring> {
        let form = Plain::new(self.0, &integer_from_limbs(modulus.limbs()));
        Arc::new(IfmaRing::new(self.0, modulus, form))
    }

    fn square_ring(&self, root: Modulus) -> Arc<dyn Ring> {
        let form = Nadic::new(self.0, &integer_from_limbs(root.limbs()));
        Arc::new(IfmaRing::new(self.0, root.square(), form))
    }
}

/// How a number is held in a lane. Operands are one group: [`Form::limbs`] vectors.
trait Form: Send + Sync + 'static {
    /// Vectors a group.
    fn limbs(&self) -> usize;

    /// Vectors of scratch that the operations below want.
    fn scratch(&self) -> usize;

    /// One in every lane.
    fn one(&self) -> &[Vector];

    /// `out ← a·b`. Memory that is wanted soon may be fetched meanwhile.
    fn multiply(
        &self,
        out: &mut [Vector],
        a: &[Vector],
        b: &[Vector],
        scratch: &mut [Vector],
        ahead: &[Vector],
    );

    /// `out ← a²`. A look-up may go on meanwhile.
    fn square(&self, out: &mut [Vector], a: &[Vector], scratch: &mut [Vector], scan: &mut Scan<'_>);

    /// From plain numbers below the modulus, in 52-bit limbs.
    fn enter(&self, out: &mut [Vector], canonical: &[Vector], scratch: &mut [Vector]);

    /// To plain numbers below the modulus, in constant time.
    fn leave(&self, out: &mut [Vector], a: &[Vector], scratch: &mut [Vector]);
}

struct IfmaRing<F> {
    cpu: Cpu,
    modulus: Modulus,
    form: F,
    /// Buffers that no thread uses at the moment: a small batch is over before new ones are made.
    idle: Mutex<Vec<Scratch>>,
    operations: AtomicU64,
}

/// Buffers of one batch operation.
struct Scratch {
    result: Vectors,
    selected: Vectors,
    internal: Vectors,
}

impl<F: Form> IfmaRing<F> {
    fn new(cpu: Cpu, modulus: Modulus, form: F) -> Self {
        Self {
            cpu,
            modulus,
            form,
            idle: Mutex::new(vec![]),
            operations: AtomicU64::new(0),
        }
    }

    /// Runs `body` with buffers whose contents are arbitrary.
    fn with_scratch<T>(&self, body: impl FnOnce(&mut Scratch) -> T) -> T {
        let waiting = self.idle().and_then(|mut idle| idle.pop());
        let mut scratch = waiting.unwrap_or_else(|| Scratch {
            result: Vectors::zeros(self.form.limbs()),
            selected: Vectors::zeros(TOGETHER * self.form.limbs()),
            internal: Vectors::zeros(self.form.scratch()),
        });
        let out = body(&mut scratch);
        if let Some(mut idle) = self.idle() {
            idle.push(scratch);
        }
        out
    }

    /// The buffers, unless another thread takes or returns one just now: to make new ones is better than to
    /// wait, and where the process was forked meanwhile, that thread never ends.
    fn idle(&self) -> Option<MutexGuard<'_, Vec<Scratch>>> {
        match self.idle.try_lock() {
            Ok(idle) => Some(idle),
            // Buffers hold nothing that a panic could leave half done.
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// `x ← x^(2^times)`, while a look-up goes on.
    fn square_group(&self, x: &mut [Vector], times: usize, scan: &mut Scan<'_>, s: &mut Scratch) {
        for _ in 0..times / 2 {
            self.form.square(&mut s.result, x, &mut s.internal, scan);
            self.form.square(x, &s.result, &mut s.internal, scan);
        }
        if !times.is_multiple_of(2) {
            self.form.square(&mut s.result, x, &mut s.internal, scan);
            x.copy_from_slice(&s.result);
        }
    }

    fn count(&self, operations: usize) {
        self.operations
            .fetch_add(operations as u64, Ordering::Relaxed);
    }
}

impl<F: Form> Ring for IfmaRing<F> {
    fn modulus(&self) -> &Modulus {
        &self.modulus
    }

    fn grain(&self) -> usize {
        // So many groups share what they read of a comb while it is in the cache.
        8 * LANES
    }

    fn lanes(&self) -> usize {
        LANES
    }

    // Measured: a multiplication takes 2.5 cycles a limb squared, rows shared by all lanes a sixth
    // of a cycle a limb, rows of single lanes come from the second cache at 2.5 cycles a limb.
    fn look_up_cost(&self, rows: usize, shared: bool) -> usize {
        rows * if shared { 6 } else { 100 } / self.form.limbs()
    }

    fn comb_window(&self) -> usize {
        8
    }

    fn enter(&self, canonical: &[u64]) -> Block {
        let width = self.modulus.width();
        let mut out = Batch::zeros(canonical.len() / width, self.form.limbs());
        self.with_scratch(|s| {
            let limbs = &mut s.selected[..self.form.limbs()];
            for (group, numbers) in out.groups_mut().zip(canonical.chunks(LANES * width)) {
                limbs.fill(Vector::ZERO);
                for (lane, number) in numbers.chunks_exact(width).enumerate() {
                    split(number, limbs, lane);
                }
                self.form.enter(group, limbs, &mut s.internal);
            }
        });
        Block::new(out)
    }

    fn leave(&self, block: &Block) -> Vec<u64> {
        let (width, batch) = (self.modulus.width(), block.get::<Batch>());
        let mut out = vec![0; batch.count * width];
        self.with_scratch(|s| {
            for (numbers, group) in out.chunks_mut(LANES * width).zip(batch.groups()) {
                self.form.leave(&mut s.result, group, &mut s.internal);
                for (lane, number) in numbers.chunks_exact_mut(width).enumerate() {
                    unite(&s.result, lane, number);
                }
            }
        });
        out
    }

    fn ones(&self, count: usize) -> Block {
        Block::new(Batch::repeat(count, self.form.one()))
    }

    fn gather(&self, source: &Block, indices: &[usize]) -> Block {
        let source = source.get::<Batch>();
        let places: Vec<_> = indices.iter().map(|&i| (source, i)).collect();
        Block::new(Batch::collect(&places, self.form.limbs()))
    }

    fn join(&self, parts: &[&Block]) -> Block {
        let places: Vec<_> = parts
            .iter()
            .map(|part| part.get::<Batch>())
            .flat_map(|part| (0..part.count).map(move |i| (part, i)))
            .collect();
        Block::new(Batch::collect(&places, self.form.limbs()))
    }

    fn interleave(&self, parts: &[&Block], count: usize) -> Block {
        let parts: Vec<_> = parts.iter().map(|part| part.get::<Batch>()).collect();
        let places: Vec<_> = (0..count)
            .flat_map(|i| parts.iter().map(move |&part| (part, i)))
            .collect();
        Block::new(Batch::collect(&places, self.form.limbs()))
    }

    fn multiply(&self, x: &mut Block, y: &Block) {
        let (x, y) = (x.get_mut::<Batch>(), y.get::<Batch>());
        assert_eq!(x.count, y.count);
        self.count(x.count);
        self.with_scratch(|s| {
            for (x, y) in x.groups_mut().zip(y.groups()) {
                self.form
                    .multiply(&mut s.result, x, y, &mut s.internal, &[]);
                x.copy_from_slice(&s.result);
            }
        });
    }

    fn square(&self, x: &mut Block, times: usize) {
        let x = x.get_mut::<Batch>();
        self.count(x.count * times);
        self.with_scratch(|s| {
            for x in x.groups_mut() {
                self.square_group(x, times, &mut Scan::nothing(), s);
            }
        });
    }

    fn multiply_selected(
        &self,
        x: &mut Block,
        table: &Block,
        first: &[usize],
        digits: &[u64],
        entries: usize,
        ahead: Range<usize>,
    ) {
        let by = Selection {
            table,
            first,
            digits,
            entries,
            ahead,
        };
        self.square_multiply_selected(x, 0, &by);
    }

    fn square_multiply_selected(&self, x: &mut Block, times: usize, by: &Selection<'_>) {
        let (x, table) = (x.get_mut::<Batch>(), by.table.get::<Batch>());
        assert!(x.count == by.first.len() && by.first.len() == by.digits.len() && by.entries > 0);
        assert!(by.first.iter().all(|f| f + by.entries <= table.count));
        self.count(x.count * (times + 1));
        let (limbs, cpu) = (self.form.limbs(), self.cpu);
        // The groups of x share the work of fetching what comes next.
        let start = by.ahead.start / LANES;
        let ahead = start..by.ahead.end.div_ceil(LANES).max(start);
        let ahead = &table.vectors()[ahead.start * limbs..ahead.end * limbs];
        let share = ahead.len().div_ceil(by.first.len().div_ceil(LANES).max(1));
        let mut ahead = ahead.chunks(share.max(1));
        let mut multiply = |x: &mut [Vector], y: &[Vector], s: &mut Scratch| {
            let ahead = ahead.next().unwrap_or(&[]);
            self.form
                .multiply(&mut s.result, x, y, &mut s.internal, ahead);
            x.copy_from_slice(&s.result);
        };
        let numbers = TOGETHER * LANES;
        let lanes = by.first.chunks(numbers).zip(by.digits.chunks(numbers));
        self.with_scratch(|s| {
            let mut selected = std::mem::take(&mut s.selected);
            for (x, (first, digits)) in x.some_groups_mut(TOGETHER).zip(lanes) {
                let selected = &mut selected[..x.len()];
                let groups = x.chunks_exact_mut(limbs);
                let groups = groups.zip(selected.chunks_exact_mut(limbs));
                let lanes = first.chunks(LANES).zip(digits.chunks(LANES));
                if first.len() == numbers && first.iter().all(|f| *f == first[0]) {
                    let wanted: Vec<_> = lanes
                        .map(|(first, digits)| Wanted::new(first, digits, by.entries))
                        .collect();
                    for (x, _) in groups {
                        self.square_group(x, times, &mut Scan::nothing(), s);
                    }
                    let rows = std::array::from_fn(|g| &wanted[g].rows);
                    cpu.select_together(selected, table.vectors(), rows, wanted[0].readings()[0]);
                    let groups = x.chunks_exact_mut(limbs);
                    for (x, y) in groups.zip(selected.chunks_exact(limbs)) {
                        multiply(x, y, s);
                    }
                } else {
                    for ((x, y), (first, digits)) in groups.zip(lanes) {
                        let wanted = Wanted::new(first, digits, by.entries);
                        let (rows, readings) = (wanted.rows, wanted.readings());
                        let mut scan = cpu.scan(y, table.vectors(), rows, readings, times);
                        self.square_group(x, times, &mut scan, s);
                        cpu.finish(&mut scan);
                        multiply(x, y, s);
                    }
                }
            }
            s.selected = selected;
        });
    }

    fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }
}

impl<F> fmt::Debug for IfmaRing<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IfmaRing({} bits)", self.modulus.bits())
    }
}

/// Limbs that `bits` bits take.
fn limbs_of_52(bits: u32) -> usize {
    (bits as usize).div_ceil(LIMB_BITS)
}

/// `limbs` 52-bit limbs of a number that fits.
fn words_of_52(value: &Integer, limbs: usize) -> Zeroizing<Vec<u64>> {
    let group = splat(value, limbs);
    Zeroizing::new(group.iter().map(|v| v.0[0]).collect())
}

/// A number that fits in every lane of a group.
fn splat(value: &Integer, limbs: usize) -> Vectors {
    let words = super::limbs_of(value, value.significant_digits::<u64>());
    let mut group = Vectors::zeros(limbs);
    split(&words, &mut group, 0);
    for vector in group.iter_mut() {
        vector.0 = [vector.0[0]; LANES];
    }
    group
}

/// What the kernels need to know of a modulus.
fn montgomery(modulus: &Integer, limbs: usize) -> Montgomery {
    let limbs = words_of_52(modulus, limbs);
    // Newton's iteration doubles the correct low bits: 3, 6, ..., 96.
    let low = limbs[0];
    let mut inverse = low;
    for _ in 0..5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(low.wrapping_mul(inverse)));
    }
    Montgomery {
        negated_inverse: inverse.wrapping_neg() & ((1 << LIMB_BITS) - 1),
        limbs,
    }
}
