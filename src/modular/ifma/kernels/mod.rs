//! The inner loops: AVX-512 IFMA on eight numbers at a time.
//!
//! Lane i of every vector belongs to number i; a number is a run of 52-bit limbs, lowest first, one
//! a vector. Products are made by block product scanning: tiles of [`TILE`]² multiply-adds, whose
//! operands and 2·[`TILE`] column sums stay in registers, and one carry a block column. `madd52`
//! reads the low 52 bits of its factors and ignores the rest, so what is stored is always
//! normalised; only column sums grow beyond.
//!
//! [`Cpu`] is the safe way in: it exists only where the processor has the instructions, and its
//! methods check every length. They stand in the files of their kernels:
//!
//! | file | owns |
//! |---|---|
//! | `tiles` | tiles and block columns, as macros |
//! | `plain` | products and squares modulo any odd number |
//! | `karatsuba`, `nadic` | the same of digits, and modulo squares |
//! | `select` | secret look-ups |
//! | `edges` | what a number needs once |

#[macro_use]
mod tiles;
#[macro_use]
mod select;
#[macro_use]
mod karatsuba;
mod edges;
mod nadic;
mod plain;

pub use nadic::NADIC_SCRATCH;
pub use select::Scan;

use std::arch::x86_64::*;
use zeroize::Zeroizing;

/// Numbers a vector.
pub const LANES: usize = 8;
/// Bits a limb.
pub const LIMB_BITS: usize = 52;
/// Limbs a register tile. Numbers are padded to a multiple of it. Five divides the limb counts of
/// all usual sizes (20, 40 and 80 limbs for 1024, 2048 and 4096 bits, 30 and 60 for 1536 and 3072),
/// and leaves half of the registers for the compiler to overlap tiles.
pub const TILE: usize = 5;

/// Groups that [`Cpu::select_together`] serves at once: their selected limbs fit in registers.
pub const TOGETHER: usize = 4;

const MASK: i64 = (1 << LIMB_BITS) - 1;

/// One limb of eight numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Vector(pub [u64; LANES]);

impl Vector {
    pub const ZERO: Self = Self([0; LANES]);
}

/// An odd modulus, the same for all lanes, as the kernels read it.
pub struct Montgomery {
    /// 52-bit limbs, padded to a multiple of [`TILE`].
    pub limbs: Zeroizing<Vec<u64>>,
    /// −modulus^−1 mod 2^52.
    pub negated_inverse: u64,
}

/// A modulus that is a square, as the kernels read it (see [`super::nadic`]).
pub struct Square {
    pub root: Montgomery,
    /// ⌈R/N⌉·N − R + 1, as long as the root.
    pub offset: Zeroizing<Vec<u64>>,
}

/// Some lanes of a group that read the same rows of a table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// The group that holds the first row, and how many groups the rows span.
    pub group: usize,
    pub span: usize,
    /// The lanes, a bit each.
    pub lanes: u8,
}

/// Proof that the processor has what the kernels need.
#[derive(Clone, Copy, Debug)]
pub struct Cpu(());

impl Cpu {
    pub fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma");
        found.then_some(Self(()))
    }
}

/// Whether all limbs have 52 bits.
pub fn normalised(x: &[Vector]) -> bool {
    x.iter().all(|v| v.0.iter().all(|&l| l <= MASK as u64))
}

/// Whether the number of every lane is below `factor`·n. For assertions: not in constant time.
pub fn below(x: &[Vector], factor: u64, n: &Montgomery) -> bool {
    (0..LANES).all(|lane| {
        // x − factor·n borrows where x is less.
        let mut borrow = 0i128;
        for (x, &n) in x.iter().zip(n.limbs.iter()) {
            borrow += i128::from(x.0[lane]) - i128::from(factor) * i128::from(n);
            borrow >>= LIMB_BITS;
        }
        borrow < 0
    })
}
