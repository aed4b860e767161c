//! From first rows and digits, a number each, to what the look-ups of a group read.

use super::kernels::{LANES, Reading, Vector};

/// What the lanes of a group read: each its row, and one reading for neighbours that read the same
/// rows. Only the first `count` readings count.
pub struct Wanted {
    pub rows: Vector,
    readings: [Reading; LANES],
    count: usize,
}

impl Wanted {
    pub fn new(first: &[usize], digits: &[u64], entries: usize) -> Self {
        let mut wanted = Self {
            rows: Vector::ZERO,
            readings: [Reading::default(); LANES],
            count: 0,
        };
        for (lane, (&first, &digit)) in first.iter().zip(digits).enumerate() {
            debug_assert!((digit as usize) < entries);
            let (group, offset) = (first / LANES, first % LANES);
            wanted.rows.0[lane] = offset as u64 + digit;
            let span = (offset + entries).div_ceil(LANES);
            let last = wanted.readings[wanted.count.saturating_sub(1)];
            if wanted.count == 0 || (last.group, last.span) != (group, span) {
                wanted.readings[wanted.count] = Reading {
                    group,
                    span,
                    lanes: 0,
                };
                wanted.count += 1;
            }
            wanted.readings[wanted.count - 1].lanes |= 1 << lane;
        }
        wanted
    }

    pub fn readings(&self) -> &[Reading] {
        &self.readings[..self.count]
    }
}
