//! The inner loops: AVX-512 IFMA on eight numbers at a time.
//!
//! Lane i of every vector belongs to number i; a number is a run of 52-bit limbs, lowest first, one
//! a vector. Products are made by block product scanning: tiles of [`TILE`]² multiply-adds, whose
//! operands and 2·[`TILE`] column sums stay in registers, and one carry a block column. `madd52`
//! reads the low 52 bits of its factors and ignores the rest, so what is stored is always
//! normalised; only column sums grow beyond.
//!
//! [`Cpu`] is the safe way in: it exists only where the processor has the instructions, and its
//! methods check every length.

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

    /// `out ← a·b/R mod M` for a·b below R·M, R = 2^(52·limbs): below 2M.
    pub fn multiply(self, out: &mut [Vector], a: &[Vector], b: &[Vector], m: &Montgomery) {
        let k = m.limbs.len();
        assert!(k.is_multiple_of(TILE) && [out.len(), a.len(), b.len()] == [k; 3]);
        debug_assert!(normalised(a) && normalised(b));
        // SAFETY: `self` proves the features; all four operands have k limbs, a multiple of TILE;
        // `out` is borrowed mutably, so it is distinct from the operands.
        unsafe { multiply(out.as_mut_ptr(), a.as_ptr(), b.as_ptr(), m, k / TILE) }
        debug_assert!(normalised(out));
    }

    /// `out ← a²/R mod M`, as [`Cpu::multiply`].
    pub fn square(self, out: &mut [Vector], a: &[Vector], m: &Montgomery) {
        let k = m.limbs.len();
        assert!(k.is_multiple_of(TILE) && [out.len(), a.len()] == [k; 2]);
        debug_assert!(normalised(a));
        // SAFETY: as in multiply.
        unsafe { square(out.as_mut_ptr(), a.as_ptr(), m, k / TILE) }
        debug_assert!(normalised(out));
    }

    /// The N-adic product modulo N²: operands are two digits of as many limbs as N each,
    /// `quotients` is scratch of the size of a digit. Meanwhile `ahead` is brought into the second
    /// cache.
    pub fn multiply_nadic(
        self,
        out: &mut [Vector],
        a: &[Vector],
        b: &[Vector],
        n: &Square,
        quotients: &mut [Vector],
        ahead: &[Vector],
    ) {
        let h = n.root.limbs.len();
        assert!(h.is_multiple_of(TILE) && [out.len(), a.len(), b.len()] == [2 * h; 3]);
        assert!([n.offset.len(), quotients.len()] == [h; 2]);
        debug_assert!(normalised(a) && normalised(b));
        let (to, quotients) = (out.as_mut_ptr(), quotients.as_mut_ptr());
        // SAFETY: `self` proves the features; out, a and b have 2h limbs, n, its offset and
        // quotients h, a multiple of TILE; mutable borrows are distinct from each other and the
        // operands.
        unsafe { multiply_nadic(to, a.as_ptr(), b.as_ptr(), n, quotients, h / TILE, ahead) }
        debug_assert!(normalised(out));
    }

    /// The N-adic square, as [`Cpu::multiply_nadic`].
    pub fn square_nadic(
        self,
        out: &mut [Vector],
        a: &[Vector],
        n: &Square,
        quotients: &mut [Vector],
    ) {
        let h = n.root.limbs.len();
        assert!(h.is_multiple_of(TILE) && [out.len(), a.len()] == [2 * h; 2]);
        assert!([n.offset.len(), quotients.len()] == [h; 2]);
        debug_assert!(normalised(a));
        let (to, quotients) = (out.as_mut_ptr(), quotients.as_mut_ptr());
        // SAFETY: as in multiply_nadic.
        unsafe { square_nadic(to, a.as_ptr(), n, quotients, h / TILE) }
        debug_assert!(normalised(out));
    }

    /// `out ← low + a·n`, twice as long as n, without reduction. The sum fits.
    pub fn product(self, out: &mut [Vector], low: &[Vector], a: &[Vector], n: &Montgomery) {
        let h = n.limbs.len();
        assert!(h.is_multiple_of(TILE) && out.len() == 2 * h && [low.len(), a.len()] == [h; 2]);
        debug_assert!(normalised(low) && normalised(a));
        // SAFETY: `self` proves the features; the lengths are checked above.
        unsafe { product(out.as_mut_ptr(), low.as_ptr(), a.as_ptr(), n, h / TILE) }
    }

    /// `x ← x + y`. The sums fit.
    pub fn add(self, x: &mut [Vector], y: &[Vector]) {
        assert_eq!(x.len(), y.len());
        debug_assert!(normalised(x) && normalised(y));
        // SAFETY: `self` proves the features; both have the same number of limbs.
        unsafe { add(x.as_mut_ptr(), y.as_ptr(), x.len()) }
    }

    /// `x ← x + increment − (x + increment ≥ n ? n : 0)` in every lane; `increment` and the
    /// result, a bit a lane, tell who gets one more and who was reduced. Constant time.
    pub fn reduce_once(self, x: &mut [Vector], n: &Montgomery, increment: u8) -> u8 {
        assert_eq!(x.len(), n.limbs.len());
        debug_assert!(normalised(x));
        // SAFETY: `self` proves the features; both have the same number of limbs.
        unsafe { reduce_once(x.as_mut_ptr(), n.limbs.as_ptr(), x.len(), increment) }
    }

    /// In lane j: `out ← row rows[j]`, counted from the first row of the group that lane j's
    /// reading begins with. Every row of every reading is read, in an order that depends on
    /// `readings` alone. Lanes that no reading names become zero.
    ///
    /// The eight rows of a group are the eight lanes of its vectors: one permutation of two
    /// vectors picks among sixteen rows for all lanes at once.
    pub fn select(self, out: &mut [Vector], table: &[Vector], rows: &Vector, readings: &[Reading]) {
        let k = out.len();
        assert!(k.is_multiple_of(TILE));
        for r in readings {
            assert!(r.span > 0 && (r.group + r.span) * k <= table.len());
        }
        // SAFETY: `self` proves the features; every reading lies inside the table.
        unsafe { select([out.as_mut_ptr()], k, table.as_ptr(), [rows], readings) }
    }

    /// [`Cpu::select`] for [`TOGETHER`] groups with the same reading: `out` holds one after the
    /// other. What the cache delivers serves all of them.
    pub fn select_together(
        self,
        out: &mut [Vector],
        table: &[Vector],
        rows: [&Vector; TOGETHER],
        reading: Reading,
    ) {
        let k = out.len() / TOGETHER;
        assert!(k.is_multiple_of(TILE) && out.len() == k * TOGETHER);
        assert!(reading.span > 0 && (reading.group + reading.span) * k <= table.len());
        let mut starts = out.chunks_exact_mut(k.max(1));
        let out = [(); TOGETHER].map(|()| starts.next().expect("a group").as_mut_ptr());
        // SAFETY: `self` proves the features; the reading lies inside the table.
        unsafe { select(out, k, table.as_ptr(), rows, &[reading]) }
    }
}

/// Whether all limbs have 52 bits.
pub fn normalised(x: &[Vector]) -> bool {
    x.iter().all(|v| v.0.iter().all(|&l| l <= MASK as u64))
}

// What follows is macros where functions would do: a function with `target_feature` cannot be
// forced inline, and a call in the middle of a tile would spill its registers.

/// `$body` for `$i` = 0 … TILE − 1, with `$i` a constant.
macro_rules! unroll {
    ($i:ident, $body:expr) => {
        unroll!(@ $i, $body, 0 1 2 3 4)
    };
    (@ $i:ident, $body:expr, $($value:literal)*) => {
        $({ const $i: usize = $value; $body; })*
    };
}

macro_rules! load {
    ($at:expr) => {
        *($at).cast::<__m512i>()
    };
}

macro_rules! store {
    ($at:expr, $value:expr) => {
        *($at).cast::<__m512i>() = $value
    };
}

macro_rules! broadcast {
    ($at:expr) => {
        _mm512_set1_epi64(*($at) as i64)
    };
}

macro_rules! zeros {
    () => {
        [_mm512_setzero_si512(); 2 * TILE]
    };
}

/// `sums += a·b` for TILE limbs of each; `$load` reads those of b.
macro_rules! tile {
    ($sums:ident, $a:expr, $b:expr, $load:ident) => {{
        let (a, b) = ($a, $b);
        let mut limbs = [_mm512_setzero_si512(); TILE];
        unroll!(I, limbs[I] = load!(a.add(I)));
        unroll!(J, {
            let y = $load!(b.add(J));
            unroll!(
                I,
                $sums[I + J] = _mm512_madd52lo_epu64($sums[I + J], limbs[I], y)
            );
            unroll!(
                I,
                $sums[I + J + 1] = _mm512_madd52hi_epu64($sums[I + J + 1], limbs[I], y)
            );
        });
    }};
}

/// `sums += 2·t` for the sums of a tile or several, which become garbage.
macro_rules! add_doubled {
    ($sums:ident, $t:ident) => {{
        unroll!(I, {
            $t[I] = _mm512_add_epi64($t[I], $t[I]);
            $t[I + TILE] = _mm512_add_epi64($t[I + TILE], $t[I + TILE]);
            // The upper half of `sums` is zero at the start of a column.
            $sums[I] = _mm512_add_epi64($sums[I], $t[I]);
            $sums[I + TILE] = $t[I + TILE];
        });
    }};
}

/// TILE quotient digits that make the low half of the sums vanish modulo 2^52; their products with
/// the low limbs of the modulus go to the sums, the rest of the column is the caller's.
macro_rules! derive_quotients {
    ($sums:ident, $quotients:expr, $n:expr, $inverse:ident, $mask:ident) => {{
        let (quotients, n) = ($quotients, $n);
        unroll!(S, {
            let x = $sums[S];
            let q = _mm512_madd52lo_epu64(_mm512_setzero_si512(), x, $inverse);
            store!(quotients.add(S), q);
            // x + lo(q·n₀) is 0 modulo 2^52: it carries one exactly where x itself is not.
            let carry = _mm512_srli_epi64::<52>(x);
            let carries = _mm512_test_epi64_mask(x, $mask);
            let carry = _mm512_mask_sub_epi64(carry, carries, carry, _mm512_set1_epi64(-1));
            let carry = _mm512_madd52hi_epu64(carry, q, broadcast!(n));
            // For the last S, limb S + 1 is the first of the next block.
            unroll!(J, {
                if J > 0 {
                    let y = broadcast!(n.add(J));
                    $sums[S + J] = _mm512_madd52lo_epu64($sums[S + J], q, y);
                    $sums[S + J + 1] = _mm512_madd52hi_epu64($sums[S + J + 1], q, y);
                }
            });
            $sums[S + 1] = _mm512_add_epi64($sums[S + 1], carry);
        });
    }};
}

/// Writes TILE finished limbs.
macro_rules! emit {
    ($sums:ident, $out:expr, $mask:ident) => {{
        let out = $out;
        unroll!(S, {
            store!(out.add(S), _mm512_and_si512($sums[S], $mask));
            let carry = _mm512_srli_epi64::<52>($sums[S]);
            $sums[S + 1] = _mm512_add_epi64($sums[S + 1], carry);
        });
    }};
}

/// On to the next block column.
macro_rules! shift {
    ($sums:ident) => {
        unroll!(S, {
            $sums[S] = $sums[S + TILE];
            $sums[S + TILE] = _mm512_setzero_si512();
        })
    };
}

/// Asks for the next of some pieces of memory.
macro_rules! fetch {
    ($pieces:ident) => {
        for vector in $pieces.next().unwrap_or(&[]) {
            _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(vector).cast());
        }
    };
}

/// Montgomery's reduction by product scanning (Koç, Acar, Kaliski 1996, FIPS): for every block
/// column, `$fetch` runs first, `$products` adds what is to be reduced, `$extra` what is to be added besides in the
/// lower half. Block c of `$quotients` is dead before block c of `$out` is written, so that they
/// may be one buffer.
macro_rules! reduce_columns {
    (
        $out:expr, $quotients:expr, $m:expr, $blocks:expr, $fetch:block,
        |$sums:ident, $column:ident, $low:ident, $high:ident| $products:block, $extra:block
    ) => {{
        let (out, quotients, n, blocks) = ($out, $quotients, $m.limbs.as_ptr(), $blocks);
        let mask = _mm512_set1_epi64(MASK);
        let inverse = _mm512_set1_epi64($m.negated_inverse as i64);
        let mut $sums = zeros!();
        for $column in 0..2 * blocks {
            $fetch
            // Blocks i of one factor and column − i of the other, both inside.
            let ($low, $high) = (($column + 1).saturating_sub(blocks), blocks.min($column + 1));
            $products
            for i in $low..blocks.min($column) {
                tile!($sums, quotients.add(i * TILE), n.add(($column - i) * TILE), broadcast);
            }
            if $column < blocks {
                $extra
                derive_quotients!($sums, quotients.add($column * TILE), n, inverse, mask);
            } else {
                emit!($sums, out.add(($column - blocks) * TILE), mask);
            }
            shift!($sums);
        }
    }};
}

/// A block column of a square: tiles off the diagonal are made once and doubled.
macro_rules! square_column {
    ($sums:ident, $a:ident, $column:ident, $low:ident) => {{
        let mut twice = zeros!();
        let mut i = $low;
        while 2 * i < $column {
            tile!(twice, $a.add(i * TILE), $a.add(($column - i) * TILE), load);
            i += 1;
        }
        if 2 * i == $column {
            let a = $a.add(i * TILE);
            unroll!(J, {
                let y = load!(a.add(J));
                unroll!(I, {
                    if I < J {
                        let x = load!(a.add(I));
                        twice[I + J] = _mm512_madd52lo_epu64(twice[I + J], x, y);
                        twice[I + J + 1] = _mm512_madd52hi_epu64(twice[I + J + 1], x, y);
                    }
                });
            });
            add_doubled!($sums, twice);
            unroll!(I, {
                let x = load!(a.add(I));
                $sums[2 * I] = _mm512_madd52lo_epu64($sums[2 * I], x, x);
                $sums[2 * I + 1] = _mm512_madd52hi_epu64($sums[2 * I + 1], x, x);
            });
        } else {
            add_doubled!($sums, twice);
        }
    }};
}

/// # Safety
/// The CPU has AVX-512 F and IFMA; out, a, b and the modulus have TILE·blocks limbs; `out` overlaps
/// no operand.
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn multiply(
    out: *mut Vector,
    a: *const Vector,
    b: *const Vector,
    m: &Montgomery,
    blocks: usize,
) {
    // SAFETY: all block indices are below `blocks`.
    unsafe {
        reduce_columns!(
            out,
            out,
            m,
            blocks,
            {},
            |sums, column, low, high| {
                for i in low..high {
                    tile!(sums, a.add(i * TILE), b.add((column - i) * TILE), load);
                }
            },
            {}
        );
    }
}

/// # Safety
/// As [`multiply`].
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn square(out: *mut Vector, a: *const Vector, m: &Montgomery, blocks: usize) {
    // SAFETY: all block indices are below `blocks`.
    unsafe {
        reduce_columns!(
            out,
            out,
            m,
            blocks,
            {},
            |sums, column, low, _high| { square_column!(sums, a, column, low) },
            {}
        );
    }
}

/// Adds `offset − q` in one block, limb for limb, as `(2^52 − 1 − q) + offset`.
macro_rules! add_negated {
    ($sums:ident, $quotients:expr, $offset:expr) => {{
        let (quotients, offset) = ($quotients, $offset);
        unroll!(I, {
            let negated = _mm512_xor_si512(_mm512_set1_epi64(MASK), load!(quotients.add(I)));
            let term = _mm512_add_epi64(negated, broadcast!(offset.add(I)));
            $sums[I] = _mm512_add_epi64($sums[I], term);
        });
    }};
}

/// # Safety
/// The CPU has AVX-512 F and IFMA; out, a and b have 2·TILE·blocks limbs, the root, the offset and
/// quotients TILE·blocks; what is written overlaps nothing else.
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn multiply_nadic(
    out: *mut Vector,
    a: *const Vector,
    b: *const Vector,
    n: &Square,
    quotients: *mut Vector,
    blocks: usize,
    ahead: &[Vector],
) {
    // SAFETY: all block indices are below `blocks`; second digits lie TILE·blocks further on.
    unsafe {
        let (second, offset, n) = (TILE * blocks, n.offset.as_ptr(), &n.root);
        // Spread over both halves, so that the cache always has room for one more request.
        let mut ahead = ahead.chunks(ahead.len().div_ceil(4 * blocks).max(1));
        let (a1, b1, out1) = (a.add(second), b.add(second), out.add(second));
        reduce_columns!(
            out,
            quotients,
            n,
            blocks,
            { fetch!(ahead) },
            |sums, column, low, high| {
                for i in low..high {
                    tile!(sums, a.add(i * TILE), b.add((column - i) * TILE), load);
                }
            },
            {}
        );
        reduce_columns!(
            out1,
            out1,
            n,
            blocks,
            { fetch!(ahead) },
            |sums, column, low, high| {
                for i in low..high {
                    tile!(sums, a.add(i * TILE), b1.add((column - i) * TILE), load);
                    tile!(sums, a1.add(i * TILE), b.add((column - i) * TILE), load);
                }
            },
            {
                add_negated!(
                    sums,
                    quotients.add(column * TILE),
                    offset.add(column * TILE)
                )
            }
        );
    }
}

/// # Safety
/// As [`multiply_nadic`].
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn square_nadic(
    out: *mut Vector,
    a: *const Vector,
    n: &Square,
    quotients: *mut Vector,
    blocks: usize,
) {
    // SAFETY: as in multiply_nadic.
    unsafe {
        let (second, offset, n) = (TILE * blocks, n.offset.as_ptr(), &n.root);
        let (a1, out1) = (a.add(second), out.add(second));
        reduce_columns!(
            out,
            quotients,
            n,
            blocks,
            {},
            |sums, column, low, _high| { square_column!(sums, a, column, low) },
            {}
        );
        reduce_columns!(
            out1,
            out1,
            n,
            blocks,
            {},
            |sums, column, low, high| {
                let mut twice = zeros!();
                for i in low..high {
                    tile!(twice, a.add(i * TILE), a1.add((column - i) * TILE), load);
                }
                add_doubled!(sums, twice);
            },
            {
                add_negated!(
                    sums,
                    quotients.add(column * TILE),
                    offset.add(column * TILE)
                )
            }
        );
    }
}

/// # Safety
/// The CPU has AVX-512 F and IFMA; low, a and n have TILE·blocks limbs, out twice as many; `out`
/// overlaps no operand.
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn product(
    out: *mut Vector,
    low: *const Vector,
    a: *const Vector,
    n: &Montgomery,
    blocks: usize,
) {
    // SAFETY: all block indices are below `blocks`, those of `out` below 2·blocks.
    unsafe {
        let (mask, n) = (_mm512_set1_epi64(MASK), n.limbs.as_ptr());
        let mut sums = zeros!();
        for column in 0..2 * blocks {
            let from = (column + 1).saturating_sub(blocks);
            for i in from..blocks.min(column + 1) {
                tile!(sums, a.add(i * TILE), n.add((column - i) * TILE), broadcast);
            }
            if column < blocks {
                unroll!(I, {
                    let term = load!(low.add(column * TILE + I));
                    sums[I] = _mm512_add_epi64(sums[I], term);
                });
            }
            emit!(sums, out.add(column * TILE), mask);
            shift!(sums);
        }
    }
}

/// # Safety
/// The CPU has AVX-512 F; x and y have `limbs` limbs and do not overlap.
#[target_feature(enable = "avx512f")]
unsafe fn add(x: *mut Vector, y: *const Vector, limbs: usize) {
    // SAFETY: i is below `limbs`.
    unsafe {
        let mut carry = _mm512_setzero_si512();
        for i in 0..limbs {
            let sum = _mm512_add_epi64(load!(x.add(i)), load!(y.add(i)));
            let sum = _mm512_add_epi64(sum, carry);
            carry = _mm512_srli_epi64::<52>(sum);
            store!(x.add(i), _mm512_and_si512(sum, _mm512_set1_epi64(MASK)));
        }
    }
}

/// # Safety
/// The CPU has AVX-512 F; x and n have `limbs` limbs.
#[target_feature(enable = "avx512f")]
unsafe fn reduce_once(x: *mut Vector, n: *const u64, limbs: usize, increment: u8) -> u8 {
    // SAFETY: i is below `limbs`.
    unsafe {
        let mask = _mm512_set1_epi64(MASK);
        let mut carry = _mm512_maskz_set1_epi64(increment, 1);
        let mut borrow = _mm512_setzero_si512();
        for i in 0..limbs {
            let sum = _mm512_add_epi64(load!(x.add(i)), carry);
            carry = _mm512_srli_epi64::<52>(sum);
            let limb = _mm512_and_si512(sum, mask);
            store!(x.add(i), limb);
            let difference = _mm512_sub_epi64(limb, _mm512_add_epi64(broadcast!(n.add(i)), borrow));
            borrow = _mm512_srli_epi64::<63>(difference);
        }
        let reduced = _mm512_testn_epi64_mask(borrow, borrow);
        let mut borrow = _mm512_setzero_si512();
        for i in 0..limbs {
            let subtrahend = _mm512_maskz_set1_epi64(reduced, *n.add(i) as i64);
            let difference =
                _mm512_sub_epi64(load!(x.add(i)), _mm512_add_epi64(subtrahend, borrow));
            borrow = _mm512_srli_epi64::<63>(difference);
            store!(x.add(i), _mm512_and_si512(difference, mask));
        }
        reduced
    }
}

/// # Safety
/// The CPU has AVX-512 F; each of `out` has `limbs` limbs, a multiple of TILE, every reading lies
/// inside the table, and `out` overlaps no operand.
#[target_feature(enable = "avx512f")]
unsafe fn select<const GROUPS: usize>(
    out: [*mut Vector; GROUPS],
    limbs: usize,
    table: *const Vector,
    rows: [&Vector; GROUPS],
    readings: &[Reading],
) {
    // SAFETY: limb indices are below `limbs`, group indices inside the readings.
    unsafe {
        // The permutation looks at the low four bits: a row among sixteen.
        let mut pairs = [_mm512_setzero_si512(); GROUPS];
        for g in 0..GROUPS {
            pairs[g] = _mm512_srli_epi64::<4>(load!(std::ptr::from_ref(rows[g])));
        }
        for at in (0..limbs).step_by(TILE) {
            let mut selected = [[_mm512_setzero_si512(); TILE]; GROUPS];
            for reading in readings {
                for pair in 0..reading.span.div_ceil(2) {
                    // An odd last group stands in for its missing partner; no row points there.
                    let (first, second) = (2 * pair, (2 * pair + 1).min(reading.span - 1));
                    let low = table.add((reading.group + first) * limbs + at);
                    let high = table.add((reading.group + second) * limbs + at);
                    let pair = _mm512_set1_epi64(pair as i64);
                    let mut here = [0; GROUPS];
                    for g in 0..GROUPS {
                        here[g] = _mm512_mask_cmpeq_epi64_mask(reading.lanes, pairs[g], pair);
                    }
                    unroll!(I, {
                        let (low, high) = (load!(low.add(I)), load!(high.add(I)));
                        for g in 0..GROUPS {
                            let rows = load!(std::ptr::from_ref(rows[g]));
                            let found = _mm512_permutex2var_epi64(low, rows, high);
                            selected[g][I] = _mm512_mask_mov_epi64(selected[g][I], here[g], found);
                        }
                    });
                }
            }
            for g in 0..GROUPS {
                unroll!(I, store!(out[g].add(at + I), selected[g][I]));
            }
        }
    }
}
