//! Slices of one axis, with the meaning that Python and numpy give them.

use std::ops::Range;

use crate::error::{Error, Result};

/// `start:stop:step` of one axis. Negative positions count from the end, positions outside are
/// clipped, a negative step walks backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The first position; by default the end that the step starts from.
    pub start: Option<isize>,
    /// The position before which to stop; by default the whole rest.
    pub stop: Option<isize>,
    /// The stride, not 0.
    pub step: isize,
}

impl Slice {
    /// `start:stop:step`.
    pub fn new(start: Option<isize>, stop: Option<isize>, step: isize) -> Self {
        Self { start, stop, step }
    }

    /// `:`, the whole axis.
    pub fn all() -> Self {
        Self::new(None, None, 1)
    }

    /// The positions of an axis of that length: first, how many, stride.
    pub(super) fn resolve(self, length: usize) -> Result<(usize, usize, isize)> {
        // Lengths are at most MAX_ELEMENTS, so the arithmetic below cannot overflow.
        let length = length as isize;
        if self.step == 0 {
            return Err(Error::invalid("a slice with step 0"));
        }
        let (low, high) = if self.step > 0 {
            (0, length)
        } else {
            (-1, length - 1)
        };
        let clip = |position: isize| {
            let from_front = if position < 0 {
                position + length
            } else {
                position
            };
            from_front.clamp(low, high)
        };
        let start = self
            .start
            .map_or(if self.step > 0 { low } else { high }, clip);
        let stop = self
            .stop
            .map_or(if self.step > 0 { high } else { low }, clip);
        let span = if self.step > 0 {
            stop - start
        } else {
            start - stop
        };
        let count = if span <= 0 {
            0
        } else {
            (span as usize - 1) / self.step.unsigned_abs() + 1
        };
        Ok((start.max(0) as usize, count, self.step))
    }

    /// The same positions as ndarray's kind of slice, which mirrors after cutting.
    pub(super) fn to_ndarray(self, length: usize) -> Result<ndarray::Slice> {
        let (start, count, step) = self.resolve(length)?;
        let start = start as isize;
        Ok(match count {
            0 => ndarray::Slice::new(0, Some(0), 1),
            1 => ndarray::Slice::new(start, Some(start + 1), 1),
            _ if step > 0 => {
                ndarray::Slice::new(start, Some(start + (count as isize - 1) * step + 1), step)
            }
            _ => ndarray::Slice::new(start + (count as isize - 1) * step, Some(start + 1), step),
        })
    }
}

impl From<Range<isize>> for Slice {
    fn from(range: Range<isize>) -> Self {
        Self::new(Some(range.start), Some(range.end), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_pythons() {
        let positions = |start, stop, step, length| {
            let (first, count, stride) = Slice::new(start, stop, step).resolve(length).unwrap();
            (0..count as isize)
                .map(|i| first as isize + i * stride)
                .collect::<Vec<_>>()
        };
        assert_eq!(positions(None, None, 1, 3), [0, 1, 2]);
        assert_eq!(positions(None, None, -1, 3), [2, 1, 0]);
        assert_eq!(positions(Some(-2), None, 1, 5), [3, 4]);
        assert_eq!(positions(Some(1), Some(100), 2, 6), [1, 3, 5]);
        assert_eq!(positions(Some(4), Some(0), -2, 6), [4, 2]);
        assert_eq!(positions(Some(100), Some(-100), -3, 6), [5, 2]);
        assert_eq!(positions(Some(3), Some(1), 1, 6), [0isize; 0]);
        assert_eq!(positions(None, None, -1, 0), [0isize; 0]);
        assert_eq!(positions(Some(-100), None, -1, 4), [0isize; 0]);
        assert_eq!(positions(None, None, isize::MIN, 4), [3]);
        assert_eq!(
            positions(Some(isize::MIN), Some(isize::MAX), isize::MAX, 4),
            [0]
        );
        assert!(Slice::new(None, None, 0).resolve(3).is_err());
    }
}
