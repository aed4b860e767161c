//! What every operation does to scale and bound: the one place that decides it, so that the
//! encrypted session and the clear twin cannot disagree.
//!
//! `limit` is always the largest bound that the result's container holds.

use crate::error::{Error, Result};
use crate::fixed::{MAX_SCALE, bounds};

/// Public metadata of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Fraction bits.
    pub scale: u32,
    /// Every element is below 2^bound in magnitude.
    pub bound: u32,
}

impl Meta {
    /// Itself, if it can describe elements of a container with that limit.
    pub(crate) fn checked(self, limit: u32) -> Result<Self> {
        if self.bound == 0 {
            return Err(Error::invalid("a bound of 0 bits; the smallest is 1"));
        }
        if self.scale > MAX_SCALE {
            return Err(Error::invalid(format!(
                "a scale of {} fraction bits; at most {MAX_SCALE} are supported, divide first",
                self.scale
            )));
        }
        bounds::within("the declared bound", self.bound, limit)?;
        Ok(self)
    }

    /// a + b, a − b: equal scales, one bit more than the larger bound.
    pub fn add(self, other: Meta, limit: u32) -> Result<Meta> {
        self.same_scale(other)?;
        let bound = bounds::sum_of_two("addition", self.bound, other.bound, limit)?;
        Ok(Meta { bound, ..self })
    }

    /// The sum of `count` elements: ⌈log2 count⌉ bits more.
    pub fn sum(self, count: usize, limit: u32) -> Result<Meta> {
        let bound = bounds::sum_of_many("sum", self.bound, count, limit)?;
        Ok(Meta { bound, ..self })
    }

    /// a · b: scales and bounds add up.
    pub fn multiply(self, other: Meta, limit: u32) -> Result<Meta> {
        let bound = bounds::product("product", self.bound, other.bound, limit)?;
        self.scaled_product(other, bound)
    }

    /// A matrix product with inner dimension p: as [`Meta::multiply`] and ⌈log2 p⌉ bits more.
    pub fn matmul(self, other: Meta, p: usize, limit: u32) -> Result<Meta> {
        let bound = bounds::inner_product("matrix product", self.bound, other.bound, p, limit)?;
        self.scaled_product(other, bound)
    }

    /// `(x + r_lo) // divisor`, the scale falling by `scale_drop`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a divisor of 0 or a drop below scale 0.
    pub fn divide(self, divisor: u64, scale_drop: u32, limit: u32) -> Result<Meta> {
        if divisor == 0 {
            return Err(Error::invalid("division by 0; the divisor is at least 1"));
        }
        let Some(scale) = self.scale.checked_sub(scale_drop) else {
            return Err(Error::invalid(format!(
                "a division that drops {scale_drop} fraction bits of a tensor that has {}",
                self.scale
            )));
        };
        let bound = bounds::quotient("division", self.bound, divisor, limit)?;
        Ok(Meta { scale, bound })
    }

    /// max(x, 0) keeps both; its derivative is a bit.
    pub fn relu(self) -> (Meta, Meta) {
        (self, Meta::bit())
    }

    /// bit · x, for `self` the metadata of the bits: that of x.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when `self` is not scale 0, bound 1.
    pub fn select(self, x: Meta) -> Result<Meta> {
        if self != Meta::bit() {
            return Err(Error::invalid(format!(
                "select needs zeros and ones (scale 0, bound of 1 bit), got scale {} and bound {}",
                self.scale, self.bound
            )));
        }
        Ok(x)
    }

    /// Zeros and ones.
    pub fn bit() -> Meta {
        Meta { scale: 0, bound: 1 }
    }

    pub(crate) fn same_scale(self, other: Meta) -> Result<()> {
        if self.scale == other.scale {
            Ok(())
        } else {
            Err(Error::Scale {
                left: self.scale,
                right: other.scale,
            })
        }
    }

    fn scaled_product(self, other: Meta, bound: u32) -> Result<Meta> {
        let scale = bounds::within("scale of the product", self.scale + other.scale, MAX_SCALE)?;
        Ok(Meta { scale, bound })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Meta = Meta {
        scale: 16,
        bound: 24,
    };
    const B: Meta = Meta {
        scale: 16,
        bound: 20,
    };

    #[test]
    fn rules() {
        let meta = |scale, bound| Ok(Meta { scale, bound });
        assert_eq!(A.add(B, 126), meta(16, 25));
        assert_eq!(A.sum(5, 126), meta(16, 27));
        assert_eq!(A.multiply(B, 126), meta(32, 44));
        assert_eq!(A.matmul(B, 64, 126), meta(32, 50));
        assert_eq!(A.divide(1 << 16, 16, 126), meta(0, 9));
        assert_eq!(A.relu(), (A, Meta::bit()));
        assert_eq!(Meta::bit().select(A), Ok(A));
    }

    #[test]
    fn refusals() {
        let other = Meta { scale: 3, bound: 5 };
        assert_eq!(A.add(other, 126), Err(Error::Scale { left: 16, right: 3 }));
        assert!(matches!(
            A.multiply(B, 43),
            Err(Error::Bound {
                needed: 44,
                limit: 43,
                ..
            })
        ));
        assert!(matches!(
            A.divide(0, 0, 126),
            Err(Error::InvalidArgument(_))
        ));
        assert!(matches!(
            A.divide(2, 17, 126),
            Err(Error::InvalidArgument(_))
        ));
        assert!(matches!(other.select(A), Err(Error::InvalidArgument(_))));
        assert!(Meta { scale: 0, bound: 0 }.checked(126).is_err());
        assert!(
            Meta {
                scale: 1001,
                bound: 1
            }
            .checked(126)
            .is_err()
        );
    }
}
