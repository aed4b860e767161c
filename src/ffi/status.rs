//! Status codes, the last error, versions.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use super::arguments::{Out, buffer};
use super::failure::with_last_error;
use super::guard;
use crate::modular::{backend, plugin_report};

/// Version of the ABI: a program compiled for one works with every library that reports it.
pub const SMLP_ABI_VERSION: u32 = 1;

/// Flag of functions that make or read keys: allows keys below 2048 bits. For tests only, such
/// keys protect nothing.
pub const SMLP_ALLOW_INSECURE: u32 = 1;

/// Flag of functions that make keys: short random exponents, 448 bits at 2048 bits and 512 at 3072, so
/// that decryption is about four to five times and re-randomisation four times as fast (Ma, Han, Lei 2021).
/// Rests on one more assumption than other keys do; SECURITY.md says which.
pub const SMLP_SHORT_EXPONENTS: u32 = 2;

/// Bits of a key when the caller does not choose: 128-bit security.
pub const SMLP_DEFAULT_KEY_BITS: u32 = 3072;

/// What P1 promises when the caller does not choose: P2's advantage over guessing is at most 2 to minus this.
pub const SMLP_DEFAULT_SECURITY: u32 = 40;

/// Values and ciphertexts that calls of a P1 outside of trainings may show P2 when the caller does not choose: about a
/// million predictions of a small network.
pub const SMLP_DEFAULT_VALUES: u64 = 268435456;

/// Bits of masks that packed tensors have room for when the caller does not choose: those of trainings that show
/// P2 up to 2^39 values.
pub const SMLP_UPLOAD_SIGMA: u32 = 80;

/// Fraction bits when the caller does not choose.
pub const SMLP_DEFAULT_FRACTION_BITS: u32 = 16;

/// What came of a call. Numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
#[allow(non_camel_case_types)] // the names are the C ones
pub enum Status {
    /// It worked.
    SMLP_OK = 0,
    /// An argument is outside what the function accepts.
    SMLP_INVALID_ARGUMENT = 1,
    /// An argument is NULL.
    SMLP_NULL_POINTER = 2,
    /// Shapes do not fit each other or the operation.
    SMLP_SHAPE = 3,
    /// Two tensors have different numbers of fraction bits.
    SMLP_SCALE = 4,
    /// A result could be larger than what holds it: divide first, or declare a tighter bound.
    SMLP_BOUND = 5,
    /// A value does not fit its scale and bound.
    SMLP_OUT_OF_RANGE = 6,
    /// NaN or infinity.
    SMLP_NOT_FINITE = 7,
    /// Two objects belong to different keys.
    SMLP_KEY_MISMATCH = 8,
    /// A key is too small, or another safety rule would be broken.
    SMLP_INSECURE = 9,
    /// Bytes are not what they should be: truncated, foreign, of another version.
    SMLP_MALFORMED = 10,
    /// A limit on sizes was hit.
    SMLP_LIMIT = 11,
    /// An object was used after it failed or finished, or before it was ready.
    SMLP_FINISHED = 12,
    /// The caller's callback asked to stop.
    SMLP_CANCELLED = 13,
    /// The transport between P1 and P2 failed.
    SMLP_TRANSPORT = 14,
    /// P2 refused a request.
    SMLP_REFUSED = 15,
    /// Reading or writing a file failed.
    SMLP_IO = 16,
    /// The requested arithmetic backend is not available.
    SMLP_BACKEND = 17,
    /// A bug in the library; the message says where.
    SMLP_INTERNAL = 18,
}

/// A status that comes from C: any number. The header shows it as `smlp_status`.
pub type StatusNumber = i32;

/// The version of the ABI that the library implements; compare with SMLP_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn smlp_abi_version() -> u32 {
    SMLP_ABI_VERSION
}

/// The library's version as text, e.g. "0.1.0". Static: never freed.
#[unsafe(no_mangle)]
pub extern "C" fn smlp_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The name of a status, e.g. "SMLP_SHAPE"; "SMLP_UNKNOWN" for other numbers. Static, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn smlp_status_name(status: StatusNumber) -> *const c_char {
    const NAMES: [&std::ffi::CStr; 19] = [
        c"SMLP_OK",
        c"SMLP_INVALID_ARGUMENT",
        c"SMLP_NULL_POINTER",
        c"SMLP_SHAPE",
        c"SMLP_SCALE",
        c"SMLP_BOUND",
        c"SMLP_OUT_OF_RANGE",
        c"SMLP_NOT_FINITE",
        c"SMLP_KEY_MISMATCH",
        c"SMLP_INSECURE",
        c"SMLP_MALFORMED",
        c"SMLP_LIMIT",
        c"SMLP_FINISHED",
        c"SMLP_CANCELLED",
        c"SMLP_TRANSPORT",
        c"SMLP_REFUSED",
        c"SMLP_IO",
        c"SMLP_BACKEND",
        c"SMLP_INTERNAL",
    ];
    let name = usize::try_from(status).ok().and_then(|n| NAMES.get(n));
    name.copied().unwrap_or(c"SMLP_UNKNOWN").as_ptr()
}

/// The message of the last failure on this thread; empty if there was none. Calls that succeed
/// leave it as it is.
///
/// Args: buffer: room for `capacity` bytes; the text (UTF-8) is cut to fit and NUL-terminated.
/// (NULL, 0) asks for the length only.
/// Returns: the length of the whole text in bytes, without the NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_last_error(buffer: *mut c_char, capacity: usize) -> usize {
    // SAFETY: the contract: `capacity` writable bytes, or NULL. A length that cannot be is treated
    // as no room.
    let room = unsafe { self::buffer(buffer, capacity, "buffer") }.unwrap_or(&mut []);
    with_last_error(|text| copy_text(text, room)).unwrap_or(0)
}

/// A text as a C string, cut between characters to fit; its whole length comes back.
fn copy_text(text: &str, room: &mut [MaybeUninit<c_char>]) -> usize {
    if let Some((last, front)) = room.split_last_mut() {
        let mut end = front.len().min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        for (place, &byte) in front.iter_mut().zip(&text.as_bytes()[..end]) {
            place.write(byte as c_char);
        }
        front.get_mut(end).unwrap_or(last).write(0);
    }
    text.len()
}

/// The arithmetic backend in use, e.g. "gmp". The environment variable SMLP_BACKEND chooses it.
///
/// Args: out: a static string, never freed.
/// Errors: SMLP_BACKEND if the chosen one is not available.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_backend_name(out: *mut *const c_char) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        static NAME: OnceLock<CString> = OnceLock::new();
        let name = backend()?.name();
        let name = NAME.get_or_init(|| CString::new(name).unwrap_or_default());
        out.set(name.as_ptr());
        Ok(())
    })
}

/// Which accelerator (GPU) is in use, or why none is, in words. Looks for one if nothing did before;
/// SMLP_PLUGIN names the file of a plugin.
///
/// Args: buffer: room for `capacity` bytes; the text (UTF-8) is cut to fit and NUL-terminated.
/// (NULL, 0) asks for the length only.
/// Returns: the length of the whole text in bytes, without the NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_backend_report(buffer: *mut c_char, capacity: usize) -> usize {
    // SAFETY: as for smlp_last_error.
    let room = unsafe { self::buffer(buffer, capacity, "buffer") }.unwrap_or(&mut []);
    let mut length = 0;
    guard(|| {
        length = copy_text(&plugin_report(), room);
        Ok(())
    });
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn names_are_those_of_the_enumerators() {
        // SAFETY: the names are static.
        let name = |number| unsafe { CStr::from_ptr(smlp_status_name(number)) };
        assert_eq!(name(Status::SMLP_OK as i32), c"SMLP_OK");
        assert_eq!(name(Status::SMLP_LIMIT as i32), c"SMLP_LIMIT");
        assert_eq!(name(Status::SMLP_INTERNAL as i32), c"SMLP_INTERNAL");
        for unknown in [-1, 19, i32::MIN, i32::MAX] {
            assert_eq!(name(unknown), c"SMLP_UNKNOWN");
        }
    }

    #[test]
    fn the_message_is_cut_to_fit() {
        guard(|| Err(super::super::Failure::invalid("é".repeat(10))));
        let full = "invalid argument: ".len() + 20;
        for capacity in 0..=full + 2 {
            let mut buffer = vec![1 as c_char; capacity];
            // SAFETY: the buffer has that capacity.
            let length = unsafe { smlp_last_error(buffer.as_mut_ptr(), capacity) };
            assert_eq!(length, full);
            if capacity > 0 {
                // SAFETY: the buffer is NUL-terminated, or this test reads on.
                let text = unsafe { CStr::from_ptr(buffer.as_ptr()) };
                let text = text.to_str().expect("cut between characters");
                assert!(text.len() < capacity && text.len() + 2 >= capacity.min(full + 1));
            }
        }
    }
}
