//! `smlp_transport`: who carries the bytes of a session; in particular a function of the caller.

use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;

use super::arguments::{Out, borrow, borrow_mut, free, slice};
use super::{Failure, P2Handle, Status, guard};
use crate::error::{Error, Result};
use crate::transport::{InProcess, Transport};

/// Who carries a request to P2 and its reply back.
pub struct TransportHandle(pub(super) Arc<dyn Transport>);

impl fmt::Debug for TransportHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

/// Where a callback puts P2's reply.
#[derive(Debug, Default)]
pub struct ReplyHandle(Vec<u8>);

/// Takes a request to P2 and writes the reply with smlp_reply_write(). Called from the thread that
/// runs the session's function, so by several at once if several use the session. The request is
/// valid until it returns. No exception may leave it.
///
/// Returns: 0 for success. With any other value the session's function fails with SMLP_TRANSPORT,
/// and what was written so far, if it is short UTF-8 text, becomes part of the message.
pub type ExchangeFunction = Option<
    unsafe extern "C" fn(
        userdata: *mut c_void,
        request: *const u8,
        len: usize,
        reply: *mut ReplyHandle,
    ) -> i32,
>;

/// Longer text is no message, but the start of a reply.
const MAX_MESSAGE_BYTES: usize = 1000;

struct Callback {
    exchange: unsafe extern "C" fn(*mut c_void, *const u8, usize, *mut ReplyHandle) -> i32,
    userdata: *mut c_void,
}

// SAFETY: `userdata` is never touched here, only handed back; the contract of the callback says
// that it is called from whichever threads use the session.
unsafe impl Send for Callback {}
// SAFETY: as above.
unsafe impl Sync for Callback {}

impl Transport for Callback {
    fn exchange(&self, request: &[u8]) -> Result<Vec<u8>> {
        let mut reply = ReplyHandle::default();
        // SAFETY: the caller promised that the function takes these arguments, and that `userdata`
        // lives as long as the session; request and reply live until the call is over.
        let code =
            unsafe { (self.exchange)(self.userdata, request.as_ptr(), request.len(), &mut reply) };
        if code == 0 {
            return Ok(reply.0);
        }
        let text = std::str::from_utf8(&reply.0).ok();
        let text = text.filter(|text| !text.is_empty() && text.len() <= MAX_MESSAGE_BYTES);
        Err(Error::Transport(match text {
            Some(text) => format!("the callback returned {code}: {text}"),
            None => format!("the callback returned {code}"),
        }))
    }
}

/// Appends to the reply; only inside the callback that got it.
///
/// Errors: SMLP_LIMIT if memory does not suffice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_reply_write(
    reply: *mut ReplyHandle,
    data: *const u8,
    len: usize,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (reply, data) = unsafe { (borrow_mut(reply, "reply")?, slice(data, len, "data")?) };
        let reserved = reply.0.try_reserve(data.len());
        reserved.map_err(|_| Error::Limit {
            what: "bytes of a reply",
            value: data.len() as u64,
            limit: (isize::MAX as usize - reply.0.len()) as u64,
        })?;
        reply.0.extend_from_slice(data);
        Ok(())
    })
}

/// P2 in the same process: for tests, tuning and demonstrations. Whoever holds both parties holds
/// everything.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_transport_in_process(
    p2: *const P2Handle,
    out: *mut *mut TransportHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p2, out) = unsafe { (borrow(p2, "p2")?, Out::new(out, "out")?) };
        let transport = InProcess::new(Arc::clone(&p2.0));
        out.object(TransportHandle(Arc::new(transport)));
        Ok(())
    })
}

/// A function of the caller carries the bytes.
///
/// Args: exchange: see smlp_exchange_fn. userdata: handed to every call of it; has to outlive the
/// transport and every session that uses it; may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_transport_callback(
    exchange: ExchangeFunction,
    userdata: *mut c_void,
    out: *mut *mut TransportHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        let exchange = exchange.ok_or_else(|| Failure::null("exchange"))?;
        out.object(TransportHandle(Arc::new(Callback { exchange, userdata })));
        Ok(())
    })
}

/// Frees a transport. Sessions keep what they need.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_transport_free(transport: *mut TransportHandle) {
    // SAFETY: the contract.
    unsafe { free(transport) }
}
