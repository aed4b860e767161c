//! `smlp_p2`: the key server.

use std::sync::Arc;

use super::arguments::{Out, borrow, free, slice};
use super::{BytesHandle, PrivateKeyHandle, Status, guard};
use crate::protocol::{P2, P2Limits};

/// The key server: holds the private key and no data, and keeps no state between answers.
#[derive(Debug)]
pub struct P2Handle(pub(super) Arc<P2>);

/// P2 for one key pair, within the usual limits of smlp_p2_new_with_limits().
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

/// As smlp_p2_new(), for whoever does not trust P1 with P2's memory: a request that would take more
/// is refused with SMLP_LIMIT before any work is done.
///
/// Args: reply_bytes: of a reply; 0 means 256 MiB. working_bytes: what P2 works in until the reply
/// is written, the reply included, the request and what lasts as long as the key not; 0 means 1 GiB.
/// Requests that are answered at the same time take as much each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_p2_new_with_limits(
    key: *const PrivateKeyHandle,
    reply_bytes: u64,
    working_bytes: u64,
    out: *mut *mut P2Handle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        let usual = P2Limits::default();
        let or = |bytes, usual| if bytes == 0 { usual } else { bytes };
        let limits = P2Limits {
            reply_bytes: or(reply_bytes, usual.reply_bytes),
            working_bytes: or(working_bytes, usual.working_bytes),
        };
        out.object(P2Handle(Arc::new(P2::with_limits(key.0.clone(), limits))));
        Ok(())
    })
}

/// The reply to a request of a P1 in the same hands. Never contains a plaintext. A key server with
/// several clients uses smlp_p2_answer_for().
///
/// Errors: SMLP_MALFORMED for bytes that are no request; SMLP_LIMIT for one that would take too much
/// memory, see smlp_p2_new_with_limits(); SMLP_KEY_MISMATCH for one of another key.
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
