//! Batched arithmetic modulo one odd number: the only hot loops of the crate.
//!
//! A [`Backend`] makes a [`Ring`] for a modulus; a ring computes on [`Block`]s, batches of numbers
//! in the backend's own form. [`Residues`] is what the rest of the crate holds: a batch that is
//! converted lazily, so that chains of operations stay in the backend. [`exponentiation`] builds
//! everything larger (combs, multi-exponentiation, packing) from the few operations of a ring,
//! once for all backends.
//!
//! This module knows nothing of Paillier. It and `ffi` are the only ones that use `unsafe`.

mod comb;
pub mod exponentiation;
mod gmp;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod limbs;
mod plugin;
mod program;
mod residues;
mod secret;
mod straus;

pub use comb::Comb;
pub use gmp::Gmp;
#[cfg(target_arch = "x86_64")]
pub use ifma::Ifma;
pub use limbs::{Limbs, add_masked, add_shifted, bits_at, copy_bits, less_than, subtract};
pub use plugin::report as plugin_report;
pub use program::{EMPTY, Program, Reading, Rows, Step, Tables};
pub use residues::Residues;
pub use secret::{
    clear_freed_integers, integer_from_limbs, limbs_of, secret_product, secret_remainder,
};

use crate::error::{Error, Result};
use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

/// The largest modulus, in bits: the square of a 16,384-bit N. (GMP aborts on absurd sizes.)
pub const MAX_MODULUS_BITS: u32 = 1 << 15;

/// An odd modulus above 1. Cleared on drop, since factors of N are moduli too.
#[derive(Clone, PartialEq, Eq)]
pub struct Modulus {
    limbs: Zeroizing<Vec<u64>>,
}

impl Modulus {
    /// Takes little-endian limbs; leading zeros are dropped. Even numbers, 1, and numbers above
    /// [`MAX_MODULUS_BITS`] are refused.
    pub fn new(limbs: &[u64]) -> Result<Self> {
        let used = limbs.iter().rposition(|&l| l != 0).map_or(0, |i| i + 1);
        let limbs = Zeroizing::new(limbs[..used].to_vec());
        if used == 0 || limbs[0] & 1 == 0 || (used == 1 && limbs[0] == 1) {
            return Err(Error::invalid("a modulus must be odd and above 1"));
        }
        let modulus = Self { limbs };
        match modulus.bits() {
            bits if bits > MAX_MODULUS_BITS => Err(Error::Limit {
                what: "bits of the modulus",
                value: bits.into(),
                limit: MAX_MODULUS_BITS.into(),
            }),
            _ => Ok(modulus),
        }
    }

    /// Little-endian limbs; the last one is not zero.
    pub fn limbs(&self) -> &[u64] {
        &self.limbs
    }

    /// Number of limbs.
    pub fn width(&self) -> usize {
        self.limbs.len()
    }

    /// This number squared, which must not have more than [`MAX_MODULUS_BITS`] bits.
    pub fn square(&self) -> Self {
        let square = integer_from_limbs(&self.limbs).square();
        let limbs = limbs_of(&square, square.significant_digits::<u64>());
        Self::new(&limbs).expect("the square of a modulus is odd and above 1")
    }

    /// Number of bits.
    pub fn bits(&self) -> u32 {
        64 * self.limbs.len() as u32 - self.limbs[self.limbs.len() - 1].leading_zeros()
    }
}

impl fmt::Debug for Modulus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Modulus({} bits)", self.bits())
    }
}

/// A batch of numbers in a backend's own form (Montgomery, lanes, device memory). Only the ring
/// that made it can read it.
pub struct Block(Box<dyn Any + Send + Sync>);

impl Block {
    /// Wraps a backend's representation.
    pub fn new(representation: impl Any + Send + Sync) -> Self {
        Self(Box::new(representation))
    }

    /// The representation again. A block of another backend is a bug in this crate.
    pub fn get<T: Any>(&self) -> &T {
        self.0.downcast_ref().expect("block of another backend")
    }

    /// Like [`Block::get`], to be changed.
    pub fn get_mut<T: Any>(&mut self) -> &mut T {
        self.0.downcast_mut().expect("block of another backend")
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Block")
    }
}

/// The factors of [`Ring::square_multiply_selected`], as [`Ring::multiply_selected`] takes them.
#[derive(Debug)]
pub struct Selection<'a> {
    /// Rows to pick from.
    pub table: &'a Block,
    /// The first row that a number may get.
    pub first: &'a [usize],
    /// The row that it gets, counted from there. Secret.
    pub digits: &'a [u64],
    /// How many rows it may get.
    pub entries: usize,
    /// Rows that will be read soon.
    pub ahead: Range<usize>,
}

/// Arithmetic modulo one number, on whole batches, on the calling thread.
///
/// Every operation takes the same time whatever the values are: operands, digits and the modulus
/// may be secret; counts, indices and the number of squarings are public. All backends give the
/// same canonical limbs.
pub trait Ring: Send + Sync + fmt::Debug {
    /// The modulus.
    fn modulus(&self) -> &Modulus;

    /// How many numbers a call should carry to keep the backend busy. Larger batches are cut into
    /// pieces of this size and spread over threads.
    fn grain(&self) -> usize;

    /// How many numbers are computed at the price of one: pieces are a multiple of it.
    fn lanes(&self) -> usize {
        1
    }

    /// What [`Ring::multiply_selected`] spends on reading `rows` rows a number, in hundredths of a
    /// multiplication; `shared` where the numbers computed at once read the same rows.
    fn look_up_cost(&self, rows: usize, _shared: bool) -> usize {
        rows / 2
    }

    /// Bits that a comb takes at a time, if its table does not become too large.
    fn comb_window(&self) -> usize {
        5
    }

    /// Canonical limbs (width × count, each below the modulus) to the backend's form.
    fn enter(&self, canonical: &[u64]) -> Block;

    /// The backend's form to canonical limbs.
    fn leave(&self, block: &Block) -> Vec<u64>;

    /// `count` ones.
    fn ones(&self, count: usize) -> Block;

    /// The numbers at the given public indices.
    fn gather(&self, source: &Block, indices: &[usize]) -> Block;

    /// All numbers of all parts, in order.
    fn join(&self, parts: &[&Block]) -> Block;

    /// The first numbers of all parts, then the second ones, and so on; all parts have `count`.
    fn interleave(&self, parts: &[&Block], count: usize) -> Block {
        let order = (0..count).flat_map(|i| (0..parts.len()).map(move |j| j * count + i));
        self.gather(&self.join(parts), &order.collect::<Vec<_>>())
    }

    /// `x[i] ← x[i] · y[i]`.
    fn multiply(&self, x: &mut Block, y: &Block);

    /// `x[i] ← x[i]^(2^times)`.
    fn square(&self, x: &mut Block, times: usize);

    /// `x[i] ← x[i] · table[first[i] + digits[i]]` where `digits[i] < entries` is secret: all
    /// `entries` rows from `first[i]` on are read. The rows `ahead` will be read soon: a hint.
    fn multiply_selected(
        &self,
        x: &mut Block,
        table: &Block,
        first: &[usize],
        digits: &[u64],
        entries: usize,
        ahead: Range<usize>,
    );

    /// [`Ring::square`], then [`Ring::multiply_selected`]: a step of an exponentiation. A backend
    /// may read the table while it squares.
    fn square_multiply_selected(&self, x: &mut Block, times: usize, by: &Selection<'_>) {
        self.square(x, times);
        let ahead = by.ahead.clone();
        self.multiply_selected(x, by.table, by.first, by.digits, by.entries, ahead);
    }

    /// How many parts each of `outputs` products of `width` powers had better be computed in, so that
    /// nothing idles.
    fn parts(&self, outputs: usize, _width: usize) -> usize {
        self.lanes() * crate::parallel::threads() / outputs.max(1)
    }

    /// Whether batches had better stay whole, because the ring itself spreads them over what it
    /// computes on.
    fn whole(&self) -> bool {
        false
    }

    /// Powers `base^0 … base^(2^window − 1)` of each number, base after base, times `start[i]` where
    /// there is one. None: [`exponentiation`] makes them, product by product.
    fn tables(&self, _bases: &Block, _window: usize, _start: Option<&Block>) -> Option<Block> {
        None
    }

    /// A whole program. None: it is run step by step.
    fn evaluate(&self, _program: &Program<'_>) -> Option<Block> {
        None
    }

    /// Modular multiplications and squarings so far.
    fn operations(&self) -> u64;
}

/// The value in `cell`, made first if there is none; several threads may make it at a time.
///
/// `OnceLock::get_or_init` would deadlock where `make` works in parallel: a thread that waits for
/// its own parts may take up a job that wants the same cell, and then waits for itself. And a process that
/// forks while another thread is inside would leave the cell locked for ever in the child; here that takes a
/// fork in the moment in which a value is put into its place.
pub(crate) fn get_or_make<T>(cell: &OnceLock<T>, make: impl FnOnce() -> T) -> &T {
    match cell.get() {
        Some(value) => value,
        None => {
            let made = make();
            cell.get_or_init(|| made)
        }
    }
}

/// An implementation of modular arithmetic.
pub trait Backend: Send + Sync {
    /// The name that `SMLP_BACKEND` selects it by.
    fn name(&self) -> &'static str;

    /// Arithmetic modulo `modulus`.
    fn ring(&self, modulus: Modulus) -> Arc<dyn Ring>;

    /// Arithmetic modulo `root²`, which is faster for those that know the root.
    fn square_ring(&self, root: Modulus) -> Arc<dyn Ring> {
        self.ring(root.square())
    }
}

/// The backend that this process uses: the one that `SMLP_BACKEND` names, else the best present.
///
/// A name that is not available here is refused, rather than silently replaced. [`plugin_report`]
/// tells why there is no accelerator. So is an accelerator that was named in a process that was forked from the
/// one that opened it; where none was named, the CPU computes there.
pub fn backend() -> Result<&'static dyn Backend> {
    static CHOICE: OnceLock<Result<&'static dyn Backend>> = OnceLock::new();
    let wanted = || std::env::var("SMLP_BACKEND").ok();
    let choice = CHOICE.get_or_init(|| choose_backend(wanted().as_deref(), backends()));
    let left_behind = plugin::Accelerator::detect().is_some_and(|gpu| gpu.was_left_behind());
    match left_behind && wanted().as_deref() == Some("cuda") {
        true => Err(Error::Backend(plugin_report())),
        false => choice.clone(),
    }
}

/// The wanted one of those present, else the first.
fn choose_backend(
    wanted: Option<&str>,
    present: Vec<&'static dyn Backend>,
) -> Result<&'static dyn Backend> {
    let Some(wanted) = wanted else {
        return Ok(present[0]);
    };
    let found = present.iter().find(|b| b.name() == wanted);
    found.copied().ok_or_else(|| {
        let known: Vec<_> = present.iter().map(|b| b.name()).collect();
        let why = match wanted {
            "cuda" => format!(" ({})", plugin_report()),
            _ => String::new(),
        };
        Error::Backend(format!(
            "SMLP_BACKEND is '{wanted}', this build and machine offer: {}{why}",
            known.join(", ")
        ))
    })
}

/// Every backend that works on this machine, best first.
pub fn backends() -> Vec<&'static dyn Backend> {
    let mut present: Vec<&'static dyn Backend> = vec![];
    present.extend(plugin::Accelerator::detect().map(|gpu| gpu as &dyn Backend));
    #[cfg(target_arch = "x86_64")]
    present.extend(Ifma::detect().map(|ifma| ifma as &dyn Backend));
    present.push(&Gmp);
    present
}

#[cfg(test)]
mod tests;
