//! `smlp_session`: operations that need both parties, encrypted over a transport or in the clear.

use std::sync::Arc;
use std::time::Duration;

use super::arguments::{Out, borrow, borrow_optional, free};
use super::{Failure, P1Handle, RecordHandle, Status, TensorHandle, TransportHandle, guard};
use crate::session::{Arithmetic, Clear, Division, Session, Statistics};

/// Operations that need both parties: on encrypted tensors over a transport, or their clear twin
/// on clear tensors.
#[derive(Debug)]
pub enum SessionHandle {
    /// P1 here, P2 behind a transport.
    Encrypted(Session),
    /// No parties at all.
    Clear(Clear),
}

/// What smlp_session_statistic() counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
#[allow(non_camel_case_types)] // the names are the C ones
pub enum Statistic {
    /// Requests that were answered, those that were sent while P1 worked on a later one included.
    SMLP_ROUNDS = 0,
    /// Bytes of requests.
    SMLP_BYTES_SENT = 1,
    /// Bytes of replies.
    SMLP_BYTES_RECEIVED = 2,
    /// Modular multiplications by P1.
    SMLP_P1_OPERATIONS = 3,
    /// Modular multiplications by P2, in its smaller rings.
    SMLP_P2_OPERATIONS = 4,
    /// Time that P1 computed.
    SMLP_P1_NANOSECONDS = 5,
    /// Time of P2 and of the wire, as far as P1 waited for them.
    SMLP_EXCHANGE_NANOSECONDS = 6,
    /// Values that P2 saw under a mask, and ciphertexts that P1 re-randomised for it.
    SMLP_MASKED_VALUES = 7,
}

/// A [`Statistic`] that comes from C: any number. The header shows it as `smlp_statistic`.
pub type StatisticNumber = i32;

/// The same expression for both kinds of session, on tensors of its kind.
macro_rules! in_session {
    ($handle:expr, |$session:ident, $($tensor:ident),+| $body:expr) => {
        match $handle {
            SessionHandle::Encrypted($session) => {
                $(let $tensor = $tensor.encrypted(stringify!($tensor))?;)+
                $body
            }
            SessionHandle::Clear($session) => {
                $(let $tensor = $tensor.clear(stringify!($tensor))?;)+
                $body
            }
        }
    };
}

/// A session of P1 with the P2 behind a transport. It keeps what it needs of both.
///
/// Args: record_or_null: keeps what the session's calls round with, for a clear session that computes the same
/// integers. NULL, the default, keeps nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_new(
    p1: *const P1Handle,
    transport: *const TransportHandle,
    record_or_null: *const RecordHandle,
    out: *mut *mut SessionHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (p1, out) = unsafe { (borrow(p1, "p1")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let transport = unsafe { borrow(transport, "transport")? };
        let mut session = Session::new(Arc::clone(&p1.0), Arc::clone(&transport.0));
        // SAFETY: the contract.
        if let Some(record) = unsafe { borrow_optional(record_or_null) } {
            session = session.recording(record.recorder());
        }
        out.object(SessionHandle::Encrypted(session));
        Ok(())
    })
}

/// The clear twin: works on clear tensors and networks, in microseconds.
///
/// Args: record_or_null: a record in memory whose calls are repeated, which gives the same integers: training steps by
/// their numbers (of a repeated step the last one counts), predictions and divisions in the order in which the recorded
/// ones ended; those that ran at the same time cannot be told apart. With NULL the
/// roundings are its own, and results equal encrypted ones up to these.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_new_clear(
    record_or_null: *const RecordHandle,
    out: *mut *mut SessionHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        // SAFETY: the contract.
        let clear = match unsafe { borrow_optional(record_or_null) } {
            None => Clear::new(),
            Some(record) => Clear::repeating(record.memory()?.clone()),
        };
        out.object(SessionHandle::Clear(clear));
        Ok(())
    })
}

/// Frees a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_free(session: *mut SessionHandle) {
    // SAFETY: the contract.
    unsafe { free(session) }
}

/// Whether it works on encrypted tensors, or is the clear twin.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_is_encrypted(
    session: *const SessionHandle,
    out: *mut bool,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (session, out) = unsafe { (borrow(session, "session")?, Out::new(out, "out")?) };
        out.set(matches!(session, SessionHandle::Encrypted(_)));
        Ok(())
    })
}

/// left · right, element by element, broadcasting as numpy does. Scales and bounds add up.
///
/// Args: left, right: encrypted under the session's key, or clear in a clear session. So for all
/// operations of a session.
/// Errors: SMLP_SHAPE, SMLP_BOUND, SMLP_KEY_MISMATCH, SMLP_INVALID_ARGUMENT for tensors of the
/// other kind; SMLP_TRANSPORT, SMLP_REFUSED, and SMLP_MALFORMED for a wrong reply. After any of
/// them session and tensors can still be used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_multiply(
    session: *const SessionHandle,
    left: *const TensorHandle,
    right: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (session, out) = unsafe { (borrow(session, "session")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let (left, right) = unsafe { (borrow(left, "left")?, borrow(right, "right")?) };
        out.object(in_session!(session, |s, left, right| s
            .multiply(left, right)?
            .into()));
        Ok(())
    })
}

/// The matrix product of (m × p) and (p × q); vectors are promoted as numpy does. Scales add up,
/// and so do bounds, plus ⌈log2 p⌉ bits.
///
/// Errors: as smlp_session_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_matmul(
    session: *const SessionHandle,
    left: *const TensorHandle,
    right: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (session, out) = unsafe { (borrow(session, "session")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let (left, right) = unsafe { (borrow(left, "left")?, borrow(right, "right")?) };
        out.object(in_session!(session, |s, left, right| s
            .matmul(left, right)?
            .into()));
        Ok(())
    })
}

/// (x + r) // divisor, rounded down, with r uniform in [0, divisor): unbiased rounding of
/// x / divisor with an error below 1. The scale stays.
///
/// Args: divisor: at least 1.
/// Errors: as smlp_session_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_divide(
    session: *const SessionHandle,
    tensor: *const TensorHandle,
    divisor: u64,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (session, out) = unsafe { (borrow(session, "session")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let tensor = unsafe { borrow(tensor, "tensor")? };
        let division = Division {
            divisor,
            scale_drop: 0,
            rounding: None,
        };
        out.object(in_session!(session, |s, tensor| s
            .divide(tensor, division)?
            .into()));
        Ok(())
    })
}

/// Divides by 2^bits and drops as many fraction bits: the same numbers, less precise. Needed after
/// products, whose scales add up.
///
/// Args: bits: at most the tensor's scale, and 63.
/// Errors: as smlp_session_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_rescale(
    session: *const SessionHandle,
    tensor: *const TensorHandle,
    bits: u32,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (session, out) = unsafe { (borrow(session, "session")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let tensor = unsafe { borrow(tensor, "tensor")? };
        let divisor = 1u64.checked_shl(bits).ok_or_else(|| {
            Failure::invalid(format!("rescaling by {bits} bits; 63 are possible at once"))
        })?;
        let division = Division {
            divisor,
            scale_drop: bits,
            rounding: None,
        };
        out.object(in_session!(session, |s, tensor| s
            .divide(tensor, division)?
            .into()));
        Ok(())
    })
}

/// (left @ right + r) // divisor, rounded down, with r uniform in [0, divisor): the product of
/// matrices and its division at once, several times faster than one after the other.
///
/// Args: divisor: at least 1. scale_drop: by how many fraction bits the scale falls, f for a
/// division by 2^f; 0 for a plain quotient.
/// Errors: as smlp_session_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_matmul_divide(
    session: *const SessionHandle,
    left: *const TensorHandle,
    right: *const TensorHandle,
    divisor: u64,
    scale_drop: u32,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (session, out) = unsafe { (borrow(session, "session")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let (left, right) = unsafe { (borrow(left, "left")?, borrow(right, "right")?) };
        let division = Division {
            divisor,
            scale_drop,
            rounding: None,
        };
        out.object(in_session!(session, |s, left, right| s
            .matmul_divide(left, right, division)?
            .into()));
        Ok(())
    })
}

/// max(x, 0), and its derivative: 1 where x >= 0, else 0 (scale 0).
///
/// Args: derivative_or_null: NULL if it is not needed.
/// Errors: as smlp_session_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_relu(
    session: *const SessionHandle,
    tensor: *const TensorHandle,
    relu: *mut *mut TensorHandle,
    derivative_or_null: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (session, relu) = unsafe { (borrow(session, "session")?, Out::new(relu, "relu")?) };
        // SAFETY: the contract.
        let (tensor, derivative) =
            unsafe { (borrow(tensor, "tensor")?, Out::optional(derivative_or_null)) };
        let (value, bits): (TensorHandle, TensorHandle) = in_session!(session, |s, tensor| {
            let (value, bits) = s.relu(tensor)?;
            (value.into(), bits.into())
        });
        relu.object(value);
        if let Some(derivative) = derivative {
            derivative.object(bits);
        }
        Ok(())
    })
}

/// bits · x for a tensor of zeros and ones.
///
/// Args: bits: of scale 0 and a bound of 1 bit, as derivatives are; of the shape of `tensor`.
/// Errors: as smlp_session_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_select(
    session: *const SessionHandle,
    bits: *const TensorHandle,
    tensor: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (session, out) = unsafe { (borrow(session, "session")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let (bits, tensor) = unsafe { (borrow(bits, "bits")?, borrow(tensor, "tensor")?) };
        out.object(in_session!(session, |s, bits, tensor| s
            .select(bits, tensor)?
            .into()));
        Ok(())
    })
}

/// The element-wise maximum, broadcasting as numpy does.
///
/// Errors: as smlp_session_multiply(); SMLP_SCALE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_maximum(
    session: *const SessionHandle,
    left: *const TensorHandle,
    right: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (session, out) = unsafe { (borrow(session, "session")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let (left, right) = unsafe { (borrow(left, "left")?, borrow(right, "right")?) };
        out.object(in_session!(session, |s, left, right| s
            .maximum(left, right)?
            .into()));
        Ok(())
    })
}

/// Fresh encryptions of the same values by P2, packed where they were; see smlp_p1_refresh(). In a
/// clear session: the same tensor.
///
/// Errors: as smlp_session_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_refresh(
    session: *const SessionHandle,
    tensor: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (session, out) = unsafe { (borrow(session, "session")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let tensor = unsafe { borrow(tensor, "tensor")? };
        out.object(match session {
            SessionHandle::Encrypted(s) => s.refresh(tensor.encrypted("tensor")?)?.into(),
            SessionHandle::Clear(_) => tensor.clear("tensor")?.clone().into(),
        });
        Ok(())
    })
}

/// The same values, one a ciphertext: for what packed tensors cannot do. The same tensor where it
/// is not packed, and in a clear session.
///
/// Errors: as smlp_session_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_unpack(
    session: *const SessionHandle,
    tensor: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (session, out) = unsafe { (borrow(session, "session")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let tensor = unsafe { borrow(tensor, "tensor")? };
        out.object(match session {
            SessionHandle::Encrypted(s) => s.unpack(tensor.encrypted("tensor")?)?.into(),
            SessionHandle::Clear(_) => tensor.clear("tensor")?.clone().into(),
        });
        Ok(())
    })
}

/// What the session has cost since it was made, or reset; 0 for a clear one.
///
/// Args: which: an enumerator of smlp_statistic.
/// Errors: SMLP_INVALID_ARGUMENT for other numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_statistic(
    session: *const SessionHandle,
    which: StatisticNumber,
    out: *mut u64,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (session, out) = unsafe { (borrow(session, "session")?, Out::new(out, "out")?) };
        let s = match session {
            SessionHandle::Encrypted(session) => session.statistics(),
            SessionHandle::Clear(_) => Statistics::default(),
        };
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let counts = [
            s.rounds,
            s.bytes_sent,
            s.bytes_received,
            s.p1_operations,
            s.p2_operations,
            nanoseconds(s.p1_time),
            nanoseconds(s.exchange_time),
            s.masked_values,
        ];
        let count = usize::try_from(which)
            .ok()
            .and_then(|which| counts.get(which));
        out.set(*count.ok_or_else(|| Failure::invalid(format!("statistic {which}")))?);
        Ok(())
    })
}

/// What P2 can have learned in this session, since it was made or its statistics were reset: its advantage over guessing
/// is at most 2^-bits. Infinity where it saw nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_kept_bits(
    session: *const SessionHandle,
    bits: *mut f64,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (session, bits) = unsafe { (borrow(session, "session")?, Out::new(bits, "bits")?) };
        bits.set(match session {
            SessionHandle::Encrypted(session) => session.statistics().kept_bits(),
            SessionHandle::Clear(_) => f64::INFINITY,
        });
        Ok(())
    })
}

/// Counts from zero again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_session_reset_statistics(session: *const SessionHandle) -> Status {
    guard(|| {
        // SAFETY: the contract.
        if let SessionHandle::Encrypted(session) = unsafe { borrow(session, "session")? } {
            session.reset_statistics();
        }
        Ok(())
    })
}
