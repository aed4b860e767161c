//! The portable backend: GMP's `mpn` layer, one number at a time. It is the oracle that every
//! other backend must equal bit for bit.
//!
//! | file | owns |
//! |---|---|
//! | `mpn` | safe wrappers of the functions used |
//! | `montgomery` | Montgomery form for any odd modulus |
//! | `nadic` | two digits modulo the root of a modulus that is a square |

mod montgomery;
mod mpn;
mod nadic;

use super::{Backend, Block, Modulus, Ring};
use montgomery::Montgomery;
use nadic::Nadic;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// The GMP backend.
#[derive(Debug, Clone, Copy)]
pub struct Gmp;

impl Backend for Gmp {
    fn name(&self) -> &'static str {
        "gmp"
    }

    fn ring(&self, modulus: Modulus) -> Arc<dyn Ring> {
        let form = Montgomery::new(modulus.limbs());
        Arc::new(GmpRing::new(modulus, form))
    }

    fn square_ring(&self, root: Modulus) -> Arc<dyn Ring> {
        let form = Nadic::new(root.limbs());
        Arc::new(GmpRing::new(root.square(), form))
    }
}

/// How a number is held, in [`Form::width`] words. Operations are in constant time.
trait Form: Send + Sync + 'static {
    fn width(&self) -> usize;

    /// Limbs of the numbers that are multiplied: those of the modulus, or of its root.
    fn half(&self) -> usize;

    fn one(&self) -> &[u64];

    /// `x ← x·y`.
    fn multiply(&self, x: &mut [u64], y: &[u64], scratch: &mut Scratch);

    /// `x ← x²`.
    fn square(&self, x: &mut [u64], scratch: &mut Scratch);

    fn enter(&self, out: &mut [u64], canonical: &[u64], scratch: &mut Scratch);

    fn leave(&self, out: &mut [u64], x: &[u64], scratch: &mut Scratch);
}

/// Numbers one after the other.
type Words = Zeroizing<Vec<u64>>;

/// Buffers of one batch operation.
struct Scratch {
    product: Words,
    cross: Words,
    /// Its upper half stays zero.
    quotient: Words,
    selected: Words,
    internal: Words,
}

struct GmpRing<F> {
    modulus: Modulus,
    form: F,
    operations: AtomicU64,
}

impl<F: Form> GmpRing<F> {
    fn new(modulus: Modulus, form: F) -> Self {
        Self {
            modulus,
            form,
            operations: AtomicU64::new(0),
        }
    }

    fn scratch(&self) -> Scratch {
        let (width, half) = (self.form.width(), self.form.half());
        let words = |n: usize| Words::new(vec![0; n]);
        Scratch {
            product: words(2 * half),
            cross: words(2 * half),
            quotient: words(2 * half),
            selected: words(width),
            internal: words(mpn::scratch(half)),
        }
    }

    fn count(&self, operations: usize) {
        self.operations
            .fetch_add(operations as u64, Ordering::Relaxed);
    }
}

impl<F: Form> Ring for GmpRing<F> {
    fn modulus(&self) -> &Modulus {
        &self.modulus
    }

    fn grain(&self) -> usize {
        // Enough for a window of a comb to be read from memory once for several numbers.
        8
    }

    fn enter(&self, canonical: &[u64]) -> Block {
        let (limbs, width) = (self.modulus.width(), self.form.width());
        let mut words = Words::new(vec![0; canonical.len() / limbs * width]);
        let mut scratch = self.scratch();
        let numbers = canonical.chunks_exact(limbs);
        for (out, x) in words.chunks_exact_mut(width).zip(numbers) {
            self.form.enter(out, x, &mut scratch);
        }
        Block::new(words)
    }

    fn leave(&self, block: &Block) -> Vec<u64> {
        let (limbs, width) = (self.modulus.width(), self.form.width());
        let words = block.get::<Words>();
        let mut out = vec![0; words.len() / width * limbs];
        let mut scratch = self.scratch();
        for (out, x) in out.chunks_exact_mut(limbs).zip(words.chunks_exact(width)) {
            self.form.leave(out, x, &mut scratch);
        }
        out
    }

    fn ones(&self, count: usize) -> Block {
        Block::new(Words::new(self.form.one().repeat(count)))
    }

    fn gather(&self, source: &Block, indices: &[usize]) -> Block {
        let (n, source) = (self.form.width(), source.get::<Words>());
        let mut out = Words::new(Vec::with_capacity(n * indices.len()));
        for &i in indices {
            out.extend_from_slice(&source[n * i..n * (i + 1)]);
        }
        Block::new(out)
    }

    fn join(&self, parts: &[&Block]) -> Block {
        let total = parts.iter().map(|p| p.get::<Words>().len()).sum();
        let mut out = Words::new(Vec::with_capacity(total));
        for part in parts {
            out.extend_from_slice(part.get::<Words>());
        }
        Block::new(out)
    }

    fn multiply(&self, x: &mut Block, y: &Block) {
        let (n, mut scratch) = (self.form.width(), self.scratch());
        let (x, y) = (x.get_mut::<Words>(), y.get::<Words>());
        assert_eq!(x.len(), y.len());
        for (x, y) in x.chunks_exact_mut(n).zip(y.chunks_exact(n)) {
            self.form.multiply(x, y, &mut scratch);
        }
        self.count(x.len() / n);
    }

    fn square(&self, x: &mut Block, times: usize) {
        let (n, mut scratch) = (self.form.width(), self.scratch());
        let x = x.get_mut::<Words>();
        for x in x.chunks_exact_mut(n) {
            for _ in 0..times {
                self.form.square(x, &mut scratch);
            }
        }
        self.count(x.len() / n * times);
    }

    fn multiply_selected(
        &self,
        x: &mut Block,
        table: &Block,
        first: &[usize],
        digits: &[u64],
        entries: usize,
        _ahead: Range<usize>,
    ) {
        let (n, mut scratch) = (self.form.width(), self.scratch());
        let (x, table) = (x.get_mut::<Words>(), table.get::<Words>());
        assert!(x.len() == n * first.len() && first.len() == digits.len());
        let mut selected = std::mem::take(&mut scratch.selected);
        for ((x, &first), &digit) in x.chunks_exact_mut(n).zip(first).zip(digits) {
            mpn::select(
                &mut selected,
                &table[n * first..n * (first + entries)],
                digit,
            );
            self.form.multiply(x, &selected, &mut scratch);
        }
        self.count(first.len());
    }

    fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }
}

impl<F> fmt::Debug for GmpRing<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GmpRing({} bits)", self.modulus.bits())
    }
}
