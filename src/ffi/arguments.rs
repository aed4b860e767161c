//! Pointers from C, checked as far as they can be, as references, slices and strings; and the
//! places that results go to.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use super::failure::{Failure, Outcome};
use crate::error::Error;
use crate::paillier::{ExponentLength, Security};

use super::{SMLP_ALLOW_INSECURE, SMLP_SHORT_EXPONENTS};

/// An object of this library that the call only reads.
///
/// # Safety
/// The contract: NULL, or a live object that nothing changes during `'a`.
pub(super) unsafe fn borrow<'a, T>(object: *const T, argument: &str) -> Outcome<&'a T> {
    // SAFETY: the caller's promise.
    unsafe { object.as_ref() }.ok_or_else(|| Failure::null(argument))
}

/// An object of this library that the call has for itself.
///
/// # Safety
/// The contract: NULL, or a live object that nothing else uses during `'a`.
pub(super) unsafe fn borrow_mut<'a, T>(object: *mut T, argument: &str) -> Outcome<&'a mut T> {
    // SAFETY: the caller's promise.
    unsafe { object.as_mut() }.ok_or_else(|| Failure::null(argument))
}

/// An object that may be absent.
///
/// # Safety
/// As [`borrow`].
pub(super) unsafe fn borrow_optional<'a, T>(object: *const T) -> Option<&'a T> {
    // SAFETY: the caller's promise.
    unsafe { object.as_ref() }
}

/// Frees an object; NULL is fine.
///
/// # Safety
/// NULL, or a pointer that [`Out::object`] gave out and that was not freed since.
pub(super) unsafe fn free<T>(object: *mut T) {
    if !object.is_null() {
        // SAFETY: the caller's promise; the pointer came from `Box::into_raw`.
        super::failure::guard_free(|| drop(unsafe { Box::from_raw(object) }));
    }
}

/// An array; (NULL, 0) is an empty one.
///
/// # Safety
/// The contract: NULL, or `len` initialised elements that nothing changes during `'a`.
pub(super) unsafe fn slice<'a, T>(data: *const T, len: usize, argument: &str) -> Outcome<&'a [T]> {
    check_array(data, len, argument)?;
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: not NULL, aligned and at most isize::MAX bytes by the check; live and initialised by
    // the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// An array of `len` elements to be filled; it may be uninitialised.
///
/// # Safety
/// The contract: NULL, or writable memory for `len` elements that nothing else uses during `'a`.
pub(super) unsafe fn buffer<'a, T>(
    data: *mut T,
    len: usize,
    argument: &str,
) -> Outcome<&'a mut [MaybeUninit<T>]> {
    check_array(data, len, argument)?;
    if len == 0 {
        return Ok(&mut []);
    }
    // SAFETY: as in `slice`; MaybeUninit has the layout of T and needs no initialisation.
    Ok(unsafe { std::slice::from_raw_parts_mut(data.cast(), len) })
}

fn check_array<T>(data: *const T, len: usize, argument: &str) -> Outcome {
    if len == 0 {
        return Ok(());
    }
    if data.is_null() {
        return Err(Failure::null(argument));
    }
    if len > isize::MAX as usize / size_of::<T>() {
        return Err(Failure::from(Error::Limit {
            what: "length of an array",
            value: len as u64,
            limit: (isize::MAX as usize / size_of::<T>()) as u64,
        }));
    }
    if !data.is_aligned() {
        return Err(Failure::invalid(format!(
            "argument '{argument}' is not aligned to {} bytes",
            align_of::<T>()
        )));
    }
    Ok(())
}

/// Copies `values` to the start of a C array of `capacity` elements.
///
/// # Safety
/// As [`buffer`].
pub(super) unsafe fn write_all<T: Copy>(
    values: &[T],
    out: *mut T,
    capacity: usize,
    argument: &str,
) -> Outcome {
    if capacity < values.len() {
        return Err(Failure::invalid(format!(
            "argument '{argument}' has room for {capacity} elements, {} are needed",
            values.len()
        )));
    }
    // SAFETY: `capacity` elements are writable by the caller's promise, and no more are touched.
    let out = unsafe { buffer(out, values.len(), argument)? };
    for (place, &value) in out.iter_mut().zip(values) {
        place.write(value);
    }
    Ok(())
}

/// A string in UTF-8.
///
/// # Safety
/// The contract: NULL, or a NUL-terminated string that nothing changes during `'a`.
pub(super) unsafe fn string<'a>(text: *const c_char, argument: &str) -> Outcome<&'a str> {
    if text.is_null() {
        return Err(Failure::null(argument));
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }
        .to_str()
        .map_err(|error| Failure::invalid(format!("argument '{argument}' is not UTF-8: {error}")))
}

/// Where a result goes. It has to be named before the work starts, so that a missing one costs
/// nothing, and is written at its end, so that a failure leaves it alone.
#[derive(Debug)]
pub(super) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// The place that `out` points to.
    ///
    /// # Safety
    /// The contract: NULL, or writable memory for one T until the call returns.
    pub(super) unsafe fn new(out: *mut T, argument: &str) -> Outcome<Self> {
        match NonNull::new(out) {
            Some(place) => Ok(Self(place)),
            None => Err(Failure::null(argument)),
        }
    }

    /// A place that the caller may leave out.
    ///
    /// # Safety
    /// As [`Out::new`].
    pub(super) unsafe fn optional(out: *mut T) -> Option<Self> {
        NonNull::new(out).map(Self)
    }

    pub(super) fn set(self, value: T) {
        // SAFETY: writable by the promise made at construction. What was there is overwritten,
        // not dropped: it may be uninitialised, and plain data has nothing to drop.
        unsafe { self.0.write(value) }
    }
}

impl<T> Out<*mut T> {
    /// Hands an object over to C, which frees it with its `_free` function.
    pub(super) fn object(self, object: T) {
        self.set(Box::into_raw(Box::new(object)));
    }
}

/// The flags of functions that take keys.
pub(super) fn security(flags: u32) -> Outcome<Security> {
    match flags {
        0 => Ok(Security::Required),
        SMLP_ALLOW_INSECURE => Ok(Security::AllowInsecure),
        other => Err(Failure::invalid(format!(
            "unknown flags {other:#x}; 0 and SMLP_ALLOW_INSECURE are defined"
        ))),
    }
}

/// The flags of functions that make keys.
pub(super) fn key_flags(flags: u32) -> Outcome<(ExponentLength, Security)> {
    let exponents = match flags & SMLP_SHORT_EXPONENTS {
        0 => ExponentLength::Half,
        _ => ExponentLength::Short,
    };
    let security = security(flags & !SMLP_SHORT_EXPONENTS).map_err(|_| {
        Failure::invalid(format!(
            "unknown flags {flags:#x}; SMLP_ALLOW_INSECURE and SMLP_SHORT_EXPONENTS are defined"
        ))
    })?;
    Ok((exponents, security))
}

/// An axis or a position, which C gives 64 bits on every machine.
pub(super) fn signed_size(value: i64, argument: &str) -> Outcome<isize> {
    isize::try_from(value)
        .map_err(|_| Failure::invalid(format!("argument '{argument}' is {value}: too large")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_checked_before_they_are_slices() {
        // SAFETY: no pointer here is read; every one is refused or has length 0.
        unsafe {
            assert_eq!(
                slice::<u64>(std::ptr::null(), 0, "a").unwrap(),
                &[] as &[u64]
            );
            assert!(slice::<u64>(std::ptr::null(), 1, "a").is_err());
            let values = [1u64, 2];
            assert!(slice(values.as_ptr(), usize::MAX, "a").is_err());
            assert!(slice(values.as_ptr(), usize::MAX / 8 + 1, "a").is_err());
            assert!(slice(values.as_ptr().wrapping_byte_add(1), 1, "a").is_err());
        }
        assert!(security(2).is_err());
    }
}
