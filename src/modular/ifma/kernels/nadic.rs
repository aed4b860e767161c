//! Products and squares modulo N², two digits a number, with one level of Karatsuba (1962).
//!
//! Each digit has a lower and an upper half, x = x' + x''·B, B = 2^(52·h/2), and a product of digits
//! x·y = x'y' + ((x' + x'')(y' + y'') − x'y' − x''y'')·B + x''y''·B² is three products of halves
//! instead of four: x''y'' and the middle factor as bare column sums in memory, then x'y' column by
//! column together with the reduction, whose quotients come late and leave the multiplier idle
//! otherwise. Column sums are 64-bit integers with a sign here; they are not carried before the
//! reduction.
//!
//! The sum of two halves has a bit too many; it is kept as a mask, a bit a lane.

use super::*;

/// Vectors of scratch a limb of N that the products want: quotients, the middle column sums, the
/// sums of the halves of four digits.
pub const NADIC_SCRATCH: usize = 4;

impl Cpu {
    /// The N-adic product modulo N²: operands are two digits of as many limbs as N each, `scratch`
    /// has [`NADIC_SCRATCH`] times as many. Meanwhile `ahead` is brought into the second cache.
    pub fn multiply_nadic(
        self,
        out: &mut [Vector],
        a: &[Vector],
        b: &[Vector],
        n: &Square,
        scratch: &mut [Vector],
        ahead: &[Vector],
    ) {
        let h = n.root.limbs.len();
        assert!(h.is_multiple_of(2 * TILE) && [out.len(), a.len(), b.len()] == [2 * h; 3]);
        assert!(n.offset.len() == h && scratch.len() >= NADIC_SCRATCH * h);
        debug_assert!(normalised(a) && normalised(b));
        let (to, scratch) = (out.as_mut_ptr(), scratch.as_mut_ptr());
        // SAFETY: `self` proves the features; out, a and b have 2h limbs, n and its offset h, an
        // even multiple of TILE; mutable borrows are distinct from each other and the operands.
        unsafe { multiply(to, a.as_ptr(), b.as_ptr(), n, scratch, h / TILE / 2, ahead) }
        debug_assert!(normalised(out));
    }

    /// The N-adic square, as [`Cpu::multiply_nadic`]. Meanwhile `scan` goes on.
    pub fn square_nadic(
        self,
        out: &mut [Vector],
        a: &[Vector],
        n: &Square,
        scratch: &mut [Vector],
        scan: &mut Scan<'_>,
    ) {
        let h = n.root.limbs.len();
        assert!(h.is_multiple_of(2 * TILE) && [out.len(), a.len()] == [2 * h; 2]);
        assert!(n.offset.len() == h && scratch.len() >= NADIC_SCRATCH * h);
        debug_assert!(normalised(a));
        let (to, scratch) = (out.as_mut_ptr(), scratch.as_mut_ptr());
        // SAFETY: as in multiply_nadic.
        unsafe { square(to, a.as_ptr(), n, scratch, h / TILE / 2, scan) }
        debug_assert!(normalised(out));
    }
}

/// Sums of the lower and the upper half of each of `x`, one after the other, and the lanes where
/// one has a bit more.
///
/// # Safety
/// The CPU has AVX-512 F; each of `x` has 2·`limbs` limbs, `out` has N·`limbs` and overlaps none.
#[target_feature(enable = "avx512f")]
unsafe fn fold<const N: usize>(
    out: *mut Vector,
    x: [*const Vector; N],
    limbs: usize,
) -> [__mmask8; N] {
    // SAFETY: i is below `limbs`.
    unsafe {
        let mut carries = [_mm512_setzero_si512(); N];
        for i in 0..limbs {
            for j in 0..N {
                let sum = _mm512_add_epi64(load!(x[j].add(i)), load!(x[j].add(limbs + i)));
                let sum = _mm512_add_epi64(sum, carries[j]);
                carries[j] = _mm512_srli_epi64::<52>(sum);
                let limb = _mm512_and_si512(sum, _mm512_set1_epi64(MASK));
                store!(out.add(j * limbs + i), limb);
            }
        }
        let mut lanes = [0; N];
        for j in 0..N {
            lanes[j] = _mm512_test_epi64_mask(carries[j], carries[j]);
        }
        lanes
    }
}

/// The tiles of a block column of x·y, for each pair, in `$half` blocks each.
macro_rules! product_column {
    ($sums:ident, $column:ident, $half:ident, $(($x:expr, $y:expr)),+) => {
        for i in ($column + 1usize).saturating_sub($half)..$half.min($column + 1) {
            $(tile!($sums, $x.add(i * TILE), $y.add(($column - i) * TILE), load);)+
        }
    };
}

/// A block column of x².
macro_rules! column_of_square {
    ($sums:ident, $column:ident, $half:ident, $x:expr) => {{
        let (x, low) = ($x, ($column + 1usize).saturating_sub($half));
        square_column!($sums, x, $column, low)
    }};
}

/// Block columns of a product of halves, without carries: `$products` adds the tiles of one,
/// `$finish` does something with its lower half, which then is complete.
macro_rules! bare_columns {
    ($half:ident, |$sums:ident, $column:ident| $products:block, $finish:block) => {
        let mut $sums = zeros!();
        for $column in 0..2 * $half {
            $products
            $finish
            shift!($sums);
        }
    };
}

/// Adds what a block column of a product takes of its three parts. `$lower` adds the tiles of x'y'
/// to `$bare`, which lives across columns.
macro_rules! karatsuba_column {
    (
        $sums:ident, $column:ident, $half:ident, $middle:ident, $upper:ident, $carry:ident,
        $bare:ident, $lower:block, $double:ident
    ) => {{
        if $column < 2 * $half {
            $lower
            let middle = $middle.add($column * TILE);
            unroll!(I, {
                let x = $double!($bare[I]);
                $sums[I] = _mm512_add_epi64($sums[I], x);
                store!(middle.add(I), _mm512_sub_epi64(load!(middle.add(I)), x));
            });
            shift!($bare);
        } else {
            let upper = $upper.add(($column - 2 * $half) * TILE);
            unroll!(I, $sums[I] = _mm512_add_epi64($sums[I], load!(upper.add(I))));
        }
        if $column >= $half && $column < 3 * $half {
            let middle = $middle.add(($column - $half) * TILE);
            unroll!(I, $sums[I] = _mm512_add_epi64($sums[I], load!(middle.add(I))));
        }
        if $column == 3 * $half {
            $sums[0] = _mm512_add_epi64($sums[0], $carry);
        }
    }};
}

macro_rules! once {
    ($x:expr) => {
        $x
    };
}

macro_rules! twice {
    ($x:expr) => {
        _mm512_add_epi64($x, $x)
    };
}

/// Adds x in some lanes, to the lower half of the sums.
macro_rules! add_where {
    ($sums:ident, $(($lanes:expr, $x:expr)),+) => {
        $(
            let (lanes, x) = ($lanes, $x);
            unroll!(
                I,
                $sums[I] = _mm512_mask_add_epi64($sums[I], lanes, $sums[I], load!(x.add(I)))
            );
        )+
    };
}

/// # Safety
/// The CPU has AVX-512 F and IFMA; out, a and b have 4·TILE·half limbs, the root and the offset
/// half as many, scratch [`NADIC_SCRATCH`] times as many as the root; what is written overlaps
/// nothing else.
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn multiply(
    out: *mut Vector,
    a: *const Vector,
    b: *const Vector,
    n: &Square,
    scratch: *mut Vector,
    half: usize,
    ahead: &[Vector],
) {
    // SAFETY: all block indices are below 2·half; upper halves lie TILE·half further on, second
    // digits twice as far.
    unsafe {
        let (blocks, up) = (2 * half, TILE * half);
        let (offset, n) = (n.offset.as_ptr(), &n.root);
        let (quotients, middle, folded) = (scratch, scratch.add(2 * up), scratch.add(4 * up));
        // Spread over both digits, so that the cache always has room for one more request.
        let mut ahead = ahead.chunks(ahead.len().div_ceil(4 * blocks).max(1));
        let (a1, b1, out1) = (a.add(2 * up), b.add(2 * up), out.add(2 * up));
        let [ka, ka1, kb, kb1] = fold(folded, [a, a1, b, b1], up);
        let (fa, fa1) = (folded.cast_const(), folded.add(up).cast_const());
        let (fb, fb1) = (fa.add(2 * up), fa.add(3 * up));
        // The upper products wait in `out`: a block is read just before it is written.
        bare_columns!(
            half,
            |sums, column| {
                product_column!(sums, column, half, (a.add(up), b.add(up)));
            },
            {
                unroll!(I, store!(out.add(column * TILE + I), sums[I]));
            }
        );
        bare_columns!(
            half,
            |sums, column| {
                product_column!(sums, column, half, (fa, fb));
            },
            {
                if column >= half {
                    let at = (column - half) * TILE;
                    add_where!(sums, (ka, fb.add(at)), (kb, fa.add(at)));
                }
                let at = column * TILE;
                unroll!(
                    I,
                    store!(
                        middle.add(at + I),
                        _mm512_sub_epi64(sums[I], load!(out.add(at + I)))
                    )
                );
            }
        );
        let carry = _mm512_maskz_set1_epi64(ka & kb, 1);
        let mut bare = zeros!();
        reduce_columns!(
            out,
            quotients,
            n,
            blocks,
            { fetch!(ahead) },
            |sums, column, _low, _high| {
                karatsuba_column!(
                    sums,
                    column,
                    half,
                    middle,
                    out,
                    carry,
                    bare,
                    {
                        product_column!(bare, column, half, (a, b));
                    },
                    once
                );
            },
            {}
        );
        bare_columns!(
            half,
            |sums, column| {
                product_column!(
                    sums,
                    column,
                    half,
                    (a.add(up), b1.add(up)),
                    (a1.add(up), b.add(up))
                );
            },
            {
                unroll!(I, store!(out1.add(column * TILE + I), sums[I]));
            }
        );
        bare_columns!(
            half,
            |sums, column| {
                product_column!(sums, column, half, (fa, fb1), (fa1, fb));
            },
            {
                if column >= half {
                    let at = (column - half) * TILE;
                    add_where!(
                        sums,
                        (ka, fb1.add(at)),
                        (kb1, fa.add(at)),
                        (ka1, fb.add(at)),
                        (kb, fa1.add(at))
                    );
                }
                let at = column * TILE;
                unroll!(
                    I,
                    store!(
                        middle.add(at + I),
                        _mm512_sub_epi64(sums[I], load!(out1.add(at + I)))
                    )
                );
            }
        );
        let carry = _mm512_add_epi64(
            _mm512_maskz_set1_epi64(ka & kb1, 1),
            _mm512_maskz_set1_epi64(ka1 & kb, 1),
        );
        let mut bare = zeros!();
        // A block of the first quotient is read before that of the second takes its place.
        reduce_columns!(
            out1,
            quotients,
            n,
            blocks,
            { fetch!(ahead) },
            |sums, column, _low, _high| {
                karatsuba_column!(
                    sums,
                    column,
                    half,
                    middle,
                    out1,
                    carry,
                    bare,
                    {
                        product_column!(bare, column, half, (a, b1), (a1, b));
                    },
                    once
                );
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
/// As [`multiply`].
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn square(
    out: *mut Vector,
    a: *const Vector,
    n: &Square,
    scratch: *mut Vector,
    half: usize,
    scan: &mut Scan<'_>,
) {
    // SAFETY: as in multiply.
    unsafe {
        let (blocks, up) = (2 * half, TILE * half);
        let (offset, n) = (n.offset.as_ptr(), &n.root);
        let (quotients, middle, folded) = (scratch, scratch.add(2 * up), scratch.add(4 * up));
        let (a1, out1) = (a.add(2 * up), out.add(2 * up));
        let [ka, ka1] = fold(folded, [a, a1], up);
        let (fa, fa1) = (folded.cast_const(), folded.add(up).cast_const());
        let upper = a.add(up);
        bare_columns!(
            half,
            |sums, column| {
                column_of_square!(sums, column, half, upper);
            },
            {
                unroll!(I, store!(out.add(column * TILE + I), sums[I]));
            }
        );
        bare_columns!(
            half,
            |sums, column| {
                column_of_square!(sums, column, half, fa);
            },
            {
                if column >= half {
                    let at = (column - half) * TILE;
                    add_where!(sums, (ka, fa.add(at)), (ka, fa.add(at)));
                }
                let at = column * TILE;
                unroll!(
                    I,
                    store!(
                        middle.add(at + I),
                        _mm512_sub_epi64(sums[I], load!(out.add(at + I)))
                    )
                );
            }
        );
        let carry = _mm512_maskz_set1_epi64(ka, 1);
        let mut bare = zeros!();
        reduce_columns!(
            out,
            quotients,
            n,
            blocks,
            { scan_some!(scan) },
            |sums, column, _low, _high| {
                karatsuba_column!(
                    sums,
                    column,
                    half,
                    middle,
                    out,
                    carry,
                    bare,
                    {
                        column_of_square!(bare, column, half, a);
                    },
                    once
                );
            },
            {}
        );
        // All of the second digit is doubled where it leaves the registers.
        bare_columns!(
            half,
            |sums, column| {
                product_column!(sums, column, half, (a.add(up), a1.add(up)));
            },
            {
                unroll!(I, store!(out1.add(column * TILE + I), twice!(sums[I])));
            }
        );
        bare_columns!(
            half,
            |sums, column| {
                product_column!(sums, column, half, (fa, fa1));
            },
            {
                if column >= half {
                    let at = (column - half) * TILE;
                    add_where!(sums, (ka, fa1.add(at)), (ka1, fa.add(at)));
                }
                let at = column * TILE;
                unroll!(
                    I,
                    store!(
                        middle.add(at + I),
                        _mm512_sub_epi64(twice!(sums[I]), load!(out1.add(at + I)))
                    )
                );
            }
        );
        let carry = _mm512_maskz_set1_epi64(ka & ka1, 2);
        let mut bare = zeros!();
        reduce_columns!(
            out1,
            quotients,
            n,
            blocks,
            { scan_some!(scan) },
            |sums, column, _low, _high| {
                karatsuba_column!(
                    sums,
                    column,
                    half,
                    middle,
                    out1,
                    carry,
                    bare,
                    {
                        product_column!(bare, column, half, (a, a1));
                    },
                    twice
                );
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
