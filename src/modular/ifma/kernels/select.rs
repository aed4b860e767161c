//! Secret look-ups in tables of powers: every row that might be meant is read.
//!
//! The eight rows of a group are the eight lanes of its vectors: one permutation of two vectors
//! picks among sixteen rows for all lanes at once. A table of single lanes does not fit in the
//! first cache, so that reading it takes as long as the second cache delivers; a [`Scan`] is a
//! look-up that goes on in small steps while squarings keep the multiplier busy.

use super::*;

/// A look-up under way. See [`Cpu::scan`].
pub struct Scan<'a> {
    pub(super) out: &'a mut [Vector],
    pub(super) table: &'a [Vector],
    pub(super) rows: Vector,
    pub(super) readings: &'a [Reading],
    /// The next step: limbs from `at` on, of one reading.
    pub(super) at: usize,
    pub(super) reading: usize,
    /// Steps a block column of a squaring.
    pub(super) pace: usize,
}

impl Scan<'_> {
    /// Nothing to look up.
    pub fn nothing() -> Self {
        Self {
            out: &mut [],
            table: &[],
            rows: Vector::ZERO,
            readings: &[],
            at: 0,
            reading: 0,
            pace: 0,
        }
    }
}

/// The next step of a look-up, if it is not complete: TILE limbs of the lanes of one reading.
macro_rules! scan_step {
    ($scan:ident) => {
        if let Some(reading) = $scan.readings.get($scan.reading)
            && $scan.at < $scan.out.len()
        {
            let (limbs, at) = ($scan.out.len(), $scan.at);
            let out = $scan.out.as_mut_ptr().add(at);
            let mut low = $scan.table.as_ptr().add(reading.group * limbs + at);
            // The permutation looks at the low four bits: a row among sixteen.
            let rows = load!(std::ptr::from_ref(&$scan.rows));
            let mut pairs = _mm512_srli_epi64::<4>(rows);
            let mut selected = [_mm512_setzero_si512(); TILE];
            unroll!(I, selected[I] = load!(out.add(I)));
            for pair in 0..reading.span.div_ceil(2) {
                // An odd last group stands in for its missing partner; no row points there.
                let high = low.add(if 2 * pair + 1 < reading.span {
                    limbs
                } else {
                    0
                });
                let here = _mm512_mask_testn_epi64_mask(reading.lanes, pairs, pairs);
                unroll!(I, {
                    let (low, high) = (load!(low.add(I)), load!(high.add(I)));
                    let found = _mm512_permutex2var_epi64(low, rows, high);
                    selected[I] = _mm512_mask_mov_epi64(selected[I], here, found);
                });
                pairs = _mm512_sub_epi64(pairs, _mm512_set1_epi64(1));
                low = low.wrapping_add(2 * limbs);
            }
            unroll!(I, store!(out.add(I), selected[I]));
            $scan.reading += 1;
            if $scan.reading == $scan.readings.len() {
                $scan.reading = 0;
                $scan.at += TILE;
            }
        }
    };
}

/// The steps of a look-up that ride on one block column.
macro_rules! scan_some {
    ($scan:ident) => {
        for _ in 0..$scan.pace {
            scan_step!($scan);
        }
    };
}

/// # Safety
/// The CPU has AVX-512 F.
#[target_feature(enable = "avx512f")]
unsafe fn finish(scan: &mut Scan<'_>) {
    // SAFETY: Cpu::scan has seen that every reading lies inside the table, and that `out` has a
    // multiple of TILE limbs.
    unsafe {
        while scan.at < scan.out.len() && !scan.readings.is_empty() {
            scan_step!(scan);
        }
    }
}

impl Cpu {
    /// Begins a look-up: in lane j, `out ← row rows[j]`, counted from the first row of the group
    /// that lane j's reading begins with. Every row of every reading is read, in an order that
    /// depends on `readings` alone. Lanes that no reading names become zero.
    ///
    /// It is spread over the next `squarings` squarings; [`Cpu::finish`] does what is left.
    pub fn scan<'a>(
        self,
        out: &'a mut [Vector],
        table: &'a [Vector],
        rows: Vector,
        readings: &'a [Reading],
        squarings: usize,
    ) -> Scan<'a> {
        let k = out.len();
        assert!(k.is_multiple_of(TILE));
        for r in readings {
            assert!(r.span > 0 && (r.group + r.span) * k <= table.len());
        }
        out.fill(Vector::ZERO);
        Scan {
            out,
            table,
            rows,
            readings,
            at: 0,
            reading: 0,
            // A squaring has two block columns for each block of `out`.
            pace: readings.len().div_ceil((2 * squarings).max(1)),
        }
    }

    /// Completes a look-up.
    pub fn finish(self, scan: &mut Scan<'_>) {
        // SAFETY: `self` proves the features.
        unsafe { finish(scan) }
    }

    /// Looks up for [`TOGETHER`] groups with the same reading at once: `out` holds one after the
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
