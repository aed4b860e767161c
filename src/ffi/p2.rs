//! `smlp_p2`: the key server.

use std::sync::Arc;

use super::arguments::{Out, borrow, free, slice};
use super::{BytesHandle, PrivateKeyHandle, Status, guard};
use crate::protocol::P2;

/// The key server: holds the private key and no data, and keeps no state between answers.
#[derive(Debug)]
pub struct P2Handle(pub(super) Arc<P2>);

/// P2 for one key pair.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p2_new(
    key: *const PrivateKeyHandle,
    out: *mut *mut P2Handle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        out.object(P2Handle(Arc::new(P2::new(key.0.clone()))));
        Ok(())
    })
}

/// The reply to a request of P1. Never contains a plaintext.
///
/// Errors: SMLP_MALFORMED, SMLP_LIMIT for bytes that are no request; SMLP_KEY_MISMATCH for one of
/// another key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p2_answer(
    p2: *const P2Handle,
    request: *const u8,
    len: usize,
    out: *mut *mut BytesHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p2, out) = unsafe { (borrow(p2, "p2")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let request = unsafe { slice(request, len, "request")? };
        out.object(BytesHandle::new(p2.0.answer(request)?));
        Ok(())
    })
}

/// Frees P2. Transports in this process keep what they need.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p2_free(p2: *mut P2Handle) {
    // SAFETY: the contract.
    unsafe { free(p2) }
}
