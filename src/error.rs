//! The one error type of the crate. Each message names the numbers involved and says what to do.

use crate::paillier::KeyId;

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong. Variants are stable categories (the C ABI maps each to a status code);
/// the text carries the details.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // the messages say what the fields are
pub enum Error {
    /// An argument is outside what the function accepts.
    #[error("invalid argument: {0}")]
    InvalidArgument(String),
    /// Shapes do not fit each other or the operation.
    #[error("shape mismatch: {0}")]
    Shape(String),
    /// Two tensors carry different numbers of fraction bits.
    #[error(
        "scale mismatch: the left operand has {left} fraction bits, the right one {right}; rescale one of them first"
    )]
    Scale { left: u32, right: u32 },
    /// A result could be larger than its container.
    #[error(
        "bound exceeded: {what} needs {needed} bits, at most {limit} fit; divide first, or declare a tighter bound with assume_bound"
    )]
    Bound {
        what: &'static str,
        needed: u32,
        limit: u32,
    },
    /// A value is not representable with the requested scale and bound.
    #[error(
        "value out of range: {value} at index {index:?} is not below 2^{bound} in magnitude (bound of {bound} bits, scale of {scale} fraction bits included); pass a larger bound"
    )]
    OutOfRange {
        index: Vec<usize>,
        value: String,
        bound: u32,
        scale: u32,
    },
    /// NaN or infinity.
    #[error("not a finite number: {value} at index {index:?}")]
    NotFinite { index: Vec<usize>, value: String },
    /// Two objects belong to different keys.
    #[error("key mismatch: one side belongs to key {left}, the other to key {right}")]
    KeyMismatch { left: KeyId, right: KeyId },
    /// A key is too small, or another safety rule would be broken.
    #[error("insecure: {0}")]
    Insecure(String),
    /// Bytes that are not what they should be: truncated, foreign, of another version.
    #[error("malformed {what}: {why}")]
    Malformed { what: &'static str, why: String },
    /// A limit on sizes was hit.
    #[error("limit exceeded: {what} is {value}, the limit is {limit}")]
    Limit {
        what: &'static str,
        value: u64,
        limit: u64,
    },
    /// An object was used after it failed or finished.
    #[error("object is no longer usable: {0}")]
    Finished(String),
    /// The caller's callback asked to stop.
    #[error("cancelled by the caller")]
    Cancelled,
    /// The transport between P1 and P2 failed.
    #[error("transport failed: {0}")]
    Transport(String),
    /// P2 refused a request.
    #[error("the key server refused the request: {0}")]
    Refused(String),
    /// Reading or writing a file failed.
    #[error("{path}: {message}")]
    Io { path: String, message: String },
    /// The requested arithmetic backend is not available.
    #[error("backend unavailable: {0}")]
    Backend(String),
}

impl Error {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Error::InvalidArgument(message.into())
    }

    pub(crate) fn shape(message: impl Into<String>) -> Self {
        Error::Shape(message.into())
    }

    pub(crate) fn malformed(what: &'static str, why: impl Into<String>) -> Self {
        Error::Malformed {
            what,
            why: why.into(),
        }
    }

    /// Refuses a value above its limit.
    pub(crate) fn check_limit(what: &'static str, value: usize, limit: usize) -> Result<()> {
        if value <= limit {
            return Ok(());
        }
        Err(Error::Limit {
            what,
            value: value as u64,
            limit: limit as u64,
        })
    }

    pub(crate) fn io(path: &std::path::Path, error: std::io::Error) -> Self {
        Error::Io {
            path: path.display().to_string(),
            message: error.to_string(),
        }
    }
}
