use super::*;

impl Cpu {
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
