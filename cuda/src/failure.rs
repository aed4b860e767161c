//! What can go wrong, as the codes of the table, with the text that `last_error` gives.

use crate::{driver, table};
use cust::error::CudaError;
use std::cell::RefCell;
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A code and what to tell.
#[derive(Debug)]
pub struct Failure {
    pub code: i32,
    pub text: String,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn argument(text: impl Into<String>) -> Self {
        let (code, text) = (table::INVALID_ARGUMENT, text.into());
        Self { code, text }
    }

    pub fn memory(text: impl Into<String>) -> Self {
        let (code, text) = (table::OUT_OF_MEMORY, text.into());
        Self { code, text }
    }
}

impl From<CudaError> for Failure {
    fn from(error: CudaError) -> Self {
        let code = match error {
            CudaError::OutOfMemory => table::OUT_OF_MEMORY,
            _ => table::DEVICE_FAILED,
        };
        let text = match error as u32 {
            // cust's own.
            100_100.. => error.to_string(),
            _ => {
                let code = driver::last_error();
                format!("CUDA error {code}: {}", driver::describe(code))
            }
        };
        Self { code, text }
    }
}

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs one function of the table: its code comes back, its text is kept, nothing unwinds.
pub fn guard(body: impl FnOnce() -> Result<()>) -> i32 {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return table::OK,
        Ok(Err(failure)) => failure,
        Err(_) => Failure {
            code: table::INTERNAL,
            text: "a bug of the plugin: it panicked".into(),
        },
    };
    LAST.with(|last| *last.borrow_mut() = failure.text);
    failure.code
}

/// Copies a text as a C string, cut to fit; its whole length comes back.
///
/// # Safety
/// `buffer` is NULL or has room for `capacity` bytes.
pub unsafe fn copy_text(text: &str, buffer: *mut c_char, capacity: usize) -> usize {
    if !buffer.is_null() && capacity > 0 {
        let mut end = text.len().min(capacity - 1);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        // SAFETY: the contract; `end` is below the capacity.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast(), end);
            *buffer.add(end) = 0;
        }
    }
    text.len()
}

/// # Safety
/// As [`copy_text`].
pub unsafe fn copy_last(buffer: *mut c_char, capacity: usize) -> usize {
    // SAFETY: the contract.
    LAST.with(|last| unsafe { copy_text(&last.borrow(), buffer, capacity) })
}
