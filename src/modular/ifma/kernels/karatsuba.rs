//! Karatsuba's product of two digits (1962), one level, together with its Montgomery reduction.
//!
//! Each digit has a lower and an upper half, x = x' + x''·B, B = 2^(52·h/2), and
//! x·y = x'y' + ((x' + x'')(y' + y'') − x'y' − x''y'')·B + x''y''·B² takes three products of halves
//! instead of four. x''y'' and the middle factor are made first, as bare column sums in memory;
//! x'y' comes column by column with the reduction, whose quotients are late and would leave the
//! multiplier idle. Column sums are signed 64-bit integers without carries between them.
//!
//! Their range: a column of a product of halves takes at most h/2 limb products, a lower and an upper
//! part each below 2^52, so h·2^52; a digit sums two products, and the middle less the others is
//! within ±4h·2^52, also with x'y' or x''y'', which are largest where it is least. With a quotient times N,
//! 2h·2^52, this stays below 2^63 for h ≤ 340 limbs, more than the crate's largest modulus has.
//!
//! The sum of two halves may have a bit too many, which is kept as a mask, a bit a lane.

use super::*;

/// Sums of the lower and the upper half of each of `x`, one after the other, and the lanes where
/// one has a bit more.
///
/// # Safety
/// The CPU has AVX-512 F; each of `x` has 2·`limbs` limbs, `out` has N·`limbs` and overlaps none.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn fold<const N: usize>(
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

/// A block column of x², in `$half` blocks.
macro_rules! half_square_column {
    ($sums:ident, $column:ident, $half:ident, $x:expr) => {{
        let (x, low) = ($x, ($column + 1usize).saturating_sub($half));
        square_column!($sums, x, $column, low)
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

/// One digit of a result: products of digits, [`once!`] or [`twice!`], and their reduction.
///
/// `upper`, `sums` and `lower` add the tiles of a column to the sums that they get: of upper halves,
/// of sums of halves, of lower halves. `extra_bits` are the lanes of one factor's sum that have a
/// bit more, with the sum that it multiplies; `both` counts the lanes where factors both have one.
/// `$each` and `$extra` are as in `reduce_columns`. `$out` holds the upper product until
/// a block of it is read, just before the block is written.
macro_rules! karatsuba_digit {
    (
        $out:expr, $quotients:expr, $n:expr, $half:ident, $middle:expr, $double:ident,
        |$sums:ident, $column:ident|
        upper $upper:block
        sums $middles:block
        extra_bits [$(($lanes:expr, $x:expr)),+]
        both $both:expr,
        lower $lower:block
        each $each:block
        extra |$all:ident| $extra:block
    ) => {{
        let (out, middle, blocks, half) = ($out, $middle, 2 * $half, $half);
        let mut $sums = zeros!();
        for $column in 0..blocks {
            $upper
            unroll!(I, store!(out.add($column * TILE + I), $double!($sums[I])));
            shift!($sums);
        }
        let mut $sums = zeros!();
        for $column in 0..blocks {
            $middles
            if $column >= half {
                $(
                    let (lanes, x) = ($lanes, $x.add(($column - half) * TILE));
                    unroll!(I, {
                        let sum = _mm512_mask_add_epi64($sums[I], lanes, $sums[I], load!(x.add(I)));
                        $sums[I] = sum;
                    });
                )+
            }
            let (upper, to) = (out.add($column * TILE), middle.add($column * TILE));
            unroll!(I, {
                let difference = _mm512_sub_epi64($double!($sums[I]), load!(upper.add(I)));
                store!(to.add(I), difference);
            });
            shift!($sums);
        }
        let both = $both;
        let mut $sums = zeros!();
        reduce_columns!(
            out, $quotients, $n, blocks, $each,
            |$all, $column, _low, _high| {
                if $column < blocks {
                    $lower
                    let to = middle.add($column * TILE);
                    unroll!(I, {
                        let x = $double!($sums[I]);
                        $all[I] = _mm512_add_epi64($all[I], x);
                        store!(to.add(I), _mm512_sub_epi64(load!(to.add(I)), x));
                    });
                    shift!($sums);
                } else {
                    let upper = out.add(($column - blocks) * TILE);
                    unroll!(I, $all[I] = _mm512_add_epi64($all[I], load!(upper.add(I))));
                }
                if $column >= half && $column < half + blocks {
                    let middle = middle.add(($column - half) * TILE);
                    unroll!(I, $all[I] = _mm512_add_epi64($all[I], load!(middle.add(I))));
                }
                if $column == half + blocks {
                    $all[0] = _mm512_add_epi64($all[0], both);
                }
            },
            $extra
        );
    }};
}
