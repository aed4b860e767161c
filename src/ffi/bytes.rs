//! `smlp_bytes`: bytes that the library hands out.

use std::fmt;

use zeroize::Zeroizing;

use super::arguments::{borrow_optional, free};

/// Bytes that the library handed out. Cleared when freed: they may be a private key.
pub struct BytesHandle(Zeroizing<Vec<u8>>);

impl BytesHandle {
    pub(super) fn new(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for BytesHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// The first of the bytes, until they are freed. Not NULL, unless `bytes` is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_bytes_data(bytes: *const BytesHandle) -> *const u8 {
    // SAFETY: the contract.
    unsafe { borrow_optional(bytes) }.map_or(std::ptr::null(), |bytes| bytes.0.as_ptr())
}

/// How many bytes there are; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_bytes_len(bytes: *const BytesHandle) -> usize {
    // SAFETY: the contract.
    unsafe { borrow_optional(bytes) }.map_or(0, |bytes| bytes.0.len())
}

/// Clears and frees the bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_bytes_free(bytes: *mut BytesHandle) {
    // SAFETY: the contract.
    unsafe { free(bytes) }
}
