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

/// The reply to a request of a P1 in the same hands. Never contains a plaintext. A key server with
/// several clients uses smlp_p2_answer_for().
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

/// The reply to a request of one of several clients. What P2 seals for P1's keeping is for this
/// client and the job of its P1: where another client or P1 quotes it, it is refused.
///
/// Args: client: a name for whoever asks, as the caller has authenticated it, the same whenever and
/// however it connects; any bytes, none are the client of smlp_p2_answer().
/// Errors: as smlp_p2_answer().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p2_answer_for(
    p2: *const P2Handle,
    client: *const u8,
    client_len: usize,
    request: *const u8,
    len: usize,
    out: *mut *mut BytesHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p2, out) = unsafe { (borrow(p2, "p2")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let client = unsafe { slice(client, client_len, "client")? };
        // SAFETY: the contract.
        let request = unsafe { slice(request, len, "request")? };
        out.object(BytesHandle::new(p2.0.answer_for(client, request)?));
        Ok(())
    })
}

/// Frees P2. Transports in this process keep what they need.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p2_free(p2: *mut P2Handle) {
    // SAFETY: the contract.
    unsafe { free(p2) }
}
