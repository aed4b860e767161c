//! Tiles of multiply-adds and block columns made of them, with their reduction.
//!
//! Macros where functions would do: a function with `target_feature` cannot be forced inline, and a
//! call in the middle of a tile would spill its registers.

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
            let carry = _mm512_srai_epi64::<52>(x);
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
            let carry = _mm512_srai_epi64::<52>($sums[S]);
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
/// column, `$fetch` runs first, `$products` adds what is to be reduced, `$extra` what is to be
/// added besides in the lower half. Block c of `$quotients` is dead before block c of `$out` is written, so that they
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
