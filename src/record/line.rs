//! One line of a record: a call, and the key that its roundings were drawn from.

use std::fmt;
use zeroize::Zeroizing;

use crate::error::Result;
use crate::fixed::{ROUNDING_KEY_BYTES, RoundingKey};
use crate::wire::{MAX_ELEMENTS, Reader, Writer};

/// What rounded.
#[derive(Debug, Clone, PartialEq)]
pub enum RoundingCall {
    /// A training step.
    Step {
        /// The steps that the network had done before.
        step: u64,
        /// The rows of its batch within the data of the training, in their order; empty where a batch was handed over
        /// as it is.
        rows: Vec<u64>,
        /// The learning rate.
        learning_rate: f64,
    },
    /// A prediction.
    Prediction {
        /// Rows that were predicted.
        rows: u64,
    },
    /// One division, by itself or after a product.
    Division {
        /// The divisor.
        divisor: u64,
        /// Elements of the result.
        elements: u64,
    },
}

/// A call and its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What rounded.
    pub call: RoundingCall,
    /// What its roundings were drawn from.
    pub key: RoundingKey,
}

const STEP: u16 = 1;
const PREDICTION: u16 = 2;
const DIVISION: u16 = 3;

impl RoundingCall {
    /// Whether these may be one call: equal in all that both know.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Step {
                    step: a,
                    rows: these,
                    learning_rate: rate,
                },
                Self::Step {
                    step: b,
                    rows: those,
                    learning_rate: other_rate,
                },
            ) => {
                let rows = these.is_empty() || those.is_empty() || these == those;
                a == b && rate == other_rate && rows
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for RoundingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step {
                step,
                rows,
                learning_rate,
            } => {
                write!(f, "step {step} with learning rate {learning_rate}")?;
                match rows.is_empty() {
                    true => Ok(()),
                    false => write!(
                        f,
                        " on the rows {:?} of {}",
                        &rows[..rows.len().min(4)],
                        rows.len()
                    ),
                }
            }
            Self::Prediction { rows } => write!(f, "a prediction of {rows} rows"),
            Self::Division { divisor, elements } => {
                write!(f, "a division of {elements} elements by {divisor}")
            }
        }
    }
}

impl Line {
    /// u16 kind, the key, and what the call's kind has: u64 step, the bits of the learning rate, u64 number of rows and
    /// each; u64 rows; u64 divisor, u64 elements.
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut w = Writer::default();
        let mut head = |kind: u16| {
            w.u16(kind);
            w.bytes(self.key.as_bytes());
        };
        match &self.call {
            RoundingCall::Step {
                step,
                rows,
                learning_rate,
            } => {
                head(STEP);
                w.u64(*step);
                w.u64(learning_rate.to_bits());
                w.u64(rows.len() as u64);
                w.limbs(rows);
            }
            RoundingCall::Prediction { rows } => {
                head(PREDICTION);
                w.u64(*rows);
            }
            RoundingCall::Division { divisor, elements } => {
                head(DIVISION);
                w.u64(*divisor);
                w.u64(*elements);
            }
        }
        Zeroizing::new(w.finish())
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::headless("line of a record", bytes);
        let kind = r.u16()?;
        let key = r.take(ROUNDING_KEY_BYTES)?.try_into();
        let key = RoundingKey::from_bytes(key.expect("the bytes of a key"));
        let call = match kind {
            STEP => {
                let step = r.u64()?;
                let learning_rate = f64::from_bits(r.u64()?);
                let count = r.size("rows of a batch", MAX_ELEMENTS)?;
                RoundingCall::Step {
                    step,
                    rows: r.limbs(count)?,
                    learning_rate,
                }
            }
            PREDICTION => RoundingCall::Prediction { rows: r.u64()? },
            DIVISION => RoundingCall::Division {
                divisor: r.u64()?,
                elements: r.u64()?,
            },
            other => return Err(r.error(format!("{other} is no kind of call"))),
        };
        r.finish()?;
        Ok(Self { call, key })
    }
}
