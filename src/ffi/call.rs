//! `smlp_call`: an interactive operation in progress.

use super::arguments::{Out, borrow, borrow_mut, free, slice};
use super::{Failure, Status, TensorHandle, guard};
use crate::protocol::{Call, Step};

/// An interactive operation in progress: send its request to P2, resume it with the reply, until
/// it is done. The first failure is final; P1 and its tensors are left as they were.
#[derive(Debug)]
pub struct CallHandle(pub(super) Call);

// SAFETY: what goes on after a reply is a closure that need not be Sync. It can only be reached by
// `resume`, which has the call for itself; everything else that a shared call shows is plain data.
unsafe impl Sync for CallHandle {}

/// What P2 has to see now. The same bytes may be sent again: P2 keeps no state.
///
/// Args: data, len: get the bytes, which belong to the call and go with smlp_call_resume() and
/// smlp_call_free().
/// Errors: SMLP_FINISHED once the call is done or has failed. Calls on tensors without elements
/// are done from the start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_call_request(
    call: *const CallHandle,
    data: *mut *const u8,
    len: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (call, data) = unsafe { (borrow(call, "call")?, Out::new(data, "data")?) };
        // SAFETY: the contract.
        let len = unsafe { Out::new(len, "len")? };
        let request = call.0.request()?;
        data.set(request.as_ptr());
        len.set(request.len());
        Ok(())
    })
}

/// Takes P2's reply.
///
/// Args: done: gets true when the results are there, false when another request is.
/// Errors: SMLP_MALFORMED, SMLP_KEY_MISMATCH, SMLP_LIMIT for a reply that does not fit: the call
/// has failed then. SMLP_FINISHED when no reply is expected. NULL arguments leave it as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_call_resume(
    call: *mut CallHandle,
    reply: *const u8,
    len: usize,
    done: *mut bool,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (reply, done) = unsafe { (slice(reply, len, "reply")?, Out::new(done, "done")?) };
        // SAFETY: the contract.
        let call = unsafe { borrow_mut(call, "call")? };
        done.set(call.0.resume(reply)? == Step::Done);
        Ok(())
    })
}

/// What the operation computed.
///
/// Args: index: 0, or 1 for the derivative of smlp_p1_relu().
/// Errors: SMLP_FINISHED before the call is done and after it failed; SMLP_INVALID_ARGUMENT for an
/// index that it does not have.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_call_result(
    call: *const CallHandle,
    index: usize,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (call, out) = unsafe { (borrow(call, "call")?, Out::new(out, "out")?) };
        let results = call.0.results()?;
        let result = results.get(index).ok_or_else(|| {
            Failure::invalid(format!("result {index} of a call with {}", results.len()))
        })?;
        out.object(result.clone().into());
        Ok(())
    })
}

/// Frees a call, done or not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_call_free(call: *mut CallHandle) {
    // SAFETY: the contract.
    unsafe { free(call) }
}
